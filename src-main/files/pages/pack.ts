/**
 * A pack: the pages of memory that one saving found nowhere else in the machine's bundle. It is written once, whole, and from then on read alone; pages that
 * no memory needs any more become holes in it.
 *
 *   0      "COPPPAGE"                      8 bytes
 *   8      version, 1                      u32, little endian
 *   12     number of pages n               u32
 *   4096   the pages                       4096 bytes each, so that a hole fits one
 *   …      a mark of each page             16 bytes: the beginning of its SHA-256 (FIPS 180-4)
 *
 * Marks find pages that may be the same; whether they are is seen by comparing (write-pages.ts): a mark whose page is a hole by now, or was damaged, leads
 * to nothing wrong.
 */
import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../../src-shared/errors/app-error.ts'

/** Bytes: what x86 and the file systems here have. */
export const PAGE = 4096
export const MARK = 16
/** Pages of one pack: 1 TiB of memory. */
const MAX_PAGES = 2 ** 28
const MAGIC = 'COPPPAGE'
const VERSION = 1
const SUFFIX = '.pages'
const NAME = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.pages$/

/** @param id a UUID */
export function packPath(folder: string, id: string): string {
  return join(folder, `${id}${SUFFIX}`)
}

/** Null for other files. */
export function packId(name: string): string | null {
  return NAME.exec(name)?.[1] ?? null
}

/** Offset of a page in its pack, bytes. */
export function pageOffset(index: number): number {
  return PAGE * (1 + index)
}

export function packHeader(pages: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PAGE)
  bytes.set(new TextEncoder().encode(MAGIC))
  const view = new DataView(bytes.buffer)
  view.setUint32(8, VERSION, true)
  view.setUint32(12, pages, true)
  return bytes
}

/** A pack that is open for reading. */
export interface Pack {
  readonly path: string
  readonly file: FileHandle
  readonly pages: number
}

/**
 * The caller closes its file.
 * @throws AppError `corrupt`, `newer-version`, or the system's reason
 */
export async function openPack(path: string): Promise<Pack> {
  const file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)).catch(
    (error: NodeJS.ErrnoException) => {
      throw error.code === 'ENOENT' ? corruptPack(path, 'it is not there') : error
    },
  )
  try {
    const stats = await file.stat()
    const head = new DataView(new ArrayBuffer(16))
    const { bytesRead } = await file.read(head, 0, head.byteLength, 0)
    if (!stats.isFile() || bytesRead < head.byteLength || new TextDecoder('latin1').decode(head.buffer.slice(0, 8)) !== MAGIC)
      throw corruptPack(path, 'it does not begin like one')
    if (head.getUint32(8, true) > VERSION)
      throw new AppError('newer-version', `“${path}” was written by a newer Coppice. Update Coppice.`, { subject: path })
    const pages = head.getUint32(12, true)
    if (pages > MAX_PAGES || stats.size !== pageOffset(pages) + pages * MARK)
      throw corruptPack(path, `it has ${stats.size} bytes, which is not what ${pages} pages take`)
    return { path, file, pages }
  } catch (error) {
    await file.close()
    throw error
  }
}

/** All of `into`, from `offset` (bytes) on. */
export async function readPack({ file, path }: Pack, offset: number, into: Uint8Array): Promise<void> {
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
