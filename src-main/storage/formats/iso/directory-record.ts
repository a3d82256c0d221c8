/** Records of a folder: ECMA-119, 9.1. Numbers are there in both byte orders; the little endian ones are read. */
import { SECTOR, view } from './volume-descriptors.ts'

const LEAST_LENGTH = 34

export interface DirectoryRecord {
  /** In blocks of the volume. */
  block: number
  /** Bytes. */
  length: number
  /** ms since 1970; null: not said. */
  modified: number | null
  isFolder: boolean
  /** An associated file (a resource fork), which has the name of another. */
  isAssociated: boolean
  /** The file goes on in the next record. */
  goesOn: boolean
  isInterleaved: boolean
  name: Uint8Array
  /** The system use field (ECMA-119, 9.1.13), where Rock Ridge is. */
  systemUse: Uint8Array
}

/** @returns null where the bytes are none */
export function parseRecord(bytes: Uint8Array): DirectoryRecord | null {
  const size = bytes[0] ?? 0
  const nameLength = bytes[32] ?? 0
  // A name of even length is followed by a byte that makes it odd.
  const nameEnd = 33 + nameLength
  if (size < LEAST_LENGTH || size > bytes.length || nameLength === 0 || nameEnd > size) return null
  const fields = view(bytes)
  const flags = bytes[25]!
  return {
    block: fields.getUint32(2, true) + bytes[1]!,
    length: fields.getUint32(10, true),
    modified: shortTime(bytes.subarray(18, 25)),
    isFolder: (flags & 2) !== 0,
    isAssociated: (flags & 4) !== 0,
    goesOn: (flags & 0x80) !== 0,
    isInterleaved: bytes[26] !== 0 || bytes[27] !== 0,
    name: bytes.subarray(33, nameEnd),
    systemUse: bytes.subarray(Math.min(size, nameEnd + (nameLength % 2 === 0 ? 1 : 0)), size),
  }
}

/** All records of a folder's bytes; what is none ends its sector: records do not cross from one into the next (6.8.1.1). */
export function* parseRecords(bytes: Uint8Array): Generator<DirectoryRecord> {
  for (let sector = 0; sector < bytes.length; sector += SECTOR) {
    const end = Math.min(bytes.length, sector + SECTOR)
    for (let at = sector; at < end;) {
      const record = parseRecord(bytes.subarray(at, end))
      if (!record) break
      yield record
      at += bytes[at]!
    }
  }
}

/** 9.1.5: years since 1900, month, day, hour, minute, second, quarters of an hour from Greenwich. */
export function shortTime(bytes: Uint8Array): number | null {
  const [year, month, day, hour, minute, second, zone] = bytes
  if (bytes.length < 7 || month! < 1 || month! > 12 || day! < 1 || day! > 31) return null
  const quarters = (zone! << 24) >> 24
  return Date.UTC(1900 + year!, month! - 1, day, hour, minute, second) - quarters * 15 * 60_000
}

/** 8.4.26.1: digits of year, month, day, hour, minute, second, hundredths, and the quarters of an hour. */
export function longTime(bytes: Uint8Array): number | null {
  const digits = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(String.fromCharCode(...bytes.subarray(0, 16)))
  if (bytes.length < 17 || !digits) return null
  const [year, month, day, hour, minute, second] = digits.slice(1).map(Number)
  if (month! < 1 || month! > 12 || day! < 1 || day! > 31) return null
  return Date.UTC(year!, month! - 1, day, hour, minute, second) - ((bytes[16]! << 24) >> 24) * 15 * 60_000
}
