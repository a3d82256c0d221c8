/** Reads the disk: finds runs of clusters that lie side by side, and gets each of them at once. The caller sees to it that their mapping stays. */
import type { BlockDevice } from '../../block-device.ts'
import { allDone, underWay } from './all-done.ts'
import { decompress } from './compression.ts'
import { compressedEnd, compressedPlace, entryKind, entryOffset, KIND, type Kind } from './entry.ts'
import { beyondRepair, corrupt } from './header.ts'
import type { ImageParts } from './image-parts.ts'
import type { Slice } from './mapping.ts'

/** Bytes of decompressed clusters kept, for readers that come in pieces smaller than a cluster. */
const DECOMPRESSED_BYTES = 4 * 1024 * 1024

/** Bytes of the disk that one entry, or several for clusters side by side, say the same of. */
export interface MappedRun {
  kind: Kind
  /** Bytes, at least 1. */
  length: number
  /** Offset in the file of its first byte, where it is `data` or `zeroAllocated`. */
  host: number
  /** The entry's halves. */
  high: number
  low: number
}

export class ClusterReader {
  readonly #parts: ImageParts
  readonly #clusterSize: number
  /** By their entries. */
  readonly #decompressed = new Map<string, Promise<Uint8Array>>()

  constructor(parts: ImageParts) {
    this.#parts = parts
    this.#clusterSize = parts.header.clusterSize
  }

  /** Compressed clusters have moved or gone. */
  forgetDecompressed(): void {
    this.#decompressed.clear()
  }

  /** What the image says of the bytes from `offset` on, up to `length`. Ends at the end of a slice at the latest. */
  async run(offset: number, length: number): Promise<MappedRun> {
    return this.runNow(offset, length) ?? this.runIn(await this.#parts.mapping.load(Math.floor(offset / this.#clusterSize)), offset, length)
  }

  /** As `run`; null: the table has to be loaded first. */
  runNow(offset: number, length: number): MappedRun | null {
    const { mapping } = this.#parts
    const cluster = Math.floor(offset / this.#clusterSize)
    if (!mapping.hasTable(cluster)) {
      const end = (Math.floor(cluster / mapping.perTable) + 1) * mapping.perTable * this.#clusterSize
      return { kind: KIND.unallocated, length: Math.min(length, end - offset), host: 0, high: 0, low: 0 }
    }
    const slice = mapping.peek(cluster)
    return slice ? this.runIn(slice, offset, length) : null
  }

  /** As `run`, in a slice that maps the cluster at `offset`. */
  runIn(slice: Slice, offset: number, length: number): MappedRun {
    const size = this.#clusterSize
    const { perSlice } = this.#parts.mapping
    const at = Math.floor(offset / size) % perSlice
    const within = offset % size
    const high = slice.view.getUint32(at * 8)
    const low = slice.view.getUint32(at * 8 + 4)
    const kind = entryKind(high, low)
    let bytes = size - within
    if (kind === KIND.compressed) return { kind, length: Math.min(length, bytes), host: 0, high, low }
    const host = entryOffset(high, low)
    if (host !== 0) this.#checkPlace(host, offset)
    if ((kind === KIND.zero || kind === KIND.zeroAllocated) && this.#parts.header.version === 2)
      throw corrupt(this.#parts.file.path, `the cluster at ${offset} is marked as zeroes, which version 2 does not have`)
    const flag = high & 0x80000000
    for (let next = at + 1; next < perSlice && bytes < length; next++, bytes += size) {
      const nextHigh = slice.view.getUint32(next * 8)
      const nextLow = slice.view.getUint32(next * 8 + 4)
      if (entryKind(nextHigh, nextLow) !== kind || (nextHigh & 0x80000000) !== flag) break
      if (host !== 0 && entryOffset(nextHigh, nextLow) !== host + within + bytes) break
    }
    return { kind, length: Math.min(length, bytes), host: host + within, high, low }
  }

  /** Fills all of `into`. */
  async read(offset: number, into: Uint8Array): Promise<void> {
    const work: Promise<void>[] = []
    let showing = 0 // bytes before `done` that the backing shows
    let done = 0
    const show = (): void => {
      if (showing > 0) work.push(underWay(this.readBacking(offset + done - showing, into.subarray(done - showing, done))))
      showing = 0
    }
    try {
      while (done < into.length) {
        const run = this.runNow(offset + done, into.length - done) ?? (await this.run(offset + done, into.length - done))
        if (run.kind === KIND.unallocated) showing += run.length
        else {
          show()
          const piece = into.subarray(done, done + run.length)
          if (run.kind === KIND.data) work.push(underWay(this.#parts.file.read(run.host, piece)))
          else if (run.kind === KIND.compressed) work.push(underWay(this.#readCompressed(run, (offset + done) % this.#clusterSize, piece)))
          else piece.fill(0)
        }
        done += run.length
      }
      show()
    } catch (error) {
      work.push(Promise.reject(error as Error)) // but only when nothing fills `into` any more
    }
    if (work.length > 0) await allDone(work)
  }

  /** Whether all of it is zeroes as far as the backing is concerned: there is none, or it has ended. */
  backingIsZero(offset: number): boolean {
    const { backing } = this.#parts
    return !backing || offset >= backing.info.size
  }

  async readBacking(offset: number, into: Uint8Array): Promise<void> {
    const { backing } = this.#parts
    const there = backing ? Math.min(into.length, Math.max(0, backing.info.size - offset)) : 0
    into.fill(0, there)
    if (there > 0) await (backing as BlockDevice).read(offset, into.subarray(0, there))
  }

  async #readCompressed(run: MappedRun, within: number, into: Uint8Array): Promise<void> {
    const cluster = await this.#decompress(run)
    into.set(cluster.subarray(within, within + into.length))
  }

  #decompress({ high, low }: MappedRun): Promise<Uint8Array> {
    const { file, header } = this.#parts
    const key = `${high}:${low}`
    const known = this.#decompressed.get(key)
    if (known) return known
    const { offset, length } = compressedPlace(high, low, header.clusterBits)
    const work = (async () => {
      if (offset + length > compressedEnd(header.clusterBits)) throw corrupt(file.path, `a compressed cluster lies at ${offset}`)
      const stored = new Uint8Array(length)
      await file.read(offset, stored)
      const bytes = await decompress(stored, header.clusterSize, header.compression)
      if (!bytes) throw beyondRepair(file.path, `the compressed cluster at ${offset} of the file cannot be decompressed`)
      return bytes
    })()
    this.#decompressed.set(key, work)
    work.catch(() => {
      if (this.#decompressed.get(key) === work) this.#decompressed.delete(key)
    })
    for (const oldest of this.#decompressed.keys()) {
      if (this.#decompressed.size <= Math.max(1, Math.min(64, DECOMPRESSED_BYTES / header.clusterSize))) break
      this.#decompressed.delete(oldest)
    }
    return work
  }

  #checkPlace(host: number, offset: number): void {
    if (host % this.#clusterSize !== 0 || host > Number.MAX_SAFE_INTEGER - 2 ** 32)
      throw corrupt(this.#parts.file.path, `the cluster at ${offset} of the disk is said to lie at ${host} of the file`)
  }
}
