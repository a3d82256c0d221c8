/**
 * Keeps a memory state in a machine's bundle so that it costs only what no other state there has already. Theory of operation: the state comes in as whole
 * pages and odd bytes, in order. A page of zeroes costs nothing. Of every other page a mark (pack.ts) is looked up among those of all packs of the bundle;
 * where one has it and the page there is the same byte for byte, it is used. The rest goes to a new pack. What puts all together again is a recipe
 * (recipe.ts), which the caller keeps; a pack is on disk, whole, before its recipe is.
 *
 * Nobody may delete packs, or make holes in them, meanwhile (the host sees to it).
 */
import { hash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, stat, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { deflate } from 'node:zlib'
import { newId } from '../../../src-shared/base/ids.ts'
import { takeName, temporaryFor } from '../write-file-atomic.ts'
import { MARK, Pack, packGroups, packHeader, packId, packPath, PAGE, pageOffset } from './pack.ts'
import { headBytes, RecipeWriter } from './recipe.ts'

/** Packs that one state may lie in: a bundle's list of them stays short. */
export const MAX_PACKS = 256
/** Marks that are looked through: of 16 GiB. */
const MAX_MARKS = 4 * 1024 * 1024
/** New pages of a state, at most, for its pack to be packed. */
const FEW = 4096
/** Pages that are looked at, read and written at once. */
const BATCH = 256
/** Factor between a pack's number and a page's in one number. */
const PAGES_OF = 2 ** 32

const packed = promisify(deflate)
const NOTHING = Buffer.alloc(PAGE)

export interface SavedPages {
  /** Ids of the packs that it needs. */
  packs: string[]
  /** Compressed: `inflate` gives what recipe.ts reads. */
  recipe: Uint8Array
}

type Part = { kind: 'literal'; bytes: Uint8Array } | { kind: 'zeroRow'; head: number } | { kind: 'page'; head: number | null }

export class PagesWriter {
  #folder: string
  /** Those of before, and behind them the new one. */
  #packs: Pack[]
  #ids: string[]
  /** By mark: pack * PAGES_OF + page. */
  #known: Map<string, number>
  #recipe = new RecipeWriter()
  /** What comes next in the recipe, and the pages of it. */
  #parts: Part[] = []
  #pages: Uint8Array[] = []
  #id = newId()
  #temporary: string
  #file: FileHandle | null = null
  /** All new pages, as long as they are few; then null. */
  #few: Buffer[] | null = []
  #marks: string[] = []
  /** Places in the list of packs that the state needs, by pack. */
  #needed = new Map<number, number>()

  private constructor(folder: string, packs: Pack[], ids: string[], known: Map<string, number>) {
    this.#folder = folder
    this.#packs = packs
    this.#ids = ids
    this.#known = known
    this.#temporary = temporaryFor(packPath(folder, this.#id))
  }

  /**
   * @param folder of the packs; made where it is not there
   * @throws the system's reason
   */
  static async open(folder: string): Promise<PagesWriter> {
    // Not the folder around it: a bundle that was deleted meanwhile stays deleted.
    await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    const [packs, ids, known] = [[] as Pack[], [] as string[], new Map<string, number>()]
    for (const name of await newestFirst(folder)) {
      if (packs.length === MAX_PACKS - 1) break
      // One that cannot be read has nothing to share.
      const pack = await Pack.open(join(folder, name)).catch(() => null)
      if (!pack) continue
      if (known.size + pack.pages > MAX_MARKS) {
        await pack.close()
        continue
      }
      const at = packs.push(pack) - 1
      ids.push(packId(name)!)
      const marks = await pack.marks().catch(() => Buffer.alloc(0))
      for (let page = 0; page < marks.length / MARK; page++) {
        const mark = marks.toString('latin1', page * MARK, (page + 1) * MARK)
        if (!known.has(mark)) known.set(mark, at * PAGES_OF + page)
      }
    }
    return new PagesWriter(folder, packs, ids, known)
  }

  /** Bytes that are kept in the recipe; not changed until `finish`. */
  literal(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#parts.push({ kind: 'literal', bytes })
  }

  /** A number (64 bits, big endian, below 2^52) and a byte of zero, one of many of which the next is 4096 larger. */
  zeroRow(head: number): void {
    this.#parts.push({ kind: 'zeroRow', head })
  }

  /**
   * @param bytes whole pages, not changed until `finish`
   * @param head of one page: a number that stands before it, as in `zeroRow`; null: none
   */
  async pages(bytes: Uint8Array, head: number | null = null): Promise<void> {
    for (let at = 0; at < bytes.length; at += PAGE) {
      this.#parts.push({ kind: 'page', head })
      if (this.#pages.push(bytes.subarray(at, at + PAGE)) === BATCH) await this.#batch()
    }
  }

  /** The new pack is on disk when this resolves. `close` it in any case. */
  async finish(): Promise<SavedPages> {
    await this.#batch()
    const marks = Buffer.from(this.#marks.join(''), 'latin1')
    if (this.#few && this.#few.length > 0) {
      const body = await packGroups(Buffer.concat(this.#few))
      const file = await this.#newFile()
      await write(file, body, 0)
      await write(file, marks, body.length)
    } else if (this.#file) {
      await write(this.#file, marks, pageOffset(this.#marks.length))
      await write(this.#file, packHeader(this.#marks.length), 0)
    }
    if (this.#file) {
      const file = this.#file
      await file.sync()
      await file.close()
      this.#file = null
      await takeName(this.#temporary, packPath(this.#folder, this.#id))
    }
    const packs = [...this.#needed.keys()].map((pack) => this.#ids[pack] ?? this.#id)
    return { packs, recipe: await packed(this.#recipe.end(), { level: 3 }) }
  }

  /** Of a state that was not kept after all. */
  async abandon(): Promise<void> {
    await unlink(packPath(this.#folder, this.#id)).catch(() => {})
  }

  async close(): Promise<void> {
    await Promise.all(this.#packs.map((pack) => pack.close()))
    if (!this.#file) return
    await this.#file.close()
    await unlink(this.#temporary).catch(() => {})
  }

  async #batch(): Promise<void> {
    const [parts, batch] = [this.#parts, Buffer.concat(this.#pages)]
    this.#parts = []
    this.#pages = []
    /** Of each page; empty: it is zeroes. */
    const marks = Array.from({ length: batch.length / PAGE }, (_, page) => markOf(batch, page * PAGE))
    const places = marks.map((mark) => this.#known.get(mark) ?? null)
    await this.#keepTheSame(batch, places)
    const fresh: Buffer[] = []
    let page = 0
    for (const part of parts) {
      if (part.kind === 'literal') this.#recipe.literal(part.bytes)
      else if (part.kind === 'zeroRow') this.#recipe.row(part.head, null)
      else {
        const place =
          marks[page] === '' ? null : this.#placeOf(marks[page]!, places[page]!, batch.subarray(page * PAGE, (page + 1) * PAGE), fresh)
        this.#note(place, part.head)
        page++
      }
    }
    if (fresh.length > 0) await this.#add(Buffer.concat(fresh))
  }

  /** @param found where it is already; @param fresh gets it where it is nowhere */
  #placeOf(mark: string, found: number | null, bytes: Buffer, fresh: Buffer[]): number {
    if (found !== null) return found
    // The same page may have come a moment ago.
    const known = this.#known.get(mark)
    if (known !== undefined && known >= this.#packs.length * PAGES_OF) return known
    const place = this.#packs.length * PAGES_OF + this.#marks.length
    this.#known.set(mark, place)
    this.#marks.push(mark)
    fresh.push(bytes)
    return place
  }

  /** @param place null: zeroes */
  #note(place: number | null, head: number | null): void {
    if (place === null) {
      if (head !== null) this.#recipe.literal(headBytes(head))
      return this.#recipe.zeroPage()
    }
    const [pack, index] = [this.#need(Math.floor(place / PAGES_OF)), place % PAGES_OF]
    if (head === null) this.#recipe.page(pack, index)
    else this.#recipe.row(head, { pack, index })
  }

  /** @param pages the last that have marks */
  async #add(pages: Buffer): Promise<void> {
    this.#few?.push(pages)
    if (this.#few && this.#marks.length <= FEW) return
    const bytes = this.#few ? Buffer.concat(this.#few) : pages
    this.#few = null
    await write(await this.#newFile(), bytes, pageOffset(this.#marks.length) - bytes.length)
  }

  async #newFile(): Promise<FileHandle> {
    this.#file ??= await open(this.#temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600)
    return this.#file
  }

  #need(pack: number): number {
    const place = this.#needed.get(pack) ?? this.#needed.size
    this.#needed.set(pack, place)
    return place
  }

  /** Takes away the places of pages that are not the same there. */
  async #keepTheSame(batch: Buffer, places: (number | null)[]): Promise<void> {
    const own = this.#packs.length * PAGES_OF
    for (let from = 0; from < places.length;) {
      const place = places[from]!
      if (place === null || place >= own) {
        from++
        continue
      }
      let count = 1
      while (places[from + count] === place + count) count++
      // What cannot be read is not the same as anything.
      const there = await this.#packs[Math.floor(place / PAGES_OF)]!.read(place % PAGES_OF, count).catch(() => Buffer.alloc(count * PAGE))
      if (there.compare(batch, from * PAGE, (from + count) * PAGE) !== 0)
        for (let page = 0; page < count; page++)
          if (there.compare(batch, (from + page) * PAGE, (from + page + 1) * PAGE, page * PAGE, (page + 1) * PAGE) !== 0)
            places[from + page] = null
      from += count
    }
  }
}

function markOf(batch: Buffer, at: number): string {
  if (batch.compare(NOTHING, 0, PAGE, at, at + PAGE) === 0) return ''
  return hash('sha256', batch.subarray(at, at + PAGE), 'binary').slice(0, MARK)
}

async function newestFirst(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => packId(name) !== null)
  const times = await Promise.all(names.map(async (name) => (await stat(join(folder, name)).catch(() => null))?.mtimeMs ?? 0))
  return names
    .map((name, at) => ({ name, time: times[at]! }))
    .sort((a, b) => b.time - a.time)
    .map(({ name }) => name)
}

async function write(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at, bytes.length - at, position + at)).bytesWritten
}
