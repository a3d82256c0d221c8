/**
 * A pack: the pages of memory that one saving found nowhere else in the machine's bundle. It is written once, whole, and from then on read alone; pages that
 * no state needs any more become holes.
 *
 *   0      "COPPPAGE"                      8 bytes
 *   8      version, 1                      u32, little endian
 *   12     number of pages n               u32
 *   16     number of groups g              u32; 0: the pages stand there as they are
 *   4096   the pages                       4096 bytes each; or g groups of 16 pages (the last: what is left), each packed by zstd (RFC 8878)
 *   …      lengths of the groups           u32 each, bytes
 *   …      a mark of each page             16 bytes: the beginning of its SHA-256 (FIPS 180-4)
 *
 * What a state has that others lack is little, and is packed to a fifth; a first state is written and read as fast as the disk. Marks find pages that may be
 * the same; whether they are is seen by comparing (write-pages.ts): a mark whose page is a hole by now, or was damaged, leads
 * to nothing wrong.
 */
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { zstdCompress, zstdDecompress } from 'node:zlib'
import { AppError } from '../../../src-shared/errors/app-error.ts'

/** Bytes: what x86 and the file systems here have. */
export const PAGE = 4096
export const MARK = 16
/** Pages that are packed together. */
const GROUP = 16
/** Pages of one pack: 1 TiB of memory. */
const MAX_PAGES = 2 ** 28
/** Of one that is packed: its table is read at once. */
const MAX_PACKED_PAGES = 2 ** 20
const HEADER = 20
const MAGIC = 'COPPPAGE'
const VERSION = 1
const SUFFIX = '.pages'
const NAME = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.pages$/

const packed = promisify(zstdCompress)
const unpacked = promisify(zstdDecompress)

/** @param id a UUID */
export function packPath(folder: string, id: string): string {
  return join(folder, `${id}${SUFFIX}`)
}

/** Null for other files. */
export function packId(name: string): string | null {
  return NAME.exec(name)?.[1] ?? null
}

/** Offset of a page in a pack that is not packed, bytes. */
export function pageOffset(index: number): number {
  return PAGE * (1 + index)
}

/** @param groups 0 where it is not packed */
export function packHeader(pages: number, groups = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PAGE)
  bytes.set(new TextEncoder().encode(MAGIC))
  const view = new DataView(bytes.buffer)
  view.setUint32(8, VERSION, true)
  view.setUint32(12, pages, true)
  view.setUint32(16, groups, true)
  return bytes
}

/** All of a small pack but its marks. @param pages whole ones */
export async function packGroups(pages: Uint8Array): Promise<Uint8Array> {
  const groups: Buffer[] = []
  for (let at = 0; at < pages.length; at += GROUP * PAGE) groups.push(await packed(pages.subarray(at, at + GROUP * PAGE)))
  const lengths = Buffer.alloc(groups.length * 4)
  for (const [at, { length }] of groups.entries()) lengths.writeUInt32LE(length, at * 4)
  return Buffer.concat([packHeader(pages.length / PAGE, groups.length), ...groups, lengths])
}

/** Of a file, bytes; `end` is the first one behind. */
export interface ByteRun {
  start: number
  end: number
}

/** A pack that is open for reading. */
export class Pack {
  readonly path: string
  readonly pages: number
  #file: FileHandle
  /** Of each group, and behind the last; null: it is not packed. */
  #offsets: number[] | null
  /** The group that was unpacked last. */
  #group: { at: number; bytes: Buffer } | null = null

  private constructor(path: string, file: FileHandle, pages: number, offsets: number[] | null) {
    this.path = path
    this.#file = file
    this.pages = pages
    this.#offsets = offsets
  }

  /**
   * The caller closes it.
   * @throws AppError `corrupt`, `newer-version`, or the system's reason
   */
  static async open(path: string): Promise<Pack> {
    const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)).catch(
      (error: NodeJS.ErrnoException) => {
        throw error.code === 'ENOENT' ? corruptPack(path, 'it is not there') : error
      },
    )
    try {
      const stats = await file.stat()
      const bytes = Buffer.alloc(HEADER)
      const { bytesRead } = await file.read(bytes, 0, HEADER, 0)
      if (!stats.isFile() || bytesRead < HEADER || bytes.toString('latin1', 0, MAGIC.length) !== MAGIC)
        throw corruptPack(path, 'it does not begin like one')
      if (bytes.readUInt32LE(8) > VERSION)
        throw new AppError('newer-version', `“${path}” was written by a newer Coppice. Update Coppice.`, { subject: path })
      const [pages, groups] = [bytes.readUInt32LE(12), bytes.readUInt32LE(16)]
      const wrong = corruptPack(path, `it has ${stats.size} bytes, which is not what ${pages} pages take`)
      if (groups === 0) {
        if (pages > MAX_PAGES || stats.size !== pageOffset(pages) + pages * MARK) throw wrong
        return new Pack(path, file, pages, null)
      }
      const table = stats.size - pages * MARK - groups * 4
      if (pages > MAX_PACKED_PAGES || groups !== Math.ceil(pages / GROUP) || table < PAGE) throw wrong
      const lengths = Buffer.alloc(groups * 4)
      await readAll(file, path, table, lengths)
      const offsets = [PAGE]
      for (let at = 0; at < groups; at++) offsets.push(offsets[at]! + lengths.readUInt32LE(at * 4))
      if (offsets.at(-1) !== table) throw wrong
      return new Pack(path, file, pages, offsets)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** @returns `count` pages from `first` on, which it has */
  async read(first: number, count: number): Promise<Buffer> {
    if (!this.#offsets) {
      const bytes = Buffer.allocUnsafe(count * PAGE)
      await readAll(this.#file, this.path, pageOffset(first), bytes)
      return bytes
    }
    const pieces: Buffer[] = []
    for (let page = first; page < first + count;) {
      const group = Math.floor(page / GROUP)
      const [from, to] = [page % GROUP, Math.min(GROUP, first + count - group * GROUP)]
      pieces.push((await this.#unpacked(group)).subarray(from * PAGE, to * PAGE))
      page += to - from
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  /** Of all pages. */
  async marks(): Promise<Buffer> {
    const marks = Buffer.allocUnsafe(this.pages * MARK)
    const { size } = await this.#file.stat()
    await readAll(this.#file, this.path, size - marks.length, marks)
    return marks
  }

  /** Where it keeps nothing but such pages. */
  runsOf(unneeded: (page: number) => boolean): ByteRun[] {
    const runs: ByteRun[] = []
    const add = (start: number, end: number): void => {
      const last = runs.at(-1)
      if (last?.end === start) last.end = end
      else runs.push({ start, end })
    }
    if (!this.#offsets) {
      for (let page = 0; page < this.pages; page++) if (unneeded(page)) add(pageOffset(page), pageOffset(page + 1))
    } else
      for (let group = 0; group < this.#offsets.length - 1; group++) {
        const pages = Array.from({ length: Math.min(GROUP, this.pages - group * GROUP) }, (_, at) => group * GROUP + at)
        if (pages.every(unneeded)) add(this.#offsets[group]!, this.#offsets[group + 1]!)
      }
    return runs
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #unpacked(group: number): Promise<Buffer> {
    if (this.#group?.at === group) return this.#group.bytes
    const [start, end] = [this.#offsets![group]!, this.#offsets![group + 1]!]
    const length = Math.min(GROUP, this.pages - group * GROUP) * PAGE
    // Packing makes nothing much longer.
    if (end - start > 2 * GROUP * PAGE) throw corruptPack(this.path, 'a group of its pages is too long')
    const bytes = Buffer.allocUnsafe(end - start)
    await readAll(this.#file, this.path, start, bytes)
    const pages = await unpacked(bytes, { maxOutputLength: length }).catch(() => null)
    if (pages?.length !== length) throw corruptPack(this.path, 'a group of its pages cannot be unpacked')
    this.#group = { at: group, bytes: pages }
    return pages
  }
}

async function readAll(file: FileHandle, path: string, offset: number, into: Uint8Array): Promise<void> {
  for (let at = 0; at < into.length;) {
    const { bytesRead } = await file.read(into, at, into.length - at, offset + at)
    if (bytesRead === 0) throw corruptPack(path, 'it ends too early')
    at += bytesRead
  }
}

export function corruptPack(path: string, why: string): AppError {
  return new AppError('corrupt', `“${path}”, which has pages of saved memory, is damaged: ${why}. Put the file back from a copy.`, {
    subject: path,
  })
}
