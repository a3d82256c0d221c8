/**
 * A disk of equal blocks, each of which is somewhere in a file or nowhere yet: what VDI, dynamic VHD, VHDX and sparse VMDK have in common.
 *
 * Theory of operation. A write into a block that is there goes straight into the file. A write into one that is not reserves room (nobody else
 * can take the block meanwhile), writes the data there, and then changes the table's entry, in memory only. A flush makes it durable in this order:
 *
 *     1. the data, and what the format needs to have counted before (a header's number of blocks, a footer that moved), then sync
 *     2. the entries of the table, then sync
 *
 * so that after a crash an entry never points to room that is not counted, or to data that is not there. What a crash can leave behind is room that
 * nothing points to. Blocks are reserved in ascending order and requests that touch the same bytes do not overlap (see block-device.ts),
 * so that two writes cannot wait for each other.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockInfo } from '../../../../src-shared/threads/block-port.ts'
import type { Extent } from '../../block-device.ts'
import type { DiskImage, NamedBacking } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { requestGuard, type RequestGuard } from '../../request-guard.ts'
import type { EntryTable } from './entry-table.ts'

/** A place that is no offset: this layer says nothing of the block. */
export const UNALLOCATED = -1
/** A place that is no offset: the block is zeroes. */
export const ZERO = -2

/** Changed entries kept in memory before they are flushed unasked. */
const MOST_CHANGES = 32_768
/** Blocks that one call of `extent` looks at. */
const EXTENT_STEPS = 65_536

/** Reads `into` from what is below the disk, at an offset of the disk. */
export type Below = (offset: number, into: Uint8Array) => Promise<void>

/** How a writable format grows. */
export interface BlockGrowth {
  /** Entry of a block of zeroes; null where the format has none. */
  zeroEntry: number | null
  /** From this offset of the file on, everything reads as zeroes until it is written. */
  pristineFrom: number
  /**
   * Room for one more block.
   * @returns the entry that will point to it
   * @throws AppError `no-space`: the format has no room for more
   */
  allocate(): number
  /** Writes what goes with a block besides its bytes, before any entry points to it. */
  begin?(place: number): Promise<void>
  /** Writes what has to be durable before entries that `allocate` gave; the caller syncs, and does not allocate meanwhile. */
  prepare(): Promise<void>
}

/** Blocks of which only some sectors may be there (a VHD's sector bitmaps). */
export interface PartialBlocks {
  read(index: number, place: number, within: number, into: Uint8Array): Promise<void>
  /** Makes the whole block valid, durably, before it is written. Called by one at a time for a block. */
  complete(index: number, place: number): Promise<void>
  /** Whether `complete` has nothing to do. */
  isComplete(index: number): boolean
}

export interface BlockDiskParts {
  file: ByteFile
  info: BlockInfo
  blockSize: number
  table: EntryTable
  /**
   * The offset in the file where the block that an entry points to begins, or UNALLOCATED or ZERO.
   * @throws AppError `corrupt`: the entry points to where no block can be
   */
  place(entry: number, index: number): number
  details: DiskImage['details']
  backing?: NamedBacking | null
  below?: Below | null
  growth?: BlockGrowth | null
  partial?: PartialBlocks | null
  /** Called when the disk closes, after its file. */
  closeBelow?(): Promise<void>
}

/** Bytes of the request that lie next to each other in the file, too. */
interface Run {
  place: number
  from: number
  length: number
}

/** @param parts its file is owned from now on */
export function blockDisk(parts: BlockDiskParts): DiskImage {
  const disk = new BlockDisk(parts)
  return {
    info: parts.info,
    details: parts.details,
    backing: parts.backing ?? null,
    read: (offset, into) => disk.read(offset, into),
    write: (offset, bytes) => disk.write(offset, bytes),
    writeZeroes: (offset, length) => disk.writeZeroes(offset, length),
    discard: (offset, length) => disk.discard(offset, length),
    flush: () => disk.flush(),
    extent: (offset, length) => disk.extent(offset, length),
    close: () => disk.close(),
  }
}

class BlockDisk {
  #parts: BlockDiskParts
  #guard: RequestGuard
  #reserved = new Map<number, Promise<void>>()
  /** Room that was reserved for writes that failed, as entries. */
  #spare: number[] = []
  #dirty = false
  #preparing: Promise<void> | null = null
  #flushing: Promise<void> = Promise.resolve()
  #nextFlush: Promise<void> | null = null
  #closing: Promise<void> | null = null

  constructor(parts: BlockDiskParts) {
    this.#parts = parts
    this.#guard = requestGuard(parts.info, parts.file.path)
  }

  async read(offset: number, into: Uint8Array): Promise<void> {
    this.#guard.reading(offset, into.length)
    const { blockSize, file, below, partial } = this.#parts
    const work: Promise<void>[] = []
    let run: Run | null = null
    const finish = (): void => {
      if (run) work.push(file.read(run.place, into.subarray(run.from, run.from + run.length)))
      run = null
    }
    try {
      for (const { index, within, from, length } of pieces(offset, into.length, blockSize)) {
        const place = this.#peekPlace(index) ?? (await this.#place(index))
        if (place >= 0 && !(partial && !partial.isComplete(index))) {
          run = extended(run, place + within, from, length) ?? (finish(), { place: place + within, from, length })
          continue
        }
        finish()
        const piece = into.subarray(from, from + length)
        if (place >= 0) work.push(partial!.read(index, place, within, piece))
        else if (place === UNALLOCATED && below) work.push(below(offset + from, piece))
        else piece.fill(0)
      }
      finish()
    } finally {
      // Nothing may still fill `into` after this rejected.
      await Promise.allSettled(work)
    }
    await Promise.all(work)
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#guard.writing(offset, bytes.length)
    await this.#store(offset, bytes.length, bytes)
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    this.#guard.writing(offset, length)
    await this.#store(offset, length, null)
  }

  async discard(offset: number, length: number): Promise<void> {
    this.#guard.writing(offset, length)
    const { blockSize, file, partial } = this.#parts
    let run: Run | null = null
    const finish = async (): Promise<void> => {
      if (run) await file.discard?.(run.place, run.length)
      run = null
    }
    // What is not there, or not all of it, stays as it is: it reads as before.
    for (const { index, within, from, length: size } of pieces(offset, length, blockSize)) {
      const place = this.#peekPlace(index) ?? (await this.#place(index))
      if (place < 0 || (partial && !partial.isComplete(index))) continue
      run = extended(run, place + within, from, size) ?? (await finish(), { place: place + within, from, length: size })
    }
    await finish()
    this.#dirty = true
  }

  flush(): Promise<void> {
    try {
      this.#guard.open()
    } catch (error) {
      return Promise.reject(error as AppError)
    }
    return this.#flush()
  }

  async extent(offset: number, length: number): Promise<Extent> {
    this.#guard.reading(offset, length)
    if (length === 0) throw new AppError('invalid-input', 'An extent of no bytes was asked for.')
    let have = 0
    let state: Extent['state'] | null = null
    let steps = 0
    for (const piece of pieces(offset, length, this.#parts.blockSize)) {
      const place = this.#peekPlace(piece.index) ?? (await this.#place(piece.index))
      const here = place >= 0 ? 'data' : place === ZERO ? 'zero' : 'unallocated'
      if (state !== null && (here !== state || ++steps === EXTENT_STEPS)) break
      state = here
      have += piece.length
    }
    return { length: have, state: state! }
  }

  close(): Promise<void> {
    this.#guard.end()
    this.#closing ??= (async () => {
      try {
        if (!this.#parts.info.readOnly) await this.#flush()
      } finally {
        try {
          await this.#parts.file.close()
        } finally {
          await this.#parts.closeBelow?.()
        }
      }
    })()
    return this.#closing
  }

  /** @param bytes null: zeroes */
  async #store(offset: number, length: number, bytes: Uint8Array | null): Promise<void> {
    const { blockSize, table, file } = this.#parts
    const growth = this.#parts.growth!
    const fresh: { index: number; entry: number; release: () => void }[] = []
    let run: Run | null = null
    const finish = async (): Promise<void> => {
      if (run) await (bytes ? file.write(run.place, bytes.subarray(run.from, run.from + run.length)) : file.zero(run.place, run.length))
      run = null
    }
    let published = false
    try {
      for (const { index, within, from, length: size } of pieces(offset, length, blockSize)) {
        const found = await this.#forWriting(index)
        if (found.place >= 0) {
          run = extended(run, found.place + within, from, size) ?? (await finish(), { place: found.place + within, from, length: size })
          continue
        }
        const alreadyZero = found.place === ZERO || !this.#parts.below
        const rest = this.#sizeOf(index) - size
        if (!bytes && (alreadyZero || (rest === 0 && growth.zeroEntry !== null))) {
          if (alreadyZero) found.release()
          else fresh.push({ index, entry: growth.zeroEntry!, release: found.release })
          continue
        }
        const entry = await this.#room(found.release)
        fresh.push({ index, entry, release: found.release })
        const place = this.#parts.place(entry, index)
        await growth.begin?.(place)
        // Zeroes too where the file was never written: they have no cost there.
        if (!bytes && place >= growth.pristineFrom) await finish()
        else run = extended(run, place + within, from, size) ?? (await finish(), { place: place + within, from, length: size })
        if (rest > 0) await this.#surround(index, place, within, size, alreadyZero)
      }
      await finish()
      for (const { index, entry } of fresh) table.set(index, entry)
      published = true
    } finally {
      // Now, and not before: a flush that began meanwhile has not seen this write.
      this.#dirty = true
      for (const { entry, release } of fresh) {
        if (!published && entry !== growth.zeroEntry) this.#spare.push(entry)
        release()
      }
      // Room that is used again is no longer pristine.
      if (!published && fresh.length > 0) growth.pristineFrom = Infinity
    }
    if (table.changes > MOST_CHANGES) await this.#flush()
  }

  /** Fills a new block but for `length` bytes at `within`. */
  async #surround(index: number, place: number, within: number, length: number, zeroes: boolean): Promise<void> {
    const { blockSize, file, growth, below } = this.#parts
    const fill = async (from: number, to: number): Promise<void> => {
      if (from >= to) return
      if (zeroes) {
        if (place < growth!.pristineFrom) await file.zero(place + from, to - from)
        return
      }
      const bytes = new Uint8Array(to - from)
      const inDisk = Math.min(bytes.length, this.#parts.info.size - (index * blockSize + from))
      if (inDisk > 0) await below!(index * blockSize + from, bytes.subarray(0, inDisk))
      await file.write(place + from, bytes)
    }
    await fill(0, within)
    await fill(within + length, blockSize)
  }

  async #room(release: () => void): Promise<number> {
    try {
      // What `prepare` writes (a footer, the file's length) lies where the next block will be.
      while (this.#preparing) await this.#preparing.catch(() => {})
      return this.#spare.pop() ?? this.#parts.growth!.allocate()
    } catch (error) {
      release()
      throw error
    }
  }

  /** A block's place; where it has none (or not all of it), it is reserved until `release`, or completed. */
  async #forWriting(index: number): Promise<{ place: number; release: () => void }> {
    const { partial } = this.#parts
    for (;;) {
      const busy = this.#reserved.get(index)
      if (busy) {
        await busy
        continue
      }
      const place = this.#peekPlace(index)
      if (place === undefined) {
        await this.#place(index)
        continue
      }
      if (place >= 0 && !(partial && !partial.isComplete(index))) return { place, release: () => {} }
      const gate = Promise.withResolvers<void>()
      this.#reserved.set(index, gate.promise)
      const release = (): void => {
        this.#reserved.delete(index)
        gate.resolve()
      }
      if (place < 0) return { place, release }
      try {
        await partial!.complete(index, place)
      } finally {
        release()
      }
    }
  }

  #peekPlace(index: number): number | undefined {
    const entry = this.#parts.table.peek(index)
    return entry === undefined ? undefined : this.#parts.place(entry, index)
  }

  async #place(index: number): Promise<number> {
    return this.#parts.place(await this.#parts.table.get(index), index)
  }

  /** The last block may reach past the end of the disk. */
  #sizeOf(index: number): number {
    return Math.min(this.#parts.blockSize, this.#parts.info.size - index * this.#parts.blockSize)
  }

  /** One at a time; who asks while one waits to begin shares that one. */
  #flush(): Promise<void> {
    this.#nextFlush ??= this.#flushing = this.#flushing
      .catch(() => {}) // told to whoever asked for it
      .then(() => {
        this.#nextFlush = null
        return this.#commit()
      })
    return this.#nextFlush
  }

  async #commit(): Promise<void> {
    const { file, table, growth } = this.#parts
    if (!this.#dirty || !growth) return
    this.#dirty = false
    const entriesChanged = table.changes > 0
    table.take()
    try {
      this.#preparing = growth.prepare()
      await this.#preparing.finally(() => (this.#preparing = null))
      await file.sync()
      if (!entriesChanged) return
      await table.write()
      await file.sync()
    } catch (error) {
      table.putBack()
      this.#dirty = true
      throw error
    }
  }
}

/** The parts of a request that lie in one block each. */
function* pieces(offset: number, length: number, blockSize: number) {
  for (let from = 0; from < length;) {
    const index = Math.floor((offset + from) / blockSize)
    const within = offset + from - index * blockSize
    const size = Math.min(blockSize - within, length - from)
    yield { index, within, from, length: size }
    from += size
  }
}

/** `run` with a piece that follows it in the request and in the file; null where it does not follow. */
function extended(run: Run | null, place: number, from: number, length: number): Run | null {
  if (!run || run.place + run.length !== place || run.from + run.length !== from) return null
  run.length += length
  return run
}
