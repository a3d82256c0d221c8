/**
 * Which clusters of the file are in use (qcow2.rst, "Host cluster management"), and where new ones are found.
 *
 * Counts change in memory; `capture` hands what changed to whoever writes it (see write-back.ts for the order). Room is taken in ascending order
 * from the lowest cluster that may be free. A refcount block that is missing takes the first free cluster of the range that it counts, so that it
 * counts itself. When the refcount table is full, a larger one is laid out behind everything else, together with the blocks that count it.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { Turns } from '../../../../src-shared/base/turns.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { corrupt, type Qcow2Header } from './header.ts'
import { MAX_REFCOUNT_TABLE_BYTES, REFCOUNT_CACHE_BYTES } from './limits.ts'
import type { MetadataPlaces } from './metadata-places.ts'
import { refcountWidth, type RefcountWidth } from './refcount-width.ts'
import { ClusterRuns } from './cluster-runs.ts'

interface Block {
  index: number
  bytes: Uint8Array<ArrayBuffer>
  view: DataView
  /** Bytes from `dirtyFrom` to before `dirtyTo` have changed. */
  dirtyFrom: number
  dirtyTo: number
}

export interface Allocation {
  /** In the file, bytes. */
  offset: number
  /** Clusters, at least 1. */
  count: number
  /** What is not written there reads as zeroes. */
  fresh: boolean
}

/** Bytes to be written at an offset of the file. */
export interface Piece {
  offset: number
  bytes: Uint8Array
}

/** What has changed since the last capture. */
export interface RefcountChanges {
  /** Written first: nothing on disk depends on them. */
  blocks: Piece[]
  /** Entries of the refcount table; written when `blocks` are on disk. */
  entries: Piece[]
  /** The refcount table has moved; the header is to say so when `blocks` (which hold the table, too) are on disk. */
  moved: { offset: number; clusters: number } | null
  /** Nothing of it came to be written: it counts as changed again. */
  undo(): void
}

export class Refcounts {
  readonly #file: ByteFile
  readonly #clusterSize: number
  readonly #width: RefcountWidth
  readonly #perBlock: number
  readonly #places: MetadataPlaces
  /** Offsets of refcount blocks; 0: none. */
  #table: Float64Array<ArrayBuffer>
  #tableOffset: number
  #tableClusters: number
  #tableDirty = new Set<number>()
  #moved = false
  readonly #blocks = new Map<number, Block>()
  #dirtyBlocks = 0
  readonly #mostBlocks: number
  readonly #turns = new Turns()
  /** No cluster below this index is free. */
  #lowest = 0
  /** Bytes: nothing at or past this offset was ever written or given away. */
  #end: number
  /** Bytes: where the next compressed cluster may begin, in a cluster that others have begun; 0: nowhere. */
  #tail = 0
  /** What came to light about the image's counts. */
  #distrust: AppError | null = null
  #pending: ClusterRuns

  constructor(file: ByteFile, header: Qcow2Header, table: Float64Array<ArrayBuffer>, places: MetadataPlaces) {
    this.#file = file
    this.#clusterSize = header.clusterSize
    this.#width = refcountWidth(header.refcountBits)
    this.#perBlock = (header.clusterSize * 8) / header.refcountBits
    this.#places = places
    this.#table = table
    this.#tableOffset = header.refcountTableOffset
    this.#tableClusters = header.refcountTableClusters
    this.#mostBlocks = Math.max(4, REFCOUNT_CACHE_BYTES / header.clusterSize)
    this.#end = Math.ceil(file.size / header.clusterSize) * header.clusterSize
    this.#pending = new ClusterRuns()
  }

  /** Bytes of changed blocks. */
  get dirtyBytes(): number {
    return this.#dirtyBlocks * this.#clusterSize
  }

  /** Whether the refcount table itself has changed. */
  get tableChanged(): boolean {
    return this.#moved || this.#tableDirty.size > 0
  }

  /** Runs of clusters that wait for `takeDropped`. */
  get dropped(): number {
    return this.#pending.length
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
      const joins = left > 0 && (await this.#count(shared)) < this.#width.max
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
    this.#pending.add(first, Math.ceil((offset + length) / this.#clusterSize) - first)
  }

  takeDropped(): ClusterRuns {
    const taken = this.#pending
    this.#pending = new ClusterRuns()
    return taken
  }

  restoreDropped(runs: ClusterRuns): void {
    for (const { first, count } of this.#pending) runs.add(first, count)
    this.#pending = runs
  }

  /** Takes one reference from each cluster: nothing on disk refers to it for that reference any more. Those that nobody needs any more become holes. */
  async free(runs: Iterable<{ first: number; count: number }>): Promise<void> {
    await this.#turns.run(async () => {
      for (const { first, count } of runs) {
        for (let cluster = first; cluster < first + count;) {
          const end = Math.min(first + count, (Math.floor(cluster / this.#perBlock) + 1) * this.#perBlock)
          await this.#freeWithin(cluster, end)
          cluster = end
        }
      }
    })
  }

  /** The count of the cluster at `offset`. */
  count(offset: number): Promise<number> {
    return this.#turns.run(() => this.#count(offset / this.#clusterSize))
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

  /** What has changed since the last time, as it is now. */
  capture(): RefcountChanges {
    const blocks: Piece[] = []
    const ranges: { block: Block; from: number; to: number }[] = []
    for (const block of this.#dirtyBlocks === 0 ? [] : this.#blocks.values()) {
      if (block.dirtyTo === 0) continue
      const from = block.dirtyFrom - (block.dirtyFrom % 512)
      const to = Math.ceil(block.dirtyTo / 512) * 512
      blocks.push({ offset: this.#table[block.index]! + from, bytes: block.bytes.slice(from, to) })
      ranges.push({ block, from, to })
      block.dirtyFrom = block.dirtyTo = 0
    }
    this.#dirtyBlocks = 0
    const entries: Piece[] = []
    const changed = this.#tableDirty
    const moved = this.#moved ? { offset: this.#tableOffset, clusters: this.#tableClusters } : null
    if (moved) blocks.push({ offset: this.#tableOffset, bytes: this.#encodeTable(0, this.#table.length) })
    else
      for (const sector of new Set([...changed].map((index) => Math.floor(index / 64))))
        entries.push({ offset: this.#tableOffset + sector * 512, bytes: this.#encodeTable(sector * 64, sector * 64 + 64) })
    this.#tableDirty = new Set()
    this.#moved = false
    return {
      blocks,
      entries,
      moved,
      undo: () => {
        for (const { block, from, to } of ranges) this.#markDirty(block, from, to)
        for (const index of changed) this.#tableDirty.add(index)
        this.#moved ||= moved !== null
      },
    }
  }

  async #allocate(most: number): Promise<Allocation> {
    if (this.#distrust) throw this.#distrust
    for (let cluster = this.#lowest; ;) {
      const index = Math.floor(cluster / this.#perBlock)
      const base = index * this.#perBlock
      if (index >= this.#table.length) await this.#allocateSpan(0, index)
      const block = this.#table[index] === 0 ? null : await this.#block(index)
      if (!block) {
        this.#claim(cluster, 1)
        this.#addBlock(index, cluster)
        this.#mark(cluster, 1)
        this.#lowest = ++cluster
        continue
      }
      let at = cluster - base
      while (at < this.#perBlock && this.#width.get(block.view, at) !== 0) at++
      if (at === this.#perBlock) {
        cluster = base + at
        this.#lowest = cluster
        continue
      }
      let count = 1
      while (count < most && at + count < this.#perBlock && this.#width.get(block.view, at + count) === 0) count++
      const allocation = this.#claim(base + at, count)
      this.#mark(base + at, count)
      this.#lowest = base + at + count
      return allocation
    }
  }

  /** @param covering the refcount table is to have an entry of this index afterwards */
  async #allocateSpan(count: number, covering = 0): Promise<Allocation> {
    if (this.#distrust) throw this.#distrust
    for (let start = this.#end / this.#clusterSize; ;) {
      const plan = this.#planSpan(start, count, covering)
      const used = await this.#lastUsed(start, plan.total, plan.missing)
      if (used !== null) {
        start = used + 1
        continue
      }
      // From here on nothing waits, so that no capture sees a half of it.
      this.#claim(start, plan.total)
      let next = start
      if (plan.tableClusters > 0) {
        this.#places.remove(this.#tableOffset / this.#clusterSize, this.#tableClusters)
        this.drop(this.#tableOffset, this.#tableClusters * this.#clusterSize)
        const larger = new Float64Array((plan.tableClusters * this.#clusterSize) / 8)
        larger.set(this.#table)
        this.#table = larger
        this.#tableOffset = next * this.#clusterSize
        this.#tableClusters = plan.tableClusters
        this.#moved = true
        this.#places.add(next, plan.tableClusters)
        next += plan.tableClusters
      }
      for (const index of plan.missing) this.#addBlock(index, next++)
      for (let cluster = start; cluster < start + plan.total; cluster++) this.#mark(cluster, 1)
      this.#trim()
      return { offset: next * this.#clusterSize, count, fresh: true }
    }
  }

  /** What `count` clusters at `start` need besides themselves to be counted. */
  #planSpan(start: number, count: number, covering: number): { total: number; tableClusters: number; missing: number[] } {
    const size = this.#clusterSize
    for (let total = count; ;) {
      const first = Math.floor(start / this.#perBlock)
      const last = Math.max(first, covering, Math.floor((start + total - 1) / this.#perBlock))
      let tableClusters = 0
      if (last >= this.#table.length) {
        const least = Math.ceil(((last + 1) * 8) / size)
        const most = Math.max(1, MAX_REFCOUNT_TABLE_BYTES / size)
        if (least > most || (start + total) * size > Number.MAX_SAFE_INTEGER)
          throw new AppError(
            'no-space',
            `The disk image “${this.#file.path}” cannot grow further: its format cannot count more clusters.`,
            {
              subject: this.#file.path,
            },
          )
        tableClusters = Math.min(most, Math.max(least, Math.ceil(this.#tableClusters * 1.5)))
      }
      const missing: number[] = []
      for (let index = first; index <= Math.floor((start + total - 1) / this.#perBlock); index++)
        if (!this.#table[index]) missing.push(index)
      const needed = count + tableClusters + missing.length
      if (needed <= total) return { total: needed, tableClusters, missing: missing.slice(0, needed - count - tableClusters) }
      total = needed
    }
  }

  /** The last cluster of a range that is in use; null when all are free. Blocks that are there stay in memory. */
  async #lastUsed(start: number, count: number, missing: readonly number[]): Promise<number | null> {
    const last = Math.floor((start + count - 1) / this.#perBlock)
    for (let index = Math.floor(start / this.#perBlock); index <= last; index++) {
      if (missing.includes(index) || !this.#table[index]) continue
      const block = await this.#block(index)
      for (
        let cluster = Math.min(start + count, (index + 1) * this.#perBlock) - 1;
        cluster >= Math.max(start, index * this.#perBlock);
        cluster--
      )
        if (this.#width.get(block.view, cluster % this.#perBlock) !== 0) return cluster
      this.#blocks.set(index, block)
    }
    return null
  }

  /** A new block for entry `index` of the table, in `cluster`. */
  #addBlock(index: number, cluster: number): void {
    const bytes = new Uint8Array(this.#clusterSize)
    const block: Block = { index, bytes, view: new DataView(bytes.buffer), dirtyFrom: 0, dirtyTo: 0 }
    this.#blocks.set(index, block)
    this.#markDirty(block, 0, bytes.length)
    this.#table[index] = cluster * this.#clusterSize
    this.#tableDirty.add(index)
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

  /** Clusters whose count is 0 and whose block is in memory get a count of 1. */
  #mark(cluster: number, count: number): void {
    const block = this.#blocks.get(Math.floor(cluster / this.#perBlock))!
    const at = cluster % this.#perBlock
    for (let i = at; i < at + count; i++) this.#width.set(block.view, i, 1)
    this.#markEntries(block, at, count)
  }

  async #count(cluster: number): Promise<number> {
    const index = Math.floor(cluster / this.#perBlock)
    return this.#table[index] ? this.#width.get((await this.#block(index)).view, cluster % this.#perBlock) : 0
  }

  async #increase(cluster: number): Promise<void> {
    const block = await this.#block(Math.floor(cluster / this.#perBlock))
    const at = cluster % this.#perBlock
    this.#width.set(block.view, at, this.#width.get(block.view, at) + 1)
    this.#markEntries(block, at, 1)
  }

  /** Takes one reference from each of the clusters from `first` to before `end`, which one block counts. */
  async #freeWithin(first: number, end: number): Promise<void> {
    const index = Math.floor(first / this.#perBlock)
    const block = this.#table[index] ? await this.#block(index) : null
    const base = index * this.#perBlock
    for (let cluster = first; cluster < end;) {
      const count = block ? this.#width.get(block.view, cluster - base) : 0
      if (!block || count === 0) {
        // Whatever else refers to it, its next owner would share it unawares.
        this.#distrust = corrupt(this.#file.path, `cluster ${cluster} is in use, but its reference count is 0`)
        cluster++
        continue
      }
      if (count > 1) {
        if (count <= this.#width.max) {
          this.#width.set(block.view, cluster - base, count - 1)
          this.#markEntries(block, cluster - base, 1)
        }
        cluster++
        continue
      }
      let unused = 1
      while (cluster + unused < end && this.#width.get(block.view, cluster - base + unused) === 1) unused++
      // Until its count is 0, nobody else gets the room.
      await this.#makeHole(cluster, unused)
      for (let i = cluster; i < cluster + unused; i++) this.#width.set(block.view, i - base, 0)
      this.#markEntries(block, cluster - base, unused)
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

  async #block(index: number): Promise<Block> {
    const cached = this.#blocks.get(index)
    if (cached) {
      if (this.#table.length > this.#mostBlocks) {
        this.#blocks.delete(index)
        this.#blocks.set(index, cached)
      }
      return cached
    }
    const offset = this.#table[index]!
    if (offset % this.#clusterSize !== 0 || offset > Number.MAX_SAFE_INTEGER)
      throw corrupt(this.#file.path, `the offset of its refcount block ${index} (${offset}) is not possible`)
    const bytes = new Uint8Array(this.#clusterSize)
    await this.#file.read(offset, bytes)
    this.#trim()
    const block: Block = { index, bytes, view: new DataView(bytes.buffer), dirtyFrom: 0, dirtyTo: 0 }
    this.#blocks.set(index, block)
    return block
  }

  /** Forgets blocks that have not changed, the ones used longest ago first. */
  #trim(): void {
    if (this.#blocks.size < this.#mostBlocks) return
    for (const [index, block] of this.#blocks) {
      if (block.dirtyTo > 0) continue
      this.#blocks.delete(index)
      if (this.#blocks.size < this.#mostBlocks) return
    }
  }

  #markEntries(block: Block, at: number, count: number): void {
    const { bits } = this.#width
    this.#markDirty(block, Math.floor((at * bits) / 8), Math.ceil(((at + count) * bits) / 8))
  }

  #markDirty(block: Block, from: number, to: number): void {
    if (block.dirtyTo === 0) {
      this.#dirtyBlocks++
      block.dirtyFrom = from
      block.dirtyTo = to
    } else {
      block.dirtyFrom = Math.min(block.dirtyFrom, from)
      block.dirtyTo = Math.max(block.dirtyTo, to)
    }
  }

  #encodeTable(from: number, to: number): Uint8Array {
    const bytes = new Uint8Array((to - from) * 8)
    const entries = new DataView(bytes.buffer)
    for (let i = from; i < Math.min(to, this.#table.length); i++) entries.setBigUint64((i - from) * 8, BigInt(this.#table[i]!))
    return bytes
  }
}
