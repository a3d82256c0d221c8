/**
 * The table of an image that says where its blocks are: a VDI's block map, a VHD's or VHDX's allocation table, a VMDK's grain tables.
 * It is read a page at a time into a cache of bounded size, whatever size a header claims. Changes rest in memory until they are written,
 * so that their owner can see to it that what they point to is on disk first:
 *
 *     set … set, [owner: take(), sync what the entries point to], write() or putBack(), [owner: sync]
 */
import type { ByteFile } from '../../file/byte-file.ts'

/** Bytes of pages kept. */
const CACHE_BYTES = 4 * 1024 * 1024

export interface TableShape {
  /** Entries. */
  count: number
  /** Entries of one page; the last page may have fewer. */
  pageEntries: number
  entryBytes: 4 | 8
  /** Where in the file the copies of a page lie, the one to read first. None: no entry of the page was ever set, and none can be. */
  copies(page: number): readonly number[]
  /** What entries of a page without copies are. */
  absent: number
  decode(page: DataView, at: number): number
  /** Bytes of pages kept in memory; 4 MiB unless it says so. */
  cacheBytes?: number
  encode?(page: DataView, at: number, value: number): void
}

export class EntryTable {
  readonly count: number
  #file: ByteFile
  #shape: TableShape
  #pages = new Map<number, DataView>() // the least recently used first
  #loading = new Map<number, Promise<DataView>>()
  #changed = new Map<number, number>()
  #taken = new Map<number, number>()
  #mostPages: number
  /** Grows with every write to the file: a page read meanwhile may be neither old nor new. */
  #writes = 0

  constructor(file: ByteFile, shape: TableShape) {
    this.count = shape.count
    this.#file = file
    this.#shape = shape
    this.#mostPages = Math.max(4, Math.floor((shape.cacheBytes ?? CACHE_BYTES) / (shape.pageEntries * shape.entryBytes)))
  }

  /** Entries that `take` would take. */
  get changes(): number {
    return this.#changed.size
  }

  /** undefined: it has to be read first, by `get`. */
  peek(index: number): number | undefined {
    const changed = this.#changed.get(index) ?? this.#taken.get(index)
    if (changed !== undefined) return changed
    const { pageEntries, entryBytes, decode, copies, absent } = this.#shape
    const number = Math.floor(index / pageEntries)
    const page = this.#pages.get(number)
    if (page) return decode(page, (index - number * pageEntries) * entryBytes)
    return copies(number).length === 0 ? absent : undefined
  }

  async get(index: number): Promise<number> {
    for (;;) {
      const value = this.peek(index)
      if (value !== undefined) return value
      await this.#page(Math.floor(index / this.#shape.pageEntries))
    }
  }

  set(index: number, value: number): void {
    this.#changed.set(index, value)
  }

  /** What is changed now is what the next `write` writes. */
  take(): void {
    for (const [index, value] of this.#changed) this.#taken.set(index, value)
    this.#changed.clear()
  }

  /** What was taken is only changed again; after something failed. */
  putBack(): void {
    for (const [index, value] of this.#taken) if (!this.#changed.has(index)) this.#changed.set(index, value)
    this.#taken.clear()
  }

  /** Writes what was taken, without syncing it. */
  async write(): Promise<void> {
    const { pageEntries, entryBytes, copies, encode } = this.#shape
    const byPage = new Map<number, [number, number][]>()
    for (const change of this.#taken) {
      const page = Math.floor(change[0] / pageEntries)
      const changes = byPage.get(page)
      if (changes) changes.push(change)
      else byPage.set(page, [change])
    }
    for (const [number, changes] of byPage) {
      const page = await this.#page(number)
      let first = Infinity
      let end = 0
      for (const [index, value] of changes) {
        const at = (index - number * pageEntries) * entryBytes
        encode?.(page, at, value)
        first = Math.min(first, at)
        end = Math.max(end, at + entryBytes)
      }
      const bytes = new Uint8Array(page.buffer, page.byteOffset + first, end - first)
      for (const copy of copies(number)) await this.#file.write(copy + first, bytes)
      this.#keep(number, page)
    }
    this.#writes++
    this.#taken.clear()
  }

  #page(number: number): Promise<DataView> {
    const page = this.#pages.get(number)
    if (page) {
      this.#keep(number, page)
      return Promise.resolve(page)
    }
    let loading = this.#loading.get(number)
    if (!loading) {
      loading = this.#load(number).finally(() => this.#loading.delete(number))
      this.#loading.set(number, loading)
    }
    return loading
  }

  async #load(number: number): Promise<DataView> {
    const { count, pageEntries, entryBytes, copies } = this.#shape
    const bytes = new Uint8Array(Math.min(pageEntries, count - number * pageEntries) * entryBytes)
    const at = copies(number)[0]!
    let writes: number
    do {
      writes = this.#writes
      await this.#file.read(at, bytes)
    } while (writes !== this.#writes)
    const page = new DataView(bytes.buffer)
    this.#keep(number, page)
    return page
  }

  #keep(number: number, page: DataView): void {
    this.#pages.delete(number)
    this.#pages.set(number, page)
    if (this.#pages.size > this.#mostPages) this.#pages.delete(this.#pages.keys().next().value!)
  }
}
