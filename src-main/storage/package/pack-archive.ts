/**
 * Writes a tar archive of files, disks and texts.
 *
 * Theory of operation: the archive is written once from front to back, beside its target, and takes the target's name when it is whole and on disk. Two
 * things are known only afterwards, and room is kept for them: how large a packed disk became (the header before it), and texts that tell sizes and
 * digests of other members (an OVF descriptor and its manifest, which come first). Such a text has placeholders; it is filled in at the end and, where it became
 * shorter, ends in spaces: its length decides where the next member begins.
 */
import { createHash, type Hash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import type { PackMember } from '../../../src-shared/threads/storage-thread.ts'
import { TAR_END_BYTES, tarHeader, tarPadding } from '../../archive/tar-writer.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { makeFile } from '../file/make-file.ts'
import { writeStreamOptimized } from '../formats/vmdk/write-stream-optimized.ts'
import { progressOf, type JobOptions } from '../jobs/job-progress.ts'
import { openImage } from '../open-image.ts'
import { openPart } from './file-part.ts'

/** Bytes read at once. */
const CHUNK = 1024 * 1024
/** Characters of the largest size, and of a digest (SHA-256, hexadecimal). */
const SIZE_DIGITS = 16
const DIGEST_DIGITS = 64

export interface Packed {
  /** Bytes of the archive. */
  bytes: number
}

/**
 * @param replace whether a file that is there gives way
 * @throws AppError of a member or of the target (see makeFile); `cancelled`. What was there before stays then
 */
export async function packArchive(path: string, members: readonly PackMember[], replace: boolean, options: JobOptions): Promise<Packed> {
  try {
    return await makeFile(path, (file) => new Packer(file, members, options).pack(), replace ? {} : null)
  } catch (error) {
    throw asAppError(error, `Writing “${path}”`)
  }
}

type Text = Extract<PackMember, { kind: 'text' }>

class Packer {
  #file: ByteFile
  #members: readonly PackMember[]
  #options: JobOptions
  /** Seconds since 1970: of what has no time of its own. */
  #now = Math.floor(Date.now() / 1000)
  #end = 0
  #sizes = new Map<string, number>()
  #digests = new Map<string, string>()
  #progress: (done: number) => void = () => {}
  #done = 0

  constructor(file: ByteFile, members: readonly PackMember[], options: JobOptions) {
    this.#file = file
    this.#members = members
    this.#options = options
  }

  async pack(): Promise<Packed> {
    this.#progress = progressOf(await this.#total(), this.#options)
    const texts: { text: Text; at: number; room: number }[] = []
    for (const member of this.#members) {
      if (member.kind === 'text') {
        const room = utf8(
          filled(
            member,
            () => '9'.repeat(SIZE_DIGITS),
            () => 'f'.repeat(DIGEST_DIGITS),
          ),
        ).length
        texts.push({ text: member, at: this.#end, room })
        this.#end += headerOf(member.name, room, this.#now).length + room + tarPadding(room).length
      } else if (member.kind === 'file') await this.#copy(member.name, member.path)
      else await this.#packDisk(member)
    }
    // Those that tell digests tell those of the others.
    const tellsDigests = ({ text }: { text: Text }): number => Number(Object.values(text.values).some(({ tell }) => tell === 'digest'))
    for (const { text, at, room } of texts.toSorted((a, b) => tellsDigests(a) - tellsDigests(b))) await this.#writeText(text, at, room)
    this.#progress(this.#done)
    // The end is zeroes, as what was never written is.
    await this.#file.truncate(this.#end + TAR_END_BYTES)
    return { bytes: this.#file.size }
  }

  async #total(): Promise<number> {
    let total = 0
    for (const member of this.#members) {
      if (member.kind === 'text') continue
      const source =
        member.kind === 'file' ? await openPart({ path: member.path, range: null }) : await openImage({ ...member.image, readOnly: true })
      total += 'size' in source ? source.size : source.info.size
      await source.close()
    }
    return total
  }

  async #writeText(text: Text, at: number, room: number): Promise<void> {
    const known = (from: ReadonlyMap<string, unknown>, name: string): string => {
      if (!from.has(name)) throw new AppError('internal', `Nothing is known of “${name}” that is told of in “${text.name}”.`)
      return String(from.get(name))
    }
    const content = utf8(
      filled(
        text,
        (name) => known(this.#sizes, name),
        (name) => known(this.#digests, name),
      ),
    )
    const bytes = new Uint8Array(room).fill(0x20)
    bytes.set(content)
    const header = headerOf(text.name, room, this.#now)
    await this.#file.write(at, header)
    await this.#file.write(at + header.length, bytes)
    this.#digests.set(text.name, createHash('sha256').update(bytes).digest('hex'))
  }

  /** A file as it is. Its holes are holes of the archive's file, too. */
  async #copy(name: string, path: string): Promise<void> {
    const source = await openPart({ path, range: null })
    try {
      const { size } = source
      const header = headerOf(name, size, Math.floor((await stat(path)).mtimeMs / 1000))
      await this.#file.write(this.#end, header)
      const start = this.#end + header.length
      const before = this.#done
      const hash = this.#hashOf(name)
      for (let at = 0; at < size;) {
        const run = hash ? { start: at, end: size } : await source.nextData(at)
        if (!run) break
        for (at = run.start; at < run.end;) {
          const bytes = new Uint8Array(Math.min(CHUNK, run.end - at))
          await source.read(at, bytes)
          hash?.update(bytes)
          await this.#file.write(start + at, bytes)
          at += bytes.length
          this.#progress(before + at)
        }
      }
      if (hash) this.#digests.set(name, hash.digest('hex'))
      this.#endMember(name, start, size)
      this.#done = before + size
    } finally {
      await source.close()
    }
  }

  async #packDisk({ name, image }: Extract<PackMember, { kind: 'disk' }>): Promise<void> {
    const source = await openImage({ ...image, readOnly: true })
    try {
      const at = this.#end
      const start = at + headerOf(name, 0, this.#now).length
      let size = 0
      const before = this.#done
      const hash = this.#hashOf(name)
      const sink = {
        write: async (bytes: Uint8Array): Promise<void> => {
          hash?.update(bytes)
          await this.#file.write(start + size, bytes)
          size += bytes.length
        },
      }
      await writeStreamOptimized(source, sink, {
        name: basename(name),
        signal: this.#options.signal,
        onProgress: (done) => this.#progress(before + done),
      })
      await this.#file.write(at, headerOf(name, size, this.#now))
      if (hash) this.#digests.set(name, hash.digest('hex'))
      this.#endMember(name, start, size)
      this.#done = before + source.info.size
    } finally {
      await source.close()
    }
  }

  #endMember(name: string, start: number, size: number): void {
    this.#sizes.set(name, size)
    this.#end = start + size + tarPadding(size).length
  }

  /** Digests are made of what somebody tells them of. */
  #hashOf(name: string): Hash | null {
    const told = this.#members.some(
      (member) => member.kind === 'text' && Object.values(member.values).some((value) => value.tell === 'digest' && value.of === name),
    )
    return told ? createHash('sha256') : null
  }
}

function headerOf(name: string, size: number, mtime: number): Uint8Array {
  return tarHeader({ name, type: 'file', size, mtime })
}

function filled({ text, values }: Text, size: (name: string) => string, digest: (name: string) => string): string {
  return Object.entries(values).reduce(
    (whole, [placeholder, { tell, of }]) => whole.replaceAll(placeholder, () => (tell === 'size' ? size(of) : digest(of))),
    text,
  )
}
