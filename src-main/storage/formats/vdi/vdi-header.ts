/**
 * The header of a VDI file, version 1.1: VirtualBox, src/VBox/Storage/VDICore.h (VDIPREHEADER, VDIHEADER1PLUS), and "All about VDIs" of the
 * VirtualBox forums (topic 8046). Little endian.
 */
import { damaged, unsupported } from '../blocks/faults.ts'

/** Bytes: the pre-header (72) and the header (400), in whole sectors. */
export const HEADER_SIZE = 512
export const SIGNATURE = 0xbeda107f
export const VERSION = 0x00010001
/** A sector of every VDI. */
const SECTOR = 512
/** Bytes. VirtualBox makes blocks of 1 MiB; others are legal. */
const SMALLEST_BLOCK = 4096
const LARGEST_BLOCK = 64 * 1024 * 1024
/** Entries of a block map: 64 TiB in blocks of 1 MiB, and a map of 256 MiB, of which only a few pages are ever in memory. */
export const MOST_BLOCKS = 64 * 1024 * 1024

/** Image types (VDIIMAGETYPE). */
export const TYPE_DYNAMIC = 1
export const TYPE_FIXED = 2
const TYPE_DIFFERENCING = 4
const TYPES: Record<number, string> = { 3: 'an undo disk' }
/** UUIDs of the image itself and of the one that it rests on (uuidCreate, uuidLinkage). */
const UUID_AT = 392
const PARENT_AT = 424

/** Offsets of the fields that are written after the header was made. */
export const ALLOCATED_AT = 388

export interface VdiHeader {
  fixed: boolean
  /** UUID of the image that it rests on; null: it is whole. */
  parent: string | null
  /** Bytes, a multiple of 512. */
  size: number
  blockSize: number
  /** Bytes before each block that are not the disk's. */
  blockExtra: number
  blocks: number
  /** Blocks that have room in the file. */
  allocated: number
  mapAt: number
  dataAt: number
}

/** The UUID of the image itself, by which others name it. @param head at least HEADER_SIZE bytes */
export function vdiUuid(head: Uint8Array): string {
  return uuidText(head.subarray(UUID_AT, UUID_AT + 16))
}

export function isVdi(head: Uint8Array): boolean {
  return head.length >= 68 && view(head).getUint32(64, true) === SIGNATURE
}

/** @throws AppError `corrupt`, `unsupported` */
export function parseVdiHeader(head: Uint8Array, path: string): VdiHeader {
  if (head.length < HEADER_SIZE || !isVdi(head)) throw damaged(path, 'it has no VDI header')
  const fields = view(head)
  const u32 = (at: number): number => fields.getUint32(at, true)
  const version = u32(68)
  if (version !== VERSION)
    throw unsupported(
      path,
      `it is a VDI of version ${version >>> 16}.${version & 0xffff}; version 1.1 is known. Convert it with VirtualBox.`,
    )
  const type = u32(76)
  const parent = type === TYPE_DIFFERENCING ? uuidText(head.subarray(PARENT_AT, PARENT_AT + 16)) : null
  if (type !== TYPE_DYNAMIC && type !== TYPE_FIXED && parent === null) {
    const kind = TYPES[type]
    if (!kind) throw damaged(path, `its image type is ${type}, which does not exist`)
    throw unsupported(path, `it is ${kind}. Make a copy without parent in VirtualBox (VBoxManage clonemedium) and use that.`)
  }
  if (parent === null && head.subarray(PARENT_AT, PARENT_AT + 32).some((byte) => byte !== 0))
    throw unsupported(path, 'it names a parent. Make a copy without parent in VirtualBox (VBoxManage clonemedium) and use that.')
  const declared = fields.getBigUint64(368, true)
  const header: VdiHeader = {
    fixed: type === TYPE_FIXED,
    parent,
    // VirtualBox can make disks of any number of bytes.
    size: Number((declared + BigInt(SECTOR - 1)) / BigInt(SECTOR)) * SECTOR,
    blockSize: u32(376),
    blockExtra: u32(380),
    blocks: u32(384),
    allocated: u32(388),
    mapAt: u32(340),
    dataAt: u32(344),
  }
  if (u32(360) !== SECTOR) throw unsupported(path, `its sectors have ${u32(360)} bytes; 512 are known.`)
  const { blockSize, blocks } = header
  if (blockSize < SMALLEST_BLOCK || blockSize > LARGEST_BLOCK || (blockSize & (blockSize - 1)) !== 0)
    throw damaged(path, `its blocks have ${blockSize} bytes`)
  if (blocks > MOST_BLOCKS) throw unsupported(path, `its block map has ${blocks} entries; at most ${MOST_BLOCKS} are known.`)
  if (header.size === 0) throw damaged(path, 'it says that its disk has no bytes')
  if (declared > BigInt(blocks) * BigInt(blockSize)) throw damaged(path, 'its disk is larger than its block map')
  if (header.blockExtra > blockSize || header.blockExtra % SECTOR !== 0)
    throw damaged(path, `its blocks have ${header.blockExtra} extra bytes`)
  if (header.mapAt < HEADER_SIZE || header.mapAt % SECTOR !== 0 || header.dataAt % SECTOR !== 0)
    throw damaged(path, 'its block map or its data is at an impossible place')
  if (header.dataAt < header.mapAt + blocks * 4) throw damaged(path, 'its data lies over its block map')
  return header
}

/** The header of a new image whose disk is empty. Image and modification get UUIDs of their own. */
export function buildVdiHeader(header: VdiHeader): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(HEADER_SIZE)
  const fields = view(head)
  const u32 = (at: number, value: number): void => fields.setUint32(at, value, true)
  head.set(new TextEncoder().encode('<<< Coppice VM Virtual Disk Image >>>\n'))
  u32(64, SIGNATURE)
  u32(68, VERSION)
  u32(72, 400)
  u32(76, header.fixed ? TYPE_FIXED : TYPE_DYNAMIC)
  u32(340, header.mapAt)
  u32(344, header.dataAt)
  u32(360, SECTOR)
  fields.setBigUint64(368, BigInt(header.size), true)
  u32(376, header.blockSize)
  u32(380, header.blockExtra)
  u32(384, header.blocks)
  u32(ALLOCATED_AT, header.allocated)
  head.set(newUuid(), 392)
  head.set(newUuid(), 408)
  // The geometry that the BIOS shows: zeroes let VirtualBox choose one.
  u32(468, SECTOR)
  return head
}

/** A random UUID (RFC 9562, 5.4) in the byte order of VDIs: the first three groups are little endian. */
function newUuid(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[7] = (bytes[7]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return bytes
}

function uuidText(bytes: Uint8Array): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
  const hex = order.map((at) => bytes[at]!.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
