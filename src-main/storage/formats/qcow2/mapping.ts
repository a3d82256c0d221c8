/**
 * Where the disk's clusters are (qcow2.rst, "Cluster mapping"): the L1 table, all of it in memory, and slices of L2 tables, as many as there is room for.
 *
 * Entries change in memory; `capture` hands what changed to whoever writes it (see write-back.ts for the order). A table that the L1 table on disk
 * does not know yet can be written at any time; one that it knows, and the L1 table itself, only after everything that the new entries point to.
 */
import { Turns } from '../../../../src-shared/base/turns.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { COPIED, entryHigh, entryLow, entryOffset } from './entry.ts'
import { corrupt, type Qcow2Header } from './header.ts'
import { L2_CACHE_BYTES, L2_CACHE_BYTES_READING, SLICE_BYTES } from './limits.ts'
import type { MetadataPlaces } from './metadata-places.ts'
import type { Piece } from './refcount-blocks.ts'
import type { Refcounts } from './refcounts.ts'
import { TableCache, type CachedPart } from './table-cache.ts'

const SECTOR = new Uint8Array(512)

/** A part of an L2 table. */
export type Slice = CachedPart

/** What has changed since the last capture. */
export interface MappingChanges {
  /** Parts of tables that nothing on disk refers to. */
  unlinked: Piece[]
  /** Parts of tables that are in use, and of the L1 table: written when all that they refer to is on disk. */
  linked: Piece[]
  /** It counts as changed again. @param prepared `unlinked` is on disk, and the L1 table there may know its tables now */
  undo(prepared: boolean): void
}

export class Mapping {
  readonly #file: ByteFile
  readonly #clusterSize: number
  readonly #refcounts: Refcounts | null
  readonly #places: MetadataPlaces | null
  /** Entries of a slice, and slices of a table. */
  readonly perSlice: number
  readonly #slicesPerTable: number
  #l1: DataView<ArrayBuffer>
  #l1Offset: number
  /** L1 entries that differ from what is on disk. */
  #l1Dirty = new Set<number>()
  /** Those of them whose table is on disk: from now on it is treated as if the L1 table there knew it. */
  #prepared = new Set<number>()
  readonly #slices: TableCache
  readonly #loading = new Map<number, Promise<Slice>>()
  readonly #turns = new Turns()

  /** @param l1 owned; @param refcounts, @param places null where nothing is to be written */
  constructor(
    file: ByteFile,
    header: Qcow2Header,
    l1: Uint8Array<ArrayBuffer>,
    refcounts: Refcounts | null,
    places: MetadataPlaces | null,
  ) {
    this.#file = file
    this.#clusterSize = header.clusterSize
    this.#refcounts = refcounts
    this.#places = places
    const sliceBytes = Math.min(SLICE_BYTES, header.clusterSize)
    this.perSlice = sliceBytes / 8
    this.#slicesPerTable = header.clusterSize / sliceBytes
    this.#l1 = new DataView(l1.buffer)
    this.#l1Offset = header.l1Offset
    this.#slices = new TableCache(Math.floor((refcounts ? L2_CACHE_BYTES : L2_CACHE_BYTES_READING) / sliceBytes))
  }

  get l1Offset(): number {
    return this.#l1Offset
  }

  get l1Entries(): number {
    return this.#l1.byteLength / 8
  }

  /** Whether so many slices have changed that they should be written. */
  get crowded(): boolean {
    return this.#slices.crowded
  }

  /** Clusters of the disk that one L2 table maps. */
  get perTable(): number {
    return this.#clusterSize / 8
  }

  /** Whether there is an L2 table for this cluster of the disk. Without one, all its clusters are unallocated. */
  hasTable(cluster: number): boolean {
    const at = Math.floor(cluster / this.perTable) * 8
    return entryOffset(this.#l1.getUint32(at), this.#l1.getUint32(at + 4)) !== 0
  }

  /** The slice that maps a cluster of the disk, where it is in memory. */
  peek(cluster: number): Slice | undefined {
    return this.#slices.get(Math.floor(cluster / this.perSlice))
  }

  /**
   * The slice that maps a cluster of the disk, which has a table. Whoever changes it does so before it waits for anything else.
   * @throws AppError `corrupt`, or the file's reason
   */
  load(cluster: number): Promise<Slice> {
    const there = this.peek(cluster)
    if (there) return Promise.resolve(there)
    const index = Math.floor(cluster / this.perSlice)
    let loading = this.#loading.get(index)
    if (!loading) {
      loading = this.#read(index).finally(() => this.#loading.delete(index))
      this.#loading.set(index, loading)
    }
    return loading
  }

  /** Makes sure that the table that maps this cluster of the disk is there and may be changed: it is made, or copied where a snapshot has it, too. */
  async ensureTable(cluster: number): Promise<void> {
    const l1Index = Math.floor(cluster / this.perTable)
    if ((this.#l1.getUint32(l1Index * 8) & COPIED) === 0) await this.#turns.run(() => this.#ownTable(l1Index))
  }

  /** Changes an entry of a slice whose table may be changed. */
  set(slice: Slice, at: number, high: number, low: number): void {
    slice.view.setUint32(at * 8, high)
    slice.view.setUint32(at * 8 + 4, low)
    this.#slices.mark(slice, at * 8, at * 8 + 8)
  }

  /** Resolves when no table is read any more that was asked for before. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#loading.values())
  }

  /** What has changed since the last time, as it is now. */
  capture(): MappingChanges {
    const unlinked: Piece[] = []
    const linked: Piece[] = []
    const slices = this.#slices.capture()
    for (const { index, from, bytes } of slices.changes) {
      const l1Index = Math.floor(index / this.#slicesPerTable)
      const group = this.#l1Dirty.has(l1Index) && !this.#prepared.has(l1Index) ? unlinked : linked
      group.push({ offset: this.#sliceOffset(index) + from, bytes })
    }
    const changed = this.#l1Dirty
    for (const sector of new Set([...changed].map((index) => Math.floor(index / 64)))) {
      const bytes = new Uint8Array(this.#l1.buffer, sector * 512, Math.min(512, this.#l1.byteLength - sector * 512))
      linked.push({ offset: this.#l1Offset + sector * 512, bytes: bytes.slice() })
    }
    const before = this.#prepared
    this.#l1Dirty = new Set()
    this.#prepared = new Set()
    return {
      unlinked,
      linked,
      undo: (prepared) => {
        slices.undo()
        for (const index of changed) this.#l1Dirty.add(index)
        for (const index of prepared ? changed : before) this.#prepared.add(index)
      },
    }
  }

  /** A longer L1 table, as it is to be written at another place; `replaceL1` puts it into use. Nothing may change meanwhile. */
  longerL1(entries: number): Uint8Array<ArrayBuffer> {
    const longer = new Uint8Array(entries * 8)
    longer.set(new Uint8Array(this.#l1.buffer))
    return longer
  }

  replaceL1(bytes: Uint8Array<ArrayBuffer>, offset: number): void {
    this.#l1 = new DataView(bytes.buffer)
    this.#l1Offset = offset
  }

  /** Lets go of tables that map only clusters of the disk from `first` to before `end`, and nothing any more. Nothing may be under way, or have changed. */
  dropTables(first: number, end: number): void {
    for (let l1Index = Math.ceil(first / this.perTable); (l1Index + 1) * this.perTable <= end; l1Index++) {
      const offset = this.#tableOffset(l1Index)
      if (offset === 0) continue
      for (let i = 0; i < this.#slicesPerTable; i++) this.#slices.delete(l1Index * this.#slicesPerTable + i)
      this.#refcounts!.drop(offset, this.#clusterSize)
      this.#places!.remove(offset / this.#clusterSize, 1)
      this.#l1.setUint32(l1Index * 8, 0)
      this.#l1.setUint32(l1Index * 8 + 4, 0)
      this.#l1Dirty.add(l1Index)
    }
  }

  async #ownTable(l1Index: number): Promise<void> {
    const refcounts = this.#refcounts!
    if ((this.#l1.getUint32(l1Index * 8) & COPIED) !== 0) return
    const old = this.#tableOffset(l1Index)
    const { offset, fresh } = await refcounts.allocate(1)
    try {
      if (old !== 0) {
        const table = new Uint8Array(this.#clusterSize)
        await this.#file.read(old, table)
        await this.#file.write(offset, table)
      } else {
        if (!fresh) await this.#file.zero(offset, this.#clusterSize)
        // It may come into use before anything in it is written; then the file must not end before it.
        if (offset + this.#clusterSize > this.#file.size) await this.#file.write(offset + this.#clusterSize - SECTOR.length, SECTOR)
      }
    } catch (error) {
      await refcounts.release(offset, 1)
      throw error
    }
    if (old !== 0) {
      refcounts.drop(old, this.#clusterSize)
      this.#places!.remove(old / this.#clusterSize, 1)
    }
    this.#places!.add(offset / this.#clusterSize, 1)
    this.#l1.setUint32(l1Index * 8, (entryHigh(offset) | COPIED) >>> 0)
    this.#l1.setUint32(l1Index * 8 + 4, entryLow(offset))
    this.#l1Dirty.add(l1Index)
  }

  async #read(index: number): Promise<Slice> {
    const bytes = new Uint8Array(this.perSlice * 8)
    await this.#file.read(this.#sliceOffset(index), bytes)
    this.#slices.makeRoom()
    return this.#slices.add(index, bytes)
  }

  #sliceOffset(index: number): number {
    return this.#tableOffset(Math.floor(index / this.#slicesPerTable)) + (index % this.#slicesPerTable) * this.perSlice * 8
  }

  /** 0: there is none. */
  #tableOffset(l1Index: number): number {
    const offset = entryOffset(this.#l1.getUint32(l1Index * 8), this.#l1.getUint32(l1Index * 8 + 4))
    if (offset % this.#clusterSize !== 0 || offset > Number.MAX_SAFE_INTEGER - this.#clusterSize)
      throw corrupt(this.#file.path, `the offset of its L2 table ${l1Index} (${offset}) is not possible`)
    return offset
  }
}
