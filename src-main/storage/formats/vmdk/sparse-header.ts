/** The header of a sparse extent: VMware, "Virtual Disk Format 5.0", "Hosted Sparse Extents" and "Stream-Optimized Compressed". Little endian. */
import { damaged, unsupported } from '../blocks/faults.ts'

export const SECTOR = 512
export const HEADER_SIZE = 512
const MAGIC = 0x564d444b // "KDMV" in the file
/** The older format of ESX, which is not read here. */
export const COWD_MAGIC = 0x44574f43
/** Entries of a grain table, of every program's. */
export const TABLE_ENTRIES = 512
/** The directory is not where the header says but where the footer does. */
export const DIRECTORY_AT_END = 0xffff_ffff_ffff_ffffn
/** Sectors of a grain: 64 KiB, of every program's. */
export const NEW_GRAIN = 128
const SMALLEST_GRAIN = 8
const LARGEST_GRAIN = 4096
/** Entries of a grain directory, in memory: 64 TiB in grains of 64 KiB. */
export const MOST_TABLES = 2 * 1024 * 1024

const FLAG_NEWLINES = 1
const FLAG_REDUNDANT = 2
const FLAG_ZERO_GRAINS = 4
const FLAG_COMPRESSED = 0x1_0000
const FLAG_MARKERS = 0x2_0000
const DEFLATE = 1

export interface SparseHeader {
  version: number
  /** Sectors. */
  capacity: number
  /** Sectors. */
  grain: number
  /** Bytes; size 0: this extent has no descriptor. */
  descriptorAt: number
  descriptorSize: number
  tableEntries: number
  /** Bytes; null: there is none. */
  redundantAt: number | null
  /** Bytes; null: the footer says where. */
  directoryAt: number | null
  zeroGrains: boolean
  compressed: boolean
}

export function isSparse(head: Uint8Array): boolean {
  return head.length >= 4 && view(head).getUint32(0, true) === MAGIC
}

/** @throws AppError `corrupt`, `unsupported` */
export function parseSparseHeader(bytes: Uint8Array, path: string): SparseHeader {
  if (bytes.length < HEADER_SIZE || !isSparse(bytes)) throw damaged(path, 'it has no VMDK header')
  const fields = view(bytes)
  const version = fields.getUint32(4, true)
  if (version < 1 || version > 3) throw unsupported(path, `it is a VMDK of version ${version}; 1 to 3 are known.`)
  const flags = fields.getUint32(8, true)
  if (flags & FLAG_NEWLINES && !(bytes[73] === 0x0a && bytes[74] === 0x20 && bytes[75] === 0x0d && bytes[76] === 0x0a))
    throw damaged(path, 'its line ends were changed, as by a transfer as text')
  const sectors = (at: number, what: string): number => {
    const value = fields.getBigUint64(at, true)
    if (value > BigInt(Math.floor(Number.MAX_SAFE_INTEGER / SECTOR))) throw damaged(path, `it says that ${what} is ${value} sectors`)
    return Number(value)
  }
  const compressed = (flags & FLAG_COMPRESSED) !== 0
  if (compressed && fields.getUint16(77, true) !== DEFLATE)
    throw unsupported(path, `it is compressed by method ${fields.getUint16(77, true)}; deflate is known.`)
  if (compressed && !(flags & FLAG_MARKERS)) throw unsupported(path, 'it is compressed, and its grains have no markers.')
  const directoryAtEnd = fields.getBigUint64(56, true) === DIRECTORY_AT_END
  const header: SparseHeader = {
    version,
    capacity: sectors(12, 'its capacity'),
    grain: sectors(20, 'a grain'),
    descriptorAt: sectors(28, 'the place of its descriptor') * SECTOR,
    descriptorSize: sectors(36, 'its descriptor') * SECTOR,
    tableEntries: fields.getUint32(44, true),
    redundantAt: flags & FLAG_REDUNDANT ? sectors(48, 'the place of its second directory') * SECTOR : null,
    directoryAt: directoryAtEnd ? null : sectors(56, 'the place of its directory') * SECTOR,
    zeroGrains: (flags & FLAG_ZERO_GRAINS) !== 0,
    compressed,
  }
  const { grain, tableEntries, capacity } = header
  if (grain < SMALLEST_GRAIN || grain > LARGEST_GRAIN || (grain & (grain - 1)) !== 0)
    throw damaged(path, `its grains have ${grain} sectors`)
  if (tableEntries < 1 || tableEntries > TABLE_ENTRIES || (tableEntries & (tableEntries - 1)) !== 0)
    throw damaged(path, `its grain tables have ${tableEntries} entries`)
  if (capacity === 0) throw damaged(path, 'it says that its disk has no sectors')
  if (tables(header) > MOST_TABLES) throw unsupported(path, `its disk would have ${capacity} sectors, more than is known here.`)
  return header
}

/** Grain tables that the disk needs. */
export function tables({ capacity, grain, tableEntries }: Pick<SparseHeader, 'capacity' | 'grain' | 'tableEntries'>): number {
  return Math.ceil(capacity / (grain * tableEntries))
}

export interface NewHeader {
  compressed: boolean
  /** All in sectors. */
  capacity: number
  descriptorSize: number
  redundantAt: number
  /** null: at the end. */
  directoryAt: number | null
  overhead: number
}

/** Of an extent whose descriptor begins at sector 1. */
export function buildSparseHeader(choice: NewHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER_SIZE)
  const fields = view(bytes)
  fields.setUint32(0, MAGIC, true)
  fields.setUint32(4, choice.compressed ? 3 : 1, true)
  fields.setUint32(8, FLAG_NEWLINES | (choice.compressed ? FLAG_COMPRESSED | FLAG_MARKERS : FLAG_REDUNDANT), true)
  fields.setBigUint64(12, BigInt(choice.capacity), true)
  fields.setBigUint64(20, BigInt(NEW_GRAIN), true)
  fields.setBigUint64(28, 1n, true)
  fields.setBigUint64(36, BigInt(choice.descriptorSize), true)
  fields.setUint32(44, TABLE_ENTRIES, true)
  fields.setBigUint64(48, BigInt(choice.redundantAt), true)
  fields.setBigUint64(56, choice.directoryAt === null ? DIRECTORY_AT_END : BigInt(choice.directoryAt), true)
  fields.setBigUint64(64, BigInt(choice.overhead), true)
  bytes.set([0x0a, 0x20, 0x0d, 0x0a], 73)
  fields.setUint16(77, choice.compressed ? DEFLATE : 0, true)
  return bytes
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
