/**
 * Parts of a tar archive that is written: a header, the contents, zero bytes up to the next block, and the end. POSIX ustar (IEEE 1003.1 pax,
 * "ustar interchange format"), which OVA archives want (DSP0243 1.1, section 5.3); contents of 8 GiB and more have GNU's base-256 size, which
 * GNU tar, libarchive, Go, Python and VirtualBox read, and names that do not fit in a header have a pax one before it.
 */
import { concatBytes, utf8 } from '../../src-shared/base/bytes.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { MAX_NAME, paddingOf, TAR_BLOCK } from './tar.ts'

export interface NewTarEntry {
  /** Relative, with "/"; at most MAX_NAME characters. */
  name: string
  type: 'file' | 'directory'
  /** Bytes of contents; of a directory 0. */
  size: number
  /** Seconds since 1970. */
  mtime: number
}

/** Largest number that eleven octal digits hold. */
const MAX_OCTAL = 8 ** 11 - 1

/** One or more blocks. @throws AppError `invalid-input` for a name or size that no archive can hold */
export function tarHeader(entry: NewTarEntry): Uint8Array {
  const { name, size } = entry
  if (name === '' || name.length > MAX_NAME || name.includes('\0'))
    throw AppError.invalid([{ path: 'name', message: `A file in a tar archive cannot be called “${name.slice(0, 80)}”.` }])
  if (!Number.isSafeInteger(size) || size < 0)
    throw AppError.invalid([{ path: 'size', message: `“${name.slice(0, 80)}” cannot have ${size} bytes.` }])
  const place = splitName(utf8(name))
  if (place !== null) return header(entry, place, entry.type === 'file' ? '0' : '5')
  const record = paxRecord('path', name)
  const before = header({ ...entry, size: record.length }, { prefix: NOTHING, name: utf8('pax_header') }, 'x')
  const cut = { prefix: NOTHING, name: utf8(name).subarray(0, 100) }
  return concatBytes([before, record, new Uint8Array(paddingOf(record.length)), header(entry, cut, entry.type === 'file' ? '0' : '5')])
}

/** What follows contents of so many bytes. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array(paddingOf(size))
}

/** What follows the last entry. */
export const TAR_END_BYTES = 2 * TAR_BLOCK

export function tarEnd(): Uint8Array {
  return new Uint8Array(TAR_END_BYTES)
}

interface Place {
  prefix: Uint8Array
  name: Uint8Array
}

const NOTHING = new Uint8Array(0)
const SLASH = 0x2f

/** A name of at most 100 bytes, or one cut at a "/" so that at most 155 are before it; null where that cannot be. */
function splitName(name: Uint8Array): Place | null {
  if (name.length <= 100) return { prefix: NOTHING, name }
  for (let at = Math.min(155, name.length - 2); at >= name.length - 101 && at > 0; at--)
    if (name[at] === SLASH) return { prefix: name.subarray(0, at), name: name.subarray(at + 1) }
  return null
}

function header({ size, mtime, type }: NewTarEntry, { prefix, name }: Place, flag: string): Uint8Array {
  const block = new Uint8Array(TAR_BLOCK)
  block.set(name, 0)
  block.set(utf8(type === 'directory' ? '0000755\0' : '0000644\0'), 100)
  // No owner: who unpacks it.
  block.set(utf8('0000000\0'), 108)
  block.set(utf8('0000000\0'), 116)
  block.set(size <= MAX_OCTAL ? octal(size) : base256(size), 124)
  block.set(octal(Math.min(Math.max(0, Math.floor(mtime)), MAX_OCTAL)), 136)
  block.set(utf8('        '), 148)
  block.set(utf8(flag), 156)
  block.set(utf8('ustar\x0000'), 257)
  block.set(prefix, 345)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.set(utf8(`${sum.toString(8).padStart(6, '0')}\0 `), 148)
  return block
}

function octal(value: number): Uint8Array {
  return utf8(`${value.toString(8).padStart(11, '0')}\0`)
}

/** Twelve bytes, the first bit set, big-endian. */
function base256(value: number): Uint8Array {
  const field = new Uint8Array(12)
  for (let at = 11, left = value; left > 0; at--, left = Math.floor(left / 256)) field[at] = left % 256
  field[0] = 0x80
  return field
}

/** "<length> <key>=<value>\n"; the length counts itself (pax Extended Header). */
function paxRecord(key: string, value: string): Uint8Array {
  const rest = utf8(` ${key}=${value}\n`)
  let length = rest.length
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length
  return concatBytes([utf8(String(length)), rest])
}
