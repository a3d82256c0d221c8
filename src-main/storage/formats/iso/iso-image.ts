/**
 * Files on a disc image, read: ISO 9660 (ECMA-119) with the names of Rock Ridge where it has them, else of Joliet. Folders are read when they are listed;
 * nothing is kept. Everything an image says is bounded: it may be made to name a folder within itself, or a file past its end.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { damaged } from '../blocks/faults.ts'
import { parseRecord, parseRecords, type DirectoryRecord } from './directory-record.ts'
import { CATALOGUE_SIZE, parseBootCatalogue, type BootEntry } from './el-torito.ts'
import { readRockRidge, suspSkip, type RockRidge } from './rock-ridge.ts'
import { ascii, readVolumes, SECTOR, ucs2, type Volume } from './volume-descriptors.ts'

/** Bytes of one folder's records. */
const LARGEST_FOLDER = 32 * 1024 * 1024
/** Bytes that the records of one folder may go on in, elsewhere on the disc. */
const MOST_AREA_BYTES = 64 * 1024 * 1024
/** Levels of folders. */
const DEEPEST = 64
/** Parts of one file: each has up to 4 GiB. */
const MOST_PARTS = 1024
/** Files and folders that `walk` gives. */
const MOST_ENTRIES = 1_000_000
/** Bytes of folders that `walk` reads. */
const MOST_WALKED_BYTES = 1024 * 1024 * 1024
/** Types of POSIX modes. */
const TYPE_MASK = 0o170000
const TYPE_LINK = 0o120000
const TYPE_FILE = 0o100000

export interface IsoEntry {
  name: string
  /** `other`: a device, a pipe, or a file whose bytes are not on the disc as they are (compressed, interleaved). */
  kind: 'file' | 'folder' | 'link' | 'other'
  /** Bytes. */
  size: number
  /** ms since 1970; null: the disc does not say. */
  modified: number | null
  /** Permissions of POSIX; null: the disc does not say. */
  mode: number | null
  /** Of a link, as it is written: not resolved, not trusted. */
  target: string | null
  /** Where it is in the image, in bytes. */
  parts: readonly { at: number; length: number }[]
  /** Folders above it. */
  depth: number
}

export interface IsoImage {
  /** As the disc was named; may be empty. */
  readonly label: string
  readonly names: 'Rock Ridge' | 'Joliet' | 'ISO 9660'
  /** The disc has a UDF file system too, which may have more files than are listed here. */
  readonly udf: boolean
  readonly bootEntries: readonly BootEntry[]
  readonly root: IsoEntry
  /** What is in a folder, in the disc's order. @throws AppError `invalid-input` (no folder), `corrupt` */
  list(folder: IsoEntry): Promise<IsoEntry[]>
  /** By a path of names and slashes, without following links. @throws AppError `not-found`, `corrupt` */
  find(path: string): Promise<IsoEntry>
  /** Every file and folder below the root once, folders before what is in them. @throws AppError `corrupt` */
  walk(): AsyncGenerator<{ path: string; entry: IsoEntry }>
  /** Fills all of `into` from a file. @throws AppError `invalid-input` (no file, or outside of it), `corrupt` (the image was cut off) */
  read(file: IsoEntry, offset: number, into: Uint8Array): Promise<void>
  close(): Promise<void>
}

/**
 * @param file owned by the image from now on; left open when this throws
 * @throws AppError `corrupt`; `unsupported`: a disc with UDF alone
 */
export async function openIso(file: ByteFile): Promise<IsoImage> {
  const { primary, joliet, bootCatalogue, udf } = await readVolumes(file)
  const skip = await rockRidgeSkip(file, primary)
  const volume = skip === null && joliet ? joliet : primary
  const names = skip !== null ? 'Rock Ridge' : joliet ? 'Joliet' : 'ISO 9660'
  const reader = new FolderReader(file, volume, skip, volume === joliet)
  const root = reader.root()
  const list = (folder: IsoEntry) => reader.list(folder)
  return {
    label: joliet?.label || primary.label,
    names,
    udf,
    bootEntries: bootCatalogue === null ? [] : parseBootCatalogue(await part(file, bootCatalogue * SECTOR, CATALOGUE_SIZE)),
    root,
    list,
    async find(path) {
      let entry = root
      for (const name of path.split('/')) {
        if (name === '') continue
        const next = entry.kind === 'folder' ? (await list(entry)).find((one) => one.name === name) : undefined
        if (!next) throw new AppError('not-found', `The disc image “${file.path}” has no “${path}”.`)
        entry = next
      }
      return entry
    },
    async *walk() {
      const seen = new Set<number>()
      const waiting = [{ path: '', entry: root }]
      let count = 0
      let bytes = 0
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        const { at, length } = next.entry.parts[0]!
        // A folder that is in itself, or in two places.
        if (seen.has(at)) continue
        seen.add(at)
        bytes += length
        if (bytes > MOST_WALKED_BYTES) throw damaged(file.path, 'its folders are too large')
        for (const entry of await list(next.entry)) {
          if (++count > MOST_ENTRIES) throw damaged(file.path, `it has more than ${MOST_ENTRIES} files`)
          const path = next.path === '' ? entry.name : `${next.path}/${entry.name}`
          yield { path, entry }
          if (entry.kind === 'folder') waiting.push({ path, entry })
        }
      }
    },
    read: (entry, offset, into) => readFile(file, entry, offset, into),
    close: () => file.close(),
  }
}

/** SUSP 5.3: the first record of the root says whether, and from which byte on, records have Rock Ridge. */
async function rockRidgeSkip(file: ByteFile, volume: Volume): Promise<number | null> {
  const root = parseRecord(volume.root)
  if (!root) throw damaged(file.path, 'its root folder is missing')
  const own = parseRecord(await part(file, root.block * volume.blockSize, SECTOR))
  return own && suspSkip(own.systemUse)
}

class FolderReader {
  #file: ByteFile
  #volume: Volume
  #skip: number | null
  #isJoliet: boolean

  constructor(file: ByteFile, volume: Volume, skip: number | null, isJoliet: boolean) {
    this.#file = file
    this.#volume = volume
    this.#skip = skip
    this.#isJoliet = isJoliet
  }

  root(): IsoEntry {
    const record = parseRecord(this.#volume.root)
    if (!record?.isFolder) throw damaged(this.#file.path, 'its root folder is missing')
    return this.#entry([record], null, '', -1)
  }

  async list(folder: IsoEntry): Promise<IsoEntry[]> {
    const { path } = this.#file
    const extent = folder.parts[0]
    if (folder.kind !== 'folder' || !extent)
      throw new AppError('invalid-input', `“${folder.name}” is no folder of the disc image “${path}”.`)
    if (folder.depth >= DEEPEST) throw damaged(path, `its folders are more than ${DEEPEST} levels deep`)
    if (extent.length > LARGEST_FOLDER) throw damaged(path, `its folder “${folder.name}” has ${extent.length} bytes`)
    if (extent.at + extent.length > this.#file.size) throw damaged(path, `its folder “${folder.name}” is past the end of the file`)
    const bytes = await part(this.#file, extent.at, extent.length)
    const entries: IsoEntry[] = []
    let areaBytes = 0
    const readArea = (block: number, offset: number, length: number): Promise<Uint8Array> => {
      areaBytes += length
      if (areaBytes > MOST_AREA_BYTES) throw damaged(path, `the records of its folder “${folder.name}” are too long`)
      return part(this.#file, block * this.#volume.blockSize + offset, length)
    }
    let before: DirectoryRecord[] = []
    for (const record of parseRecords(bytes)) {
      // The folder itself, and the one above it.
      if (record.isAssociated || (record.name.length === 1 && record.name[0]! < 2)) continue
      before.push(record)
      if (record.goesOn) {
        if (before.length === MOST_PARTS) throw damaged(path, `a file in “${folder.name}” has more than ${MOST_PARTS} parts`)
        continue
      }
      const records = before
      before = []
      const rockRidge = this.#skip === null ? null : await readRockRidge(record.systemUse.subarray(this.#skip), readArea)
      if (rockRidge?.isRelocated) continue
      if (rockRidge && rockRidge.childBlock !== null) entries.push(await this.#relocated(record, rockRidge, folder.depth))
      else entries.push(this.#entry(records, rockRidge, this.#name(record, rockRidge), folder.depth))
    }
    return entries
  }

  #entry(records: readonly DirectoryRecord[], rockRidge: RockRidge | null, name: string, depthAbove: number): IsoEntry {
    const first = records[0]!
    const parts = records.map(({ block, length }) => ({ at: block * this.#volume.blockSize, length }))
    const mode = rockRidge?.mode ?? null
    const isRaw = !rockRidge?.isCompressed && !records.some(({ isInterleaved }) => isInterleaved)
    const kind = first.isFolder ? 'folder' : kindOf(mode, rockRidge, isRaw)
    return {
      name,
      kind,
      size: kind === 'file' || kind === 'other' ? parts.reduce((sum, { length }) => sum + length, 0) : 0,
      modified: rockRidge?.modified ?? first.modified,
      mode: mode === null ? null : mode & 0o7777,
      target: kind === 'link' ? (rockRidge?.target ?? '') : null,
      parts,
      depth: depthAbove + 1,
    }
  }

  /** RRIP 4.1.5.1: the folder is elsewhere; its own first record there says how long it is. */
  async #relocated(record: DirectoryRecord, rockRidge: RockRidge, depthAbove: number): Promise<IsoEntry> {
    const own = parseRecord(await part(this.#file, rockRidge.childBlock! * this.#volume.blockSize, SECTOR))
    if (!own?.isFolder) throw damaged(this.#file.path, 'a folder that was moved to another place is not there')
    return this.#entry([{ ...own, block: rockRidge.childBlock! }], rockRidge, this.#name(record, rockRidge), depthAbove)
  }

  #name(record: DirectoryRecord, rockRidge: RockRidge | null): string {
    const recorded = this.#isJoliet ? ucs2(record.name) : ascii(record.name, 0, record.name.length)
    // "NAME.EXT;1": the version, and a point without extension, are no part of what people call it (ECMA-119, 7.5).
    const name = rockRidge?.name ?? recorded.replace(/;\d*$/, '').replace(/\.$/, '')
    // What a folder elsewhere could take for more than a name.
    const safe = name.replace(/[/\0]/g, '_')
    return safe === '' || safe === '.' || safe === '..' ? '_' : safe
  }
}

function kindOf(mode: number | null, rockRidge: RockRidge | null, isRaw: boolean): IsoEntry['kind'] {
  const type = mode === null ? TYPE_FILE : mode & TYPE_MASK
  if (type === TYPE_LINK || (mode === null && typeof rockRidge?.target === 'string')) return 'link'
  return type === TYPE_FILE && isRaw ? 'file' : 'other'
}

async function readFile(file: ByteFile, entry: IsoEntry, offset: number, into: Uint8Array): Promise<void> {
  if (entry.kind !== 'file')
    throw new AppError('invalid-input', `“${entry.name}” of the disc image “${file.path}” cannot be read as a file.`)
  if (!Number.isSafeInteger(offset) || offset < 0 || offset + into.length > entry.size)
    throw new AppError('invalid-input', `${into.length} bytes at ${offset} lie outside of “${entry.name}” (${entry.size} bytes).`)
  let start = 0
  let done = 0
  for (const { at, length } of entry.parts) {
    const from = offset + done - start
    const size = Math.min(into.length - done, length - from)
    if (size > 0) {
      if (at + from + size > file.size) throw damaged(file.path, `it ends in the middle of its file “${entry.name}”`)
      await file.read(at + from, into.subarray(done, done + size))
      done += size
    }
    start += length
  }
}

async function part(file: ByteFile, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  await file.read(at, bytes)
  return bytes
}
