/**
 * Which clusters of the file are in use, and where new ones are found.
 *
 * Room is taken in ascending order from the lowest cluster that may be free. A refcount block that is missing takes the first free cluster of the
 * range that it counts, so that it counts itself. When the refcount table is full, a larger one is laid out behind everything else, together with
 * the blocks that count it. See write-back.ts for the order in which all that gets to disk.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { Turns } from '../../../../src-shared/base/turns.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { ClusterRuns } from './cluster-runs.ts'
import { corrupt, type Qcow2Header } from './header.ts'
import { MAX_REFCOUNT_TABLE_BYTES } from './limits.ts'
import type { MetadataPlaces } from './metadata-places.ts'
import { RefcountBlocks } from './refcount-blocks.ts'

export interface Allocation {
  /** In the file, bytes. */
  offset: number
  /** Clusters, at least 1. */
  count: number
  /** What is not written there reads as zeroes. */
  fresh: boolean
}

/** What clusters at the end of the file need besides themselves to be counted. */
interface SpanPlan {
  /** All clusters, with those of the tables. */
  total: number
  /** Of a larger refcount table; 0: it is large enough. */
  tableClusters: number
  /** Indexes of blocks. */
  missing: number[]
}

export class Refcounts {
  readonly #file: ByteFile
  readonly #clusterSize: number
  readonly #places: MetadataPlaces
  /** For those who write what has changed. */
  readonly blocks: RefcountBlocks
  readonly #turns = new Turns()
  /** No cluster below this index is free. */
  #lowest = 0
  /** Bytes: nothing at or past this offset was ever written or given away. */
  #end: number
  /** Bytes: where the next compressed cluster may begin, in a cluster that others have begun; 0: nowhere. */
  #tail = 0
  /** What came to light about the image's counts. */
  #distrust: AppError | null = null
  #dropped = new ClusterRuns()

  constructor(file: ByteFile, header: Qcow2Header, table: Float64Array<ArrayBuffer>, places: MetadataPlaces) {
    this.#file = file
    this.#clusterSize = header.clusterSize
    this.#places = places
    this.blocks = new RefcountBlocks(file, header, table)
    this.#end = Math.ceil(file.size / header.clusterSize) * header.clusterSize
  }

  /** Runs of clusters that wait for `takeDropped`. */
  get dropped(): number {
    return this.#dropped.length
  }

  /** Bytes: where the file ends when everything that was given away is written. */
  get end(): number {
    return this.#end
  }

  /**
   * @param most clusters that lie side by side, at least 1
   * @returns up to `most` clusters, counted once each
   * @throws AppError `corrupt`, `no-space`, or the file's reason
   */
  allocate(most: number): Promise<Allocation> {
    return this.#turns.run(() => this.#allocate(most))
  }

  /** Exactly `count` clusters side by side, behind everything else. */
  allocateSpan(count: number): Promise<Allocation> {
    return this.#turns.run(() => this.#allocateSpan(count))
  }

  /** Room for `length` compressed bytes, less than a cluster; each cluster that they touch is counted once more. */
  allocateBytes(length: number): Promise<number> {
    return this.#turns.run(async () => {
      const size = this.#clusterSize
      const left = this.#tail === 0 ? 0 : size - (this.#tail % size)
      const shared = Math.floor(this.#tail / size)
      const joins = left > 0 && (await this.#count(shared)) < this.blocks.max
      let offset = this.#tail
      if (!joins || left < length) {
        const next = await this.#allocate(1)
        if (!joins || next.offset !== (shared + 1) * size) offset = next.offset
      }
      if (joins && offset === this.#tail) await this.#increase(shared)
      this.#tail = (offset + length) % size === 0 ? 0 : offset + length
      return offset
    })
  }

  /** Clusters that nothing refers to, in memory or on disk: they were allocated for something that failed. */
  async release(offset: number, count: number): Promise<void> {
    await this.free([{ first: offset / this.#clusterSize, count }])
  }

  /** The clusters that the bytes touch lose a reference in memory; on disk it still stands. They are free when `free` got them. */
  drop(offset: number, length: number): void {
    const first = Math.floor(offset / this.#clusterSize)
    this.#dropped.add(first, Math.ceil((offset + length) / this.#clusterSize) - first)
  }

  takeDropped(): ClusterRuns {
    const taken = this.#dropped
    this.#dropped = new ClusterRuns()
    return taken
  }

  restoreDropped(runs: ClusterRuns): void {
    for (const { first, count } of this.#dropped) runs.add(first, count)
    this.#dropped = runs
  }

  /** Takes one reference from each cluster: nothing on disk refers to it for that reference any more. Those that nobody needs any more become holes. */
  async free(runs: Iterable<{ first: number; count: number }>): Promise<void> {
    await this.#turns.run(async () => {
      for (const { first, count } of runs) {
        for (let cluster = first; cluster < first + count;) {
          const end = Math.min(first + count, (Math.floor(cluster / this.blocks.perBlock) + 1) * this.blocks.perBlock)
          await this.#freeWithin(cluster, end)
          cluster = end
        }
      }
    })
  }

  /** Cuts the file behind the last cluster in use. What is free there is free on disk, too: to be called after a flush that freed it. */
  cutEnd(): Promise<void> {
    return this.#turns.run(async () => {
      let end = this.#end / this.#clusterSize
      while (end > 0 && (await this.#count(end - 1)) === 0) end--
      const size = end * this.#clusterSize
      if (size >= this.#file.size) return
      await this.#file.truncate(size)
      this.#end = size
    })
  }

  async #allocate(most: number): Promise<Allocation> {
    const { blocks } = this
    if (this.#distrust) throw this.#distrust
    for (let cluster = this.#lowest; ; this.#lowest = cluster) {
      const index = Math.floor(cluster / blocks.perBlock)
      if (index >= blocks.room) await this.#allocateSpan(0, index)
      if (!blocks.has(index)) {
        this.#claim(cluster, 1)
        this.#addBlock(index, cluster)
        blocks.setKept(cluster++, 1, 1)
        continue
      }
      const block = await blocks.load(index)
      const blockEnd = (index + 1) * blocks.perBlock
      while (cluster < blockEnd && blocks.get(block, cluster) !== 0) cluster++
      if (cluster === blockEnd) continue
      let count = 1
      while (count < most && cluster + count < blockEnd && blocks.get(block, cluster + count) === 0) count++
      const allocation = this.#claim(cluster, count)
      blocks.set(block, cluster, count, 1)
      this.#lowest = cluster + count
      return allocation
    }
  }

  /** @param covering the refcount table is to have room for an entry of this index afterwards */
  async #allocateSpan(count: number, covering = 0): Promise<Allocation> {
    if (this.#distrust) throw this.#distrust
    for (let start = this.#end / this.#clusterSize; ;) {
      const plan = this.#planSpan(start, count, covering)
      const used = await this.#lastUsed(start, plan)
      if (used !== null) {
        start = used + 1
        continue
      }
      // From here on nothing waits, so that no capture sees a half of it.
      this.#claim(start, plan.total)
      let next = start
      if (plan.tableClusters > 0) {
        const old = this.blocks.place
        this.#places.remove(old.offset / this.#clusterSize, old.clusters)
        this.drop(old.offset, old.clusters * this.#clusterSize)
        this.blocks.moveTable(next * this.#clusterSize, plan.tableClusters)
        this.#places.add(next, plan.tableClusters)
        next += plan.tableClusters
      }
      for (const index of plan.missing) this.#addBlock(index, next++)
      this.blocks.setKept(start, plan.total, 1)
      return { offset: next * this.#clusterSize, count, fresh: true }
    }
  }

  #planSpan(start: number, count: number, covering: number): SpanPlan {
    const { perBlock, room, place } = this.blocks
    const size = this.#clusterSize
    for (let total = count; ;) {
      const first = Math.floor(start / perBlock)
      const last = Math.floor((start + total - 1) / perBlock)
      const needed = Math.max(first, last, covering)
      let tableClusters = 0
      if (needed >= room) {
        const least = Math.ceil(((needed + 1) * 8) / size)
        const most = Math.max(1, MAX_REFCOUNT_TABLE_BYTES / size)
        if (least > most || (start + total) * size > Number.MAX_SAFE_INTEGER)
          throw new AppError(
            'no-space',
            `The disk image “${this.#file.path}” cannot grow further: its format cannot count more clusters.`,
            {
              subject: this.#file.path,
            },
          )
        tableClusters = Math.min(most, Math.max(least, Math.ceil(place.clusters * 1.5)))
      }
      const missing: number[] = []
      for (let index = first; index <= last; index++) if (!this.blocks.has(index)) missing.push(index)
      const sum = count + tableClusters + missing.length
      if (sum <= total) return { total: sum, tableClusters, missing }
      total = sum
    }
  }

  /** The last cluster of a span that is in use; null when all are free. Blocks that count it stay in memory. */
  async #lastUsed(start: number, { total, missing }: SpanPlan): Promise<number | null> {
    const { blocks } = this
    const last = Math.floor((start + total - 1) / blocks.perBlock)
    for (let index = Math.floor(start / blocks.perBlock); index <= last; index++) {
      if (missing.includes(index)) continue
      const block = await blocks.load(index)
      const first = Math.max(start, index * blocks.perBlock)
      for (let cluster = Math.min(start + total, (index + 1) * blocks.perBlock) - 1; cluster >= first; cluster--)
        if (blocks.get(block, cluster) !== 0) return cluster
      blocks.keep(block)
    }
    return null
  }

  #addBlock(index: number, cluster: number): void {
    this.blocks.add(index, cluster)
    this.#places.add(cluster, 1)
  }

  /** Clusters whose count is 0 are given away. */
  #claim(cluster: number, count: number): Allocation {
    if (this.#places.within(cluster, cluster + count))
      throw (this.#distrust = corrupt(
        this.#file.path,
        `its reference counts say that cluster ${cluster} is free, but its own tables lie there`,
      ))
    const offset = cluster * this.#clusterSize
    const fresh = offset >= this.#end
    this.#end = Math.max(this.#end, offset + count * this.#clusterSize)
    return { offset, count, fresh }
  }

  async #count(cluster: number): Promise<number> {
    const index = Math.floor(cluster / this.blocks.perBlock)
    return this.blocks.has(index) ? this.blocks.get(await this.blocks.load(index), cluster) : 0
  }

  async #increase(cluster: number): Promise<void> {
    const block = await this.blocks.load(Math.floor(cluster / this.blocks.perBlock))
    this.blocks.set(block, cluster, 1, this.blocks.get(block, cluster) + 1)
  }

  /** Takes one reference from each of the clusters from `first` to before `end`, which one block counts. */
  async #freeWithin(first: number, end: number): Promise<void> {
    const { blocks } = this
    const index = Math.floor(first / blocks.perBlock)
    const block = blocks.has(index) ? await blocks.load(index) : null
    for (let cluster = first; cluster < end;) {
      const count = block ? blocks.get(block, cluster) : 0
      if (!block || count === 0) {
        // Whatever else refers to it, its next owner would share it unawares.
        this.#distrust = corrupt(this.#file.path, `cluster ${cluster} is in use, but its reference count is 0`)
        cluster++
        continue
      }
      if (count > 1) {
        if (count <= blocks.max) blocks.set(block, cluster, 1, count - 1)
        cluster++
        continue
      }
      let unused = 1
      while (cluster + unused < end && blocks.get(block, cluster + unused) === 1) unused++
      // Until its count is 0, nobody else gets the room.
      await this.#makeHole(cluster, unused)
      blocks.set(block, cluster, unused, 0)
      this.#lowest = Math.min(this.#lowest, cluster)
      const tail = Math.floor(this.#tail / this.#clusterSize)
      if (tail >= cluster && tail < cluster + unused) this.#tail = 0
      cluster += unused
    }
  }

  async #makeHole(cluster: number, count: number): Promise<void> {
    const offset = cluster * this.#clusterSize
    const length = Math.min(count * this.#clusterSize, this.#file.size - offset)
    if (length > 0) await this.#file.discard?.(offset, length)
  }
}
