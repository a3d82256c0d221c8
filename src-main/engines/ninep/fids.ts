/**
 * What the guest's numbers (fids) stand for. Each stands for a path, not for an open file of ours, so that a memory state can keep them: after
 * a resume, what was open is opened again when it is used next.
 */
import { z } from 'zod'
import { Turns } from '../../../src-shared/base/turns.ts'
import { Refusal } from './errno.ts'
import type { Attributes, FileTree, FolderReader, FolderEntry, OpenFile, OpenWish, Path } from './file-tree.ts'
import { nameProblem } from './names.ts'

/** Names of files that a guest holds at once. */
export const MAX_FIDS = 16_384
/** Of those, open files and folders of this computer. */
export const MAX_OPEN = 512
/** Bytes of a path. Behind the folder's own it must not be longer than programs of this computer can say (4 KiB on Linux). */
export const MAX_PATH = 3072

/** What a memory state keeps. */
export const savedFidsSchema = z.strictObject({
  msize: z.number().int().min(0),
  fids: z
    .array(
      z.strictObject({
        fid: z.number().int().min(0).max(0xffffffff),
        path: z.array(z.string().refine((name) => nameProblem(name, 'linux') === null)).max(MAX_PATH / 2),
        open: z.union([z.literal('folder'), z.strictObject({ read: z.boolean(), write: z.boolean(), append: z.boolean() })]).nullable(),
      }),
    )
    .max(MAX_FIDS),
})
export type SavedFids = z.output<typeof savedFidsSchema>

type HowOpen = 'folder' | Omit<OpenWish, 'truncate'>

/** A folder that is being read, and where. */
interface Reading {
  reader: FolderReader
  /** Entries that were given away. */
  at: number
  /** The one that did not fit into the last reply. */
  waiting: FolderEntry | null
}

export class Fid {
  path: Path
  #tree: FileTree
  #table: Fids
  #how: HowOpen | null
  #file: Promise<OpenFile> | null = null
  #reading: Reading | null = null
  #closed = false
  /** Of readings: they share a place in the folder. */
  #turns = new Turns()

  constructor(tree: FileTree, table: Fids, path: Path, how: HowOpen | null = null) {
    this.#tree = tree
    this.#table = table
    this.path = path
    this.#how = how
  }

  get open(): HowOpen | null {
    return this.#how
  }

  /** @throws Refusal EBUSY where it is open already */
  openFolder(): void {
    this.#begin('folder')
  }

  /** @param make opens it; also refused where it is open already */
  async openFile({ read, write, append }: OpenWish, make: () => Promise<OpenFile>): Promise<OpenFile> {
    this.#begin({ read, write, append })
    this.#file = make()
    try {
      const file = await this.#file
      // It was closed meanwhile, which found nothing to close yet.
      if (this.#closed) await file.close()
      return file
    } catch (error) {
      this.#file = null
      if (!this.#closed) {
        this.#how = null
        this.#table.open--
      }
      throw error
    }
  }

  /** The file to read from or write to. @throws Refusal EBADF where it was not opened for that, ESTALE where it is not there any more */
  async file(what: 'read' | 'write' | 'any'): Promise<OpenFile> {
    const how = this.#how
    if (this.#closed || how === null || how === 'folder' || (what !== 'any' && !how[what])) throw new Refusal('EBADF')
    // After a resume.
    this.#file ??= this.#tree.open(this.path, { ...how, truncate: false })
    try {
      return await this.#file
    } catch (error) {
      this.#file = null
      throw (error as { code?: unknown }).code === 'ENOENT' ? new Refusal('ESTALE') : error
    }
  }

  /** Of the open file, also where its name is gone; else of what has the name now. */
  async attributes(): Promise<Attributes> {
    if (this.#how !== null && this.#how !== 'folder') return (await this.file('any')).attributes()
    return this.#tree.attributes(this.path)
  }

  /**
   * Gives entries from the one with this number on to `take`, until there are no more or it takes no more.
   * @param take is given the number of the entry after it
   */
  readEntries(from: number, take: (entry: FolderEntry, next: number) => boolean): Promise<void> {
    return this.#turns.run(() => this.#readEntries(from, take))
  }

  async #readEntries(from: number, take: (entry: FolderEntry, next: number) => boolean): Promise<void> {
    if (this.#closed || this.#how !== 'folder') throw new Refusal('EBADF')
    if (this.#reading && this.#reading.at !== from) await this.#endReading()
    this.#reading ??= { reader: await this.#tree.list(this.path), at: 0, waiting: null }
    const reading = this.#reading
    for (;;) {
      const entry = reading.waiting ?? (await reading.reader.next())
      reading.waiting = null
      if (this.#closed) await this.#endReading()
      if (!entry || this.#closed) return
      // Gone over again where the guest went back.
      if (reading.at >= from && !take(entry, reading.at + 1)) {
        reading.waiting = entry
        return
      }
      reading.at++
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#how !== null) this.#table.open--
    await this.#endReading()
    const file = await this.#file?.catch(() => null)
    await file?.close()
  }

  #begin(how: HowOpen): void {
    if (this.#closed) throw new Refusal('EBADF')
    if (this.#how !== null) throw new Refusal('EBUSY')
    if (this.#table.open >= MAX_OPEN) throw new Refusal('EMFILE')
    this.#table.open++
    this.#how = how
  }

  async #endReading(): Promise<void> {
    const reading = this.#reading
    this.#reading = null
    await reading?.reader.close()
  }
}

export class Fids {
  /** How many of them are open. */
  open = 0
  #tree: FileTree
  #fids = new Map<number, Fid>()

  constructor(tree: FileTree) {
    this.#tree = tree
  }

  /** @throws Refusal EBADF */
  get(number: number): Fid {
    const fid = this.#fids.get(number)
    if (!fid) throw new Refusal('EBADF')
    return fid
  }

  has(number: number): boolean {
    return this.#fids.has(number)
  }

  /** @throws Refusal: the number is in use, there are too many, the path is too long */
  add(number: number, path: Path): void {
    if (this.#fids.has(number)) throw new Refusal('EINVAL')
    if (this.#fids.size >= MAX_FIDS) throw new Refusal('ENFILE')
    this.#fids.set(number, new Fid(this.#tree, this, path))
  }

  /** Lets one stand for another path, where it is not open. */
  move(number: number, path: Path): void {
    const fid = this.get(number)
    if (fid.open !== null) throw new Refusal('EBUSY')
    fid.path = path
  }

  async remove(number: number): Promise<void> {
    const fid = this.get(number)
    this.#fids.delete(number)
    await fid.close()
  }

  /** What was at one path is at another. */
  renamed(from: Path, to: Path): void {
    for (const fid of this.#fids.values()) {
      if (from.every((name, at) => fid.path[at] === name)) fid.path = [...to, ...fid.path.slice(from.length)]
    }
  }

  async clear(): Promise<void> {
    const all = [...this.#fids.values()]
    this.#fids.clear()
    // Nobody is there any more to be told what went wrong.
    await Promise.allSettled(all.map((fid) => fid.close()))
  }

  save(): SavedFids['fids'] {
    return [...this.#fids].map(([fid, { path, open }]) => ({ fid, path: [...path], open }))
  }

  load(saved: SavedFids['fids']): void {
    for (const { fid, path, open } of saved) {
      this.#fids.set(fid, new Fid(this.#tree, this, path, open))
      if (open !== null) this.open++
    }
  }
}
