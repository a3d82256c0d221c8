/**
 * Writes the disk. What lies in clusters of the image's own is written in place. Everything else (nothing there yet, zeroes, compressed, shared with
 * a snapshot) gets new clusters: the bytes, and what the clusters had around them, are written first; when that is done, the entries change in
 * memory, and the old clusters lose a reference. The caller sees to it that nobody else uses the mapping of these clusters, except in `writeInPlace`.
 */
import { allDone, underWay } from './all-done.ts'
import type { ClusterReader, MappedRun } from './cluster-reader.ts'
import { compress } from './compression.ts'
import { compressedEnd, compressedHigh, compressedPlace, COPIED, entryHigh, entryKind, entryLow, entryOffset, KIND } from './entry.ts'
import { corrupt } from './header.ts'
import type { ImageParts, WritingParts } from './image-parts.ts'
import type { Slice } from './mapping.ts'

/** Bytes up to which what surrounds a request is put together with it, to be written at once. */
const GATHER_BYTES = 256 * 1024

/** Clusters for a run of the disk, and what is known of them. */
interface Room {
  host: number
  count: number
  fresh: boolean
  /** They were the run's before. */
  reused: boolean
}

export class ClusterWriter {
  readonly #parts: ImageParts
  readonly #writing: WritingParts
  readonly #reader: ClusterReader
  readonly #clusterSize: number

  constructor(parts: ImageParts, writing: WritingParts, reader: ClusterReader) {
    this.#parts = parts
    this.#writing = writing
    this.#reader = reader
    this.#clusterSize = parts.header.clusterSize
  }

  /** Writes where the mapping need not change for it. @returns false: it needs to, and nothing is written */
  async writeInPlace(offset: number, bytes: Uint8Array): Promise<boolean> {
    const runs: MappedRun[] = []
    for (let done = 0; done < bytes.length;) {
      const run = this.#reader.runNow(offset + done, bytes.length - done) ?? (await this.#reader.run(offset + done, bytes.length - done))
      if (!ownData(run)) return false
      runs.push(run)
      done += run.length
    }
    const work: Promise<void>[] = []
    let done = 0
    for (const run of runs) this.#checkNoMetadata(run)
    for (const run of runs) {
      work.push(this.#parts.file.write(run.host, bytes.subarray(done, done + run.length)))
      done += run.length
    }
    await allDone(work)
    return true
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    const work: Promise<void>[] = []
    try {
      for (let done = 0; done < bytes.length;) {
        const run = this.#reader.runNow(offset + done, bytes.length - done) ?? (await this.#reader.run(offset + done, bytes.length - done))
        if (ownData(run)) {
          this.#checkNoMetadata(run)
          work.push(underWay(this.#parts.file.write(run.host, bytes.subarray(done, done + run.length))))
          done += run.length
          continue
        }
        const room = await this.#findRoom(offset + done, run)
        const start = offset + done
        const end = Math.min(start + run.length, (Math.floor(start / this.#clusterSize) + room.count) * this.#clusterSize)
        work.push(underWay(this.#fill(room, run, start, bytes.subarray(done, done + end - start))))
        done = end - offset
      }
    } catch (error) {
      work.push(Promise.reject(error as Error))
    }
    await allDone(work)
  }

  /**
   * A whole cluster, compressed where that makes it smaller.
   * @param bytes a cluster's, also at the end of the disk
   * @returns false: it cannot be compressed, and nothing is written
   */
  async writeCompressed(offset: number, bytes: Uint8Array, compressed: Uint8Array): Promise<boolean> {
    const { mapping, file, header } = this.#parts
    if (compressed.length >= bytes.length) return false
    const cluster = Math.floor(offset / this.#clusterSize)
    await mapping.ensureTable(cluster)
    const host = await this.#writing.refcounts.allocateBytes(compressed.length)
    const high = compressedHigh(host, compressed.length, header.clusterBits)
    const low = entryLow(host)
    try {
      if (host + compressed.length > compressedEnd(header.clusterBits)) return await this.#giveBack(high, low)
      await file.write(host, compressed)
      const slice = mapping.peek(cluster) ?? (await mapping.load(cluster))
      this.unlink(slice, cluster % mapping.perSlice)
      mapping.set(slice, cluster % mapping.perSlice, high, low)
      return true
    } catch (error) {
      await this.#giveBack(high, low)
      throw error
    }
  }

  compress(bytes: Uint8Array): Promise<Uint8Array> {
    return compress(bytes, this.#parts.header.compression)
  }

  /** The clusters that an entry refers to lose that reference. The caller sets the entry anew at once. */
  unlink(slice: Slice, at: number): void {
    const high = slice.view.getUint32(at * 8)
    const low = slice.view.getUint32(at * 8 + 4)
    const kind = entryKind(high, low)
    if (kind === KIND.compressed) {
      const { offset, length } = compressedPlace(high, low, this.#parts.header.clusterBits)
      this.#reader.forgetDecompressed()
      this.#writing.refcounts.drop(offset, length)
    } else if (kind === KIND.data || kind === KIND.zeroAllocated) this.#writing.refcounts.drop(entryOffset(high, low), this.#clusterSize)
  }

  async #giveBack(high: number, low: number): Promise<false> {
    const { offset, length } = compressedPlace(high, low, this.#parts.header.clusterBits)
    const first = Math.floor(offset / this.#clusterSize)
    await this.#writing.refcounts.free([{ first, count: Math.ceil((offset + length) / this.#clusterSize) - first }])
    return false
  }

  /** For the clusters of a run, or the first of them. */
  async #findRoom(offset: number, run: MappedRun): Promise<Room> {
    const { mapping } = this.#parts
    const first = Math.floor(offset / this.#clusterSize)
    const inSlice = mapping.perSlice - (first % mapping.perSlice)
    const count = Math.min(inSlice, Math.ceil((offset + run.length) / this.#clusterSize) - first)
    await mapping.ensureTable(first)
    if (run.kind === KIND.zeroAllocated && (run.high & COPIED) !== 0) {
      this.#checkNoMetadata(run)
      return { host: run.host - (offset % this.#clusterSize), count, fresh: false, reused: true }
    }
    const { offset: host, count: got, fresh } = await this.#writing.refcounts.allocate(count)
    return { host, count: got, fresh, reused: false }
  }

  async #fill(room: Room, run: MappedRun, start: number, bytes: Uint8Array): Promise<void> {
    const { mapping } = this.#parts
    const first = Math.floor(start / this.#clusterSize)
    try {
      await this.#writeAround(room, run, start, bytes)
      const slice = mapping.peek(first) ?? (await mapping.load(first))
      for (let i = 0; i < room.count; i++) {
        const at = (first + i) % mapping.perSlice
        if (!room.reused) this.unlink(slice, at)
        const host = room.host + i * this.#clusterSize
        mapping.set(slice, at, (entryHigh(host) | COPIED) >>> 0, entryLow(host))
      }
    } catch (error) {
      if (!room.reused) await this.#writing.refcounts.release(room.host, room.count)
      throw error
    }
  }

  /** The bytes, and the rest of the clusters that they begin and end in, as it was. */
  async #writeAround(room: Room, run: MappedRun, start: number, bytes: Uint8Array): Promise<void> {
    const { file } = this.#parts
    const size = this.#clusterSize
    const head = start % size
    const tail = room.count * size - head - bytes.length
    const zero =
      run.kind === KIND.zero ||
      run.kind === KIND.zeroAllocated ||
      (run.kind === KIND.unallocated && this.#reader.backingIsZero(start - head))
    if (head + tail === 0 || (zero && room.fresh)) return file.write(room.host + head, bytes)

    const whole = head + bytes.length + tail
    if (whole <= Math.max(GATHER_BYTES, size)) {
      const all = new Uint8Array(whole)
      if (!zero) await this.#readAround(all, start - head, head, tail)
      all.set(bytes, head)
      return file.write(room.host, all)
    }
    const before = new Uint8Array(head)
    const after = new Uint8Array(tail)
    if (!zero) await allDone([this.#readDisk(start - head, before), this.#readDisk(start + bytes.length, after)])
    await allDone([
      ...(head > 0 ? [file.write(room.host, before)] : []),
      file.write(room.host + head, bytes),
      ...(tail > 0 ? [file.write(room.host + head + bytes.length, after)] : []),
    ])
  }

  /** The first `head` and the last `tail` bytes of `all`; what is between them may be read as well. */
  async #readAround(all: Uint8Array, from: number, head: number, tail: number): Promise<void> {
    if (all.length === this.#clusterSize && head > 0 && tail > 0) return this.#readDisk(from, all)
    await allDone([this.#readDisk(from, all.subarray(0, head)), this.#readDisk(from + all.length - tail, all.subarray(all.length - tail))])
  }

  /** Past the end of the disk are zeroes, whatever the old cluster or the backing has there. */
  async #readDisk(offset: number, into: Uint8Array): Promise<void> {
    const there = Math.min(into.length, Math.max(0, this.#parts.info.size - offset))
    await this.#reader.read(offset, into.subarray(0, there))
  }

  #checkNoMetadata(run: MappedRun): void {
    const first = Math.floor(run.host / this.#clusterSize)
    const end = Math.ceil((run.host + run.length) / this.#clusterSize)
    if (this.#writing.places.within(first, end))
      throw corrupt(
        this.#parts.file.path,
        `a cluster of the disk is said to lie at ${first * this.#clusterSize} of the file, where the image has its own tables`,
      )
  }
}

/** Whether it may be written in place. */
function ownData(run: MappedRun): boolean {
  return run.kind === KIND.data && (run.high & COPIED) !== 0
}
