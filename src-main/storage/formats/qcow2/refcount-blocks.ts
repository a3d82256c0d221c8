/**
 * The tables that count references to clusters of the file (qcow2.rst, "Host cluster management"): the refcount table, all of it in memory, and
 * refcount blocks, as many as there is room for. Counts change in memory; `capture` hands what changed to whoever writes it.
 */
import type { ByteFile } from '../../file/byte-file.ts'
import { corrupt, type Qcow2Header } from './header.ts'
import { REFCOUNT_CACHE_BYTES } from './limits.ts'
import { refcountWidth, type RefcountWidth } from './refcount-width.ts'
import { TableCache, type CachedPart } from './table-cache.ts'

/** Counts of clusters that lie side by side. */
export type RefcountBlock = CachedPart

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

export class RefcountBlocks {
  readonly #file: ByteFile
  readonly #clusterSize: number
  readonly #width: RefcountWidth
  /** Clusters that a block counts. */
  readonly perBlock: number
  /** Offsets of blocks; 0: none. */
  #table: Float64Array<ArrayBuffer>
  #place: { offset: number; clusters: number }
  #tableDirty = new Set<number>()
  #moved = false
  readonly #blocks: TableCache

  constructor(file: ByteFile, header: Qcow2Header, table: Float64Array<ArrayBuffer>) {
    this.#file = file
    this.#clusterSize = header.clusterSize
    this.#width = refcountWidth(header.refcountBits)
    this.perBlock = (header.clusterSize * 8) / header.refcountBits
    this.#table = table
    this.#place = { offset: header.refcountTableOffset, clusters: header.refcountTableClusters }
    this.#blocks = new TableCache(Math.max(4, REFCOUNT_CACHE_BYTES / header.clusterSize))
  }

  /** The highest count that can be stored. */
  get max(): number {
    return this.#width.max
  }

  /** Entries that the refcount table has room for. */
  get room(): number {
    return this.#table.length
  }

  /** Where the refcount table is, or will be when the header says so. */
  get place(): { offset: number; clusters: number } {
    return this.#place
  }

  get changed(): boolean {
    return this.#blocks.changed || this.tableChanged
  }

  get tableChanged(): boolean {
    return this.#moved || this.#tableDirty.size > 0
  }

  /** Whether so many blocks have changed that they should be written. */
  get crowded(): boolean {
    return this.#blocks.crowded
  }

  has(index: number): boolean {
    return index < this.#table.length && this.#table[index] !== 0
  }

  /** @throws AppError `corrupt`, or the file's reason */
  async load(index: number): Promise<RefcountBlock> {
    const cached = this.#blocks.get(index)
    if (cached) return cached
    const offset = this.#table[index]!
    if (offset % this.#clusterSize !== 0 || offset > Number.MAX_SAFE_INTEGER)
      throw corrupt(this.#file.path, `the offset of its refcount block ${index} (${offset}) is not possible`)
    const bytes = new Uint8Array(this.#clusterSize)
    await this.#file.read(offset, bytes)
    this.#blocks.makeRoom()
    return this.#blocks.add(index, bytes)
  }

  /** Makes sure that a block that was loaded is still the one that is kept. */
  keep(block: RefcountBlock): void {
    this.#blocks.keep(block)
  }

  /** A new block of zeroes for an entry of the table, in `cluster` of the file. */
  add(index: number, cluster: number): void {
    const block = this.#blocks.add(index, new Uint8Array(this.#clusterSize))
    this.#blocks.mark(block, 0, this.#clusterSize)
    this.#table[index] = cluster * this.#clusterSize
    this.#tableDirty.add(index)
  }

  /** The table gets more room, at another place. */
  moveTable(offset: number, clusters: number): void {
    const larger = new Float64Array((clusters * this.#clusterSize) / 8)
    larger.set(this.#table)
    this.#table = larger
    this.#place = { offset, clusters }
    this.#moved = true
  }

  get(block: RefcountBlock, cluster: number): number {
    return this.#width.get(block.view, cluster - block.index * this.perBlock)
  }

  /** Clusters side by side that the block counts. */
  set(block: RefcountBlock, cluster: number, clusters: number, count: number): void {
    const first = cluster - block.index * this.perBlock
    for (let i = first; i < first + clusters; i++) this.#width.set(block.view, i, count)
    const { bits } = this.#width
    this.#blocks.mark(block, Math.floor((first * bits) / 8), Math.ceil(((first + clusters) * bits) / 8))
  }

  /** As `set`, for clusters whose blocks are kept. */
  setKept(cluster: number, clusters: number, count: number): void {
    for (let at = cluster; at < cluster + clusters;) {
      const index = Math.floor(at / this.perBlock)
      const end = Math.min(cluster + clusters, (index + 1) * this.perBlock)
      this.set(this.#blocks.get(index)!, at, end - at, count)
      at = end
    }
  }

  /** What has changed since the last time, as it is now. */
  capture(): RefcountChanges {
    const cached = this.#blocks.capture()
    const blocks = cached.changes.map(({ index, from, bytes }): Piece => ({ offset: this.#table[index]! + from, bytes }))
    const entries: Piece[] = []
    const changed = this.#tableDirty
    const moved = this.#moved ? this.#place : null
    if (moved) blocks.push({ offset: moved.offset, bytes: this.#encodeTable(0, this.#table.length) })
    else
      for (const sector of new Set([...changed].map((index) => Math.floor(index / 64))))
        entries.push({ offset: this.#place.offset + sector * 512, bytes: this.#encodeTable(sector * 64, sector * 64 + 64) })
    this.#tableDirty = new Set()
    this.#moved = false
    return {
      blocks,
      entries,
      moved,
      undo: () => {
        cached.undo()
        for (const index of changed) this.#tableDirty.add(index)
        this.#moved ||= moved !== null
      },
    }
  }

  #encodeTable(from: number, to: number): Uint8Array {
    const bytes = new Uint8Array((to - from) * 8)
    const entries = new DataView(bytes.buffer)
    for (let i = from; i < Math.min(to, this.#table.length); i++) entries.setBigUint64((i - from) * 8, BigInt(this.#table[i]!))
    return bytes
  }
}
