/** The volume descriptors of an ISO 9660 image: ECMA-119, 8; Joliet: "Joliet Specification" (Microsoft, 1995); the boot record: El Torito 1.0, 2.0. */
import type { ByteFile } from '../../file/byte-file.ts'
import { damaged, unsupported } from '../blocks/faults.ts'

/** Bytes. Descriptors lie in sectors of this size, whatever the volume's blocks are. */
export const SECTOR = 2048
const FIRST_DESCRIPTOR = 16
/** Descriptors looked at. Real discs have three to five. */
const MOST_DESCRIPTORS = 64
/** Where a directory record begins in its descriptor, and its length. */
const ROOT_AT = 156
export const ROOT_LENGTH = 34
const EL_TORITO = 'EL TORITO SPECIFICATION'

export interface Volume {
  label: string
  /** Bytes: what positions count in. */
  blockSize: number
  /** The record of its root folder. */
  root: Uint8Array
}

export interface Volumes {
  primary: Volume
  joliet: Volume | null
  /** Sector of the boot catalogue. */
  bootCatalogue: number | null
  /** A UDF file system is there too (ECMA-167, 2/9): on such discs it may have the files, and ISO 9660 a note that says so. */
  udf: boolean
}

/** Whether this is an ISO 9660 image, from its first 34 KiB. */
export function isIso(head: Uint8Array): boolean {
  return ascii(head, FIRST_DESCRIPTOR * SECTOR + 1, 5) === 'CD001'
}

/** @throws AppError `corrupt`; `unsupported`: UDF alone */
export async function readVolumes(file: ByteFile): Promise<Volumes> {
  let primary: Volume | null = null
  let joliet: Volume | null = null
  let bootCatalogue: number | null = null
  let udf = false
  let ended = false
  for (let index = 0; index < MOST_DESCRIPTORS; index++) {
    const at = (FIRST_DESCRIPTOR + index) * SECTOR
    if (at + SECTOR > file.size) break
    const bytes = new Uint8Array(SECTOR)
    await file.read(at, bytes)
    const id = ascii(bytes, 1, 5)
    if (id === 'NSR02' || id === 'NSR03') udf = true
    // The recognition area of UDF follows ISO 9660's set.
    if (/^(BEA01|NSR0[23]|TEA01|BOOT2)$/.test(id)) continue
    if (ended || id !== 'CD001') break
    if (bytes[0] === 0 && ascii(bytes, 7, EL_TORITO.length) === EL_TORITO) bootCatalogue ??= view(bytes).getUint32(71, true)
    else if (bytes[0] === 1) primary ??= volume(bytes, ascii(bytes, 40, 32), file.path)
    else if (bytes[0] === 2 && isJoliet(bytes)) joliet ??= volume(bytes, ucs2(bytes.subarray(40, 72)), file.path)
    else if (bytes[0] === 255) ended = true
  }
  if (!primary) {
    if (udf)
      throw unsupported(file.path, 'it has a UDF file system and no ISO 9660. A machine can use the disc; its files cannot be listed here.')
    throw damaged(file.path, 'it has no ISO 9660 volume')
  }
  return { primary, joliet, bootCatalogue, udf }
}

function volume(bytes: Uint8Array, label: string, path: string): Volume {
  const blockSize = view(bytes).getUint16(128, true)
  if (![512, 1024, 2048].includes(blockSize)) throw damaged(path, `its blocks have ${blockSize} bytes`)
  // eslint-disable-next-line no-control-regex -- what fills a field up
  return { label: label.replace(/[\0 ]+$/, '').replace(/[\x00-\x1f]/g, '_'), blockSize, root: bytes.slice(ROOT_AT, ROOT_AT + ROOT_LENGTH) }
}

/** Escape sequences of UCS-2, levels 1 to 3. */
function isJoliet(bytes: Uint8Array): boolean {
  return ['%/@', '%/C', '%/E'].includes(ascii(bytes, 88, 3))
}

export function ascii(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length))
}

/** UTF-16, big endian. */
export function ucs2(bytes: Uint8Array): string {
  return new TextDecoder('utf-16be').decode(bytes)
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
