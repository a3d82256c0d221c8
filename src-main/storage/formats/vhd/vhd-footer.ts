/**
 * Footer and dynamic header of a VHD: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0 (2006): "Hard Disk Footer Format",
 * "Dynamic Disk Header Format", "CHS Calculation". Big endian.
 */
import { damaged, unsupported } from '../blocks/faults.ts'

export const FOOTER_SIZE = 512
export const DYNAMIC_HEADER_SIZE = 1024
const COOKIE = 'conectix'
const DYNAMIC_COOKIE = 'cxsparse'
/** No next structure. The specification says 32 bits of ones; Microsoft's programs write and want 64. */
const NONE = 0xffff_ffff_ffff_ffffn
/** Timestamps count seconds from 2000-01-01. */
const EPOCH = Date.UTC(2000, 0, 1)
const SECTOR = 512
/** Bytes: what Windows can attach. */
export const LARGEST_DISK = 2040 * 1024 ** 3
/** Blocks of a dynamic disk: 2040 GiB in blocks of 512 KiB, the smallest that Microsoft's programs make. */
const MOST_BLOCKS = 4_177_920
const SMALLEST_BLOCK = 4096
const LARGEST_BLOCK = 64 * 1024 * 1024
/** Sectors of the largest geometry. */
const LARGEST_GEOMETRY = 65_535 * 16 * 255

/** Programs whose disks are as large as their geometry: the guest's BIOS saw no more. All others mean the current size. */
const GEOMETRY_CREATORS = ['vpc ', 'vs  ', 'qemu']

export type VhdKind = 'fixed' | 'dynamic' | 'differencing'
const TYPES: Record<number, VhdKind> = { 2: 'fixed', 3: 'dynamic', 4: 'differencing' }
const TYPE_NUMBERS: Record<'fixed' | 'dynamic', number> = { fixed: 2, dynamic: 3 }

export interface VhdFooter {
  kind: VhdKind
  /** Bytes, as guests see it. */
  size: number
  /** Where the dynamic header is; not of fixed disks. */
  headerAt: number
  creator: string
  /** By which a differencing disk knows it: hexadecimal. */
  id: string
}

export interface DynamicHeader {
  tableAt: number
  blocks: number
  blockSize: number
  /** Bytes of a block's sector bitmap, in whole sectors. */
  bitmapSize: number
  /** The parent's name and id as a differencing disk has them. */
  parentName: string
  parentId: string
}

/** @param head the file's beginning; @param tail its last 512 bytes: a fixed disk is known by them alone */
export function isVhd(head: Uint8Array, tail: Uint8Array): boolean {
  return hasText(head, 0, COOKIE) || (tail.length >= FOOTER_SIZE && hasText(tail, tail.length - FOOTER_SIZE, COOKIE))
}

/**
 * @returns null where these bytes are no footer or their checksum is wrong
 * @throws AppError `corrupt`, `unsupported`: it is a footer, and says what cannot be
 */
export function parseFooter(bytes: Uint8Array, path: string): VhdFooter | null {
  if (bytes.length < FOOTER_SIZE || !hasText(bytes, 0, COOKIE)) return null
  const fields = view(bytes)
  if (checksum(bytes, 64) !== fields.getUint32(64)) return null
  const version = fields.getUint32(12)
  if (version >>> 16 !== 1) throw unsupported(path, `it is a VHD of version ${version >>> 16}; version 1 is known.`)
  const type = fields.getUint32(60)
  const kind = TYPES[type]
  if (!kind) throw damaged(path, `its disk type is ${type}, which does not exist`)
  const creator = String.fromCharCode(...bytes.subarray(28, 32))
  const sectors = fields.getUint16(56) * bytes[58]! * bytes[59]!
  const declared = fields.getBigUint64(48)
  if (declared > BigInt(LARGEST_DISK)) throw damaged(path, `its disk would have ${declared} bytes; a VHD has at most ${LARGEST_DISK}`)
  const byGeometry = GEOMETRY_CREATORS.includes(creator) && sectors > 0 && sectors !== LARGEST_GEOMETRY
  const size = byGeometry ? sectors * SECTOR : Math.floor(Number(declared) / SECTOR) * SECTOR
  if (size === 0) throw damaged(path, 'it says that its disk has no bytes')
  const headerAt = fields.getBigUint64(16)
  if (kind !== 'fixed' && (headerAt < BigInt(FOOTER_SIZE) || headerAt > BigInt(Number.MAX_SAFE_INTEGER - DYNAMIC_HEADER_SIZE)))
    throw damaged(path, 'its dynamic header is at an impossible place')
  return { kind, size, headerAt: Number(headerAt & 0x1f_ffff_ffff_ffffn), creator, id: hex(bytes.subarray(68, 84)) }
}

/** @throws AppError `corrupt` */
export function parseDynamicHeader(bytes: Uint8Array, footer: VhdFooter, path: string): DynamicHeader {
  const fields = view(bytes)
  if (!hasText(bytes, 0, DYNAMIC_COOKIE)) throw damaged(path, 'its dynamic header is missing')
  if (checksum(bytes, 36) !== fields.getUint32(36)) throw damaged(path, 'the checksum of its dynamic header is wrong')
  const blockSize = fields.getUint32(32)
  if (blockSize < SMALLEST_BLOCK || blockSize > LARGEST_BLOCK || (blockSize & (blockSize - 1)) !== 0)
    throw damaged(path, `its blocks have ${blockSize} bytes`)
  const blocks = fields.getUint32(28)
  if (blocks > MOST_BLOCKS) throw damaged(path, `its block table has ${blocks} entries; at most ${MOST_BLOCKS} are possible`)
  if (blocks * blockSize < footer.size) throw damaged(path, 'its disk is larger than its block table')
  const tableAt = fields.getBigUint64(16)
  if (tableAt < BigInt(FOOTER_SIZE) || tableAt % BigInt(SECTOR) !== 0n || tableAt > 0xffff_ffffn * BigInt(SECTOR))
    throw damaged(path, 'its block table is at an impossible place')
  const bitmapSize = Math.ceil(blockSize / SECTOR / 8 / SECTOR) * SECTOR
  return {
    tableAt: Number(tableAt),
    blocks,
    blockSize,
    bitmapSize,
    parentName: parentName(bytes.subarray(64, 576)),
    parentId: hex(bytes.subarray(40, 56)),
  }
}

/** @param size bytes */
export function buildFooter(kind: 'fixed' | 'dynamic', size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(FOOTER_SIZE)
  const fields = view(bytes)
  setText(bytes, 0, COOKIE)
  fields.setUint32(8, 2) // "Reserved. This bit must always be set to 1."
  fields.setUint32(12, 0x0001_0000)
  fields.setBigUint64(16, kind === 'fixed' ? NONE : BigInt(FOOTER_SIZE))
  fields.setUint32(24, Math.max(0, Math.floor((Date.now() - EPOCH) / 1000)))
  // Readers take from this name how large the disk is: of Hyper-V's, all take the current size.
  setText(bytes, 28, 'win ')
  fields.setUint32(32, 0x000a_0000)
  setText(bytes, 36, 'Wi2k')
  fields.setBigUint64(40, BigInt(size))
  fields.setBigUint64(48, BigInt(size))
  const { cylinders, heads, sectors } = geometry(size)
  fields.setUint16(56, cylinders)
  bytes[58] = heads
  bytes[59] = sectors
  fields.setUint32(60, TYPE_NUMBERS[kind])
  bytes.set(crypto.getRandomValues(new Uint8Array(16)), 68)
  fields.setUint32(64, checksum(bytes, 64))
  return bytes
}

export function buildDynamicHeader(tableAt: number, blocks: number, blockSize: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(DYNAMIC_HEADER_SIZE)
  const fields = view(bytes)
  setText(bytes, 0, DYNAMIC_COOKIE)
  fields.setBigUint64(8, NONE)
  fields.setBigUint64(16, BigInt(tableAt))
  fields.setUint32(24, 0x0001_0000)
  fields.setUint32(28, blocks)
  fields.setUint32(32, blockSize)
  fields.setUint32(36, checksum(bytes, 36))
  return bytes
}

/** "Appendix: CHS Calculation". @param size bytes */
export function geometry(size: number): { cylinders: number; heads: number; sectors: number } {
  const total = Math.min(Math.floor(size / SECTOR), LARGEST_GEOMETRY)
  const of = (heads: number, sectors: number) => ({ cylinders: Math.floor(Math.floor(total / sectors) / heads), heads, sectors })
  if (total >= 65_535 * 16 * 63) return of(16, 255)
  const heads = Math.max(4, Math.ceil(Math.floor(total / 17) / 1024))
  if (heads <= 16 && Math.floor(total / 17) < heads * 1024) return of(heads, 17)
  return Math.floor(total / 31) < 16 * 1024 ? of(16, 31) : of(16, 63)
}

/** One's complement of the sum of all bytes but the checksum's own four, which are at `at`. */
function checksum(bytes: Uint8Array, at: number): number {
  let sum = 0
  for (let index = 0; index < bytes.length; index++) if (index < at || index >= at + 4) sum += bytes[index]!
  return ~sum >>> 0
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** UTF-16, big endian, up to the first zero. */
function parentName(bytes: Uint8Array): string {
  const text = new TextDecoder('utf-16be').decode(bytes)
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}

function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  return bytes.length >= at + text.length && [...text].every((char, index) => bytes[at + index] === char.charCodeAt(0))
}

function setText(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index)
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
