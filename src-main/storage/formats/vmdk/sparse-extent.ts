/**
 * A sparse extent of a VMDK ("Virtual Disk Format 5.0", "Hosted Sparse Extents"): a directory of grain tables, of whose entries each is the sector where
 * a grain (64 KiB) begins. Both are there twice, and are written twice. The directory is held in memory: 4 bytes for 32 MiB of the disk.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockDevice } from '../../block-device.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { blockDisk, UNALLOCATED, ZERO, type Below, type BlockGrowth } from '../blocks/block-disk.ts'
import { EntryTable } from '../blocks/entry-table.ts'
import { damaged, unsupported } from '../blocks/faults.ts'
import { compressedGrains } from './compressed-grains.ts'
import { HEADER_SIZE, parseSparseHeader, SECTOR, tables, view, type SparseHeader } from './sparse-header.ts'

/** An entry of a grain of zeroes, where the header allows that. */
const ENTRY_ZERO = 1
/** Bytes of footer and end-of-stream marker, after the footer's marker. */
const FOOTER_FROM_END = 1024
/** Grain tables that are added to an extent that has none in places. Programs make all of them at first. */
const MOST_NEW_TABLES = 65_536

/** @throws AppError `corrupt`, `unsupported` */
export async function readSparseHeader(file: ByteFile): Promise<SparseHeader> {
  const bytes = new Uint8Array(HEADER_SIZE)
  await file.read(0, bytes)
  const header = parseSparseHeader(bytes, file.path)
  if (header.directoryAt !== null) return header
  // Written as a stream: where the directory went was known only afterwards, and stands in a second header near the end.
  if (file.size < HEADER_SIZE + FOOTER_FROM_END) throw damaged(file.path, 'its footer is missing')
  await file.read(file.size - FOOTER_FROM_END, bytes)
  const footer = parseSparseHeader(bytes, file.path)
  const same = footer.capacity === header.capacity && footer.grain === header.grain && footer.tableEntries === header.tableEntries
  if (footer.directoryAt === null || !same || footer.compressed !== header.compressed)
    throw damaged(file.path, 'its footer is not its header’s')
  return { ...footer, descriptorAt: header.descriptorAt, descriptorSize: header.descriptorSize }
}

export interface SparseOptions {
  /** Sectors of the extent, at most its capacity. */
  sectors: number
  readOnly: boolean
  below: Below | null
  /** Bytes of grain tables in memory. */
  cacheBytes: number
}

/** @param file owned from now on; @throws AppError `corrupt`, `unsupported` */
export async function sparseExtent(file: ByteFile, header: SparseHeader, options: SparseOptions): Promise<BlockDevice> {
  const { readOnly, sectors } = options
  if (sectors > header.capacity) throw damaged(file.path, `it has ${header.capacity} sectors, of ${sectors} that its descriptor says`)
  if (header.compressed && !readOnly)
    throw unsupported(file.path, 'it is a compressed VMDK (streamOptimized), which is read, not written. Convert it to qcow2 and use that.')
  const directory = await readDirectory(file, header, header.directoryAt!)
  const redundant = !readOnly && header.redundantAt ? await readDirectory(file, header, header.redundantAt) : null
  if (!readOnly) await addTables(file, header, directory, redundant)
  const grainSize = header.grain * SECTOR
  return blockDisk({
    file,
    info: { size: sectors * SECTOR, readOnly, format: 'vmdk' },
    blockSize: grainSize,
    table: grainTable(file, header, directory, redundant, options.cacheBytes),
    place: grainPlace(file, header, readOnly),
    below: options.below,
    partial: header.compressed ? compressedGrains(file, grainSize) : null,
    growth: readOnly ? null : grainGrowth(file, header, grainSize),
    details: [],
  })
}

/** The table and places of an extent that is only looked at. @throws AppError `corrupt` */
export async function loadGrains(file: ByteFile, header: SparseHeader) {
  const directory = await readDirectory(file, header, header.directoryAt!)
  return { table: grainTable(file, header, directory, null), place: grainPlace(file, header, true) }
}

function grainTable(
  file: ByteFile,
  header: SparseHeader,
  directory: Uint32Array,
  redundant: Uint32Array | null,
  cacheBytes?: number,
): EntryTable {
  return new EntryTable(file, {
    count: Math.ceil(header.capacity / header.grain),
    pageEntries: header.tableEntries,
    entryBytes: 4,
    copies: (page) => {
      if (directory[page] === 0) return []
      return redundant ? [directory[page]! * SECTOR, redundant[page]! * SECTOR] : [directory[page]! * SECTOR]
    },
    absent: 0,
    ...(cacheBytes === undefined ? {} : { cacheBytes }),
    decode: (page, at) => page.getUint32(at, true),
    encode: (page, at, entry) => page.setUint32(at, entry, true),
  })
}

function grainPlace(file: ByteFile, header: SparseHeader, readOnly: boolean): (entry: number, index: number) => number {
  const grainSize = header.grain * SECTOR
  return (entry, index) => {
    if (entry === 0) return UNALLOCATED
    if (entry === ENTRY_ZERO && header.zeroGrains) return ZERO
    const at = entry * SECTOR
    // A guest must never write into the descriptor, which names files.
    const overDescriptor = at < header.descriptorAt + header.descriptorSize && at + grainSize > header.descriptorAt
    if (at < HEADER_SIZE || overDescriptor || (readOnly && at >= file.size))
      throw damaged(file.path, `grain ${index} is said to be at ${at}, where none can be`)
    return at
  }
}

/** @throws AppError `corrupt`: it, or a table that it names, reaches past the end of the file */
async function readDirectory(file: ByteFile, header: SparseHeader, at: number): Promise<Uint32Array> {
  const count = tables(header)
  if (at < HEADER_SIZE || at + count * 4 > file.size) throw damaged(file.path, 'its grain directory reaches past the end of the file')
  const bytes = new Uint8Array(count * 4)
  await file.read(at, bytes)
  const fields = view(bytes)
  const directory = new Uint32Array(count)
  for (let index = 0; index < count; index++) {
    const sector = fields.getUint32(index * 4, true)
    if (sector * SECTOR + header.tableEntries * 4 > Math.ceil(file.size / SECTOR) * SECTOR)
      throw damaged(file.path, `grain table ${index} reaches past the end of the file`)
    directory[index] = sector
  }
  return directory
}

/** Gives an extent that is to be written the grain tables that it lacks, in both directories: first the tables, then what points to them. */
async function addTables(file: ByteFile, header: SparseHeader, directory: Uint32Array, redundant: Uint32Array | null): Promise<void> {
  const size = header.tableEntries * 4
  let end = Math.ceil(file.size / SECTOR) * SECTOR
  const changed: { at: number; sectors: Uint32Array }[] = []
  for (const [sectors, at] of [[directory, header.directoryAt!] as const, [redundant, header.redundantAt] as const]) {
    if (!sectors) continue
    const missing = sectors.reduce((count, sector) => count + (sector === 0 ? 1 : 0), 0)
    if (missing === 0) continue
    if (missing > MOST_NEW_TABLES) throw unsupported(file.path, 'most of its grain tables are missing. Convert it to qcow2 and use that.')
    for (let index = 0; index < sectors.length; index++) {
      if (sectors[index] !== 0) continue
      sectors[index] = end / SECTOR
      end += Math.ceil(size / SECTOR) * SECTOR
    }
    changed.push({ at: at!, sectors })
  }
  if (changed.length === 0) return
  if (end / SECTOR > 0xffff_ffff) throw unsupported(file.path, 'it has no room for its grain tables. Convert it to qcow2 and use that.')
  await file.truncate(end)
  await file.sync()
  for (const { at, sectors } of changed) {
    const bytes = new Uint8Array(sectors.length * 4)
    for (const [index, sector] of sectors.entries()) view(bytes).setUint32(index * 4, sector, true)
    await file.write(at, bytes)
  }
  await file.sync()
}

/** New grains are added at the end. */
function grainGrowth(file: ByteFile, header: SparseHeader, grainSize: number): BlockGrowth {
  let end = Math.ceil(file.size / grainSize) * grainSize
  return {
    zeroEntry: header.zeroGrains ? ENTRY_ZERO : null,
    pristineFrom: file.size,
    allocate(): number {
      if (end / SECTOR > 0xffff_ffff) throw new AppError('no-space', `The disk image “${file.path}” has no room for another grain.`)
      const entry = end / SECTOR
      end += grainSize
      return entry
    },
    async prepare() {
      if (file.size < end) await file.truncate(end)
    },
  }
}
