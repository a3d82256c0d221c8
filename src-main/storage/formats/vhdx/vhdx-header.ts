/** The header section of a VHDX: [MS-VHDX] 2.2 (file identifier, headers, region tables). Little endian; GUIDs as Microsoft writes them. */
import { damaged, unsupported } from '../blocks/faults.ts'
import { crc32c } from './crc32c.ts'

const KiB = 1024
const MiB = 1024 * KiB
/** Offsets: two headers, of which the valid one with the greater sequence number counts, and two copies of the region table. */
export const HEADERS_AT = [64 * KiB, 128 * KiB] as const
export const REGION_TABLES_AT = [192 * KiB, 256 * KiB] as const
export const HEADER_SIZE = 4 * KiB
export const REGION_TABLE_SIZE = 64 * KiB
const MOST_REGIONS = 2047

export const BAT_REGION = '2dc27766-f623-4200-9d64-115e9bfd4a08'
export const METADATA_REGION = '8b7ca206-4790-4b9a-b8fe-575f050f886e'
export const NO_GUID = '00000000-0000-0000-0000-000000000000'

export interface VhdxHeader {
  sequence: bigint
  /** NO_GUID: the log is empty. */
  logGuid: string
  logAt: number
  logLength: number
}

export interface Region {
  at: number
  length: number
}

export function isVhdx(head: Uint8Array): boolean {
  return head.length >= 8 && text(head, 0, 8) === 'vhdxfile'
}

/** 2.2.2. @returns null where it is damaged, as a crash while it was written leaves it */
function parseHeader(bytes: Uint8Array, path: string): VhdxHeader | null {
  const fields = view(bytes)
  if (text(bytes, 0, 4) !== 'head' || crc32c(bytes, 4) !== fields.getUint32(4, true)) return null
  const version = fields.getUint16(66, true)
  if (version !== 1) throw unsupported(path, `it is a VHDX of version ${version}; version 1 is known.`)
  const logGuid = guid(bytes, 48)
  const logVersion = fields.getUint16(64, true)
  if (logGuid !== NO_GUID && logVersion !== 0) throw unsupported(path, `its log has version ${logVersion}; version 0 is known.`)
  return {
    sequence: fields.getBigUint64(8, true),
    logGuid,
    logLength: fields.getUint32(68, true),
    logAt: offset(fields.getBigUint64(72, true), path, 'its log'),
  }
}

/** @throws AppError `corrupt`: neither is whole */
export function currentHeader(copies: readonly Uint8Array[], path: string): VhdxHeader {
  const headers = copies.map((bytes) => parseHeader(bytes, path)).filter((header) => header !== null)
  headers.sort((a, b) => (a.sequence < b.sequence ? 1 : -1))
  if (!headers[0]) throw damaged(path, 'neither of its two headers is whole')
  return headers[0]
}

/** 2.2.3. @throws AppError `corrupt`, `unsupported` (a region that must be understood and is not known) */
export function parseRegions(copies: readonly Uint8Array[], path: string): { bat: Region; metadata: Region } {
  const bytes = copies.find((copy) => text(copy, 0, 4) === 'regi' && crc32c(copy, 4) === view(copy).getUint32(4, true))
  if (!bytes) throw damaged(path, 'neither copy of its region table is whole')
  const fields = view(bytes)
  const count = fields.getUint32(8, true)
  if (count > MOST_REGIONS) throw damaged(path, `its region table has ${count} entries`)
  const known = new Map<string, Region>()
  for (let index = 0; index < count; index++) {
    const at = 16 + index * 32
    const id = guid(bytes, at)
    if (id !== BAT_REGION && id !== METADATA_REGION) {
      if (fields.getUint32(at + 28, true) & 1) throw unsupported(path, `it needs a feature that is not known here (region ${id}).`)
      continue
    }
    const region = { at: offset(fields.getBigUint64(at + 16, true), path, 'a region'), length: fields.getUint32(at + 24, true) }
    if (known.has(id)) throw damaged(path, 'a region is there twice')
    known.set(id, region)
  }
  const bat = known.get(BAT_REGION)
  const metadata = known.get(METADATA_REGION)
  if (!bat || !metadata) throw damaged(path, 'its block table or its metadata is missing')
  return { bat, metadata }
}

/** Structures lie at whole MiB, after the header section (2.2). */
function offset(value: bigint, path: string, what: string): number {
  if (value % BigInt(MiB) !== 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw damaged(path, `${what} is at an impossible place`)
  return Number(value)
}

/** Lower case, with hyphens. The first three groups are little endian. */
export function guid(bytes: Uint8Array, at: number): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]
  const hex = order.map((index) => bytes[at + index]!.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

export function text(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length))
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
