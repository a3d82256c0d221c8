/**
 * Streaming reader of tar archives: POSIX ustar and pax (IEEE 1003.1 pax, "ustar interchange format" and "pax extended header block"),
 * and GNU tar's long names (types L and K) and base-256 numbers.
 */
import { AppError } from '../../src-shared/errors/app-error.ts'
import { ChunkParser, take, type Parser } from './chunk-parser.ts'

/** Longest name, link target or pax record block, bytes. */
export const MAX_NAME = 4096
export const MAX_PAX = 64 * 1024

export const TAR_BLOCK = 512
/** Contents are passed on in pieces of at most this many bytes. */
const PIECE = 64 * 1024

export type TarType = 'file' | 'hardlink' | 'symlink' | 'directory' | 'other'

export interface TarEntry {
  /** As written: "./bin/busybox". Hostile input may say anything here. */
  name: string
  type: TarType
  /** Permission bits. */
  mode: number
  /** Bytes of contents that follow. */
  size: number
  /** Seconds since 1970. */
  mtime: number
  /** Target of a link, else empty. */
  link: string
}

/** Takes an entry's contents; views are valid during the call only. */
export interface TarSink {
  data(bytes: Uint8Array): void
  end(): void
}

/** Push reader: `push` chunks of any size, then `end`. Throws AppError `corrupt`. */
export class TarReader {
  #parser: ChunkParser

  /** @param onEntry answers where an entry's contents go, or null to skip them */
  constructor(onEntry: (entry: TarEntry) => TarSink | null) {
    this.#parser = new ChunkParser(parse(onEntry))
  }

  push(chunk: Uint8Array): void {
    this.#parser.push(chunk)
  }

  end(): void {
    this.#parser.end()
  }
}

function corrupt(what: string): AppError {
  return new AppError('corrupt', `The tar archive is damaged: ${what}.`)
}

/** What extension headers say about the entry after them. */
interface Overrides {
  name?: string
  link?: string
  size?: number
  mtime?: number
}

/** The headers of an archive, one after the other: those that say something about others are put together with them. */
export class TarHeaders {
  #next: Overrides = {}
  #all: Overrides = {}

  /** Whether the contents of a header with this flag belong to `extend`, and how many bytes they have at most. */
  extension(flag: string): { limit: number; what: string } | null {
    if (flag === 'L' || flag === 'K') return { limit: MAX_NAME + 1, what: 'a long name' }
    return flag === 'x' || flag === 'g' ? { limit: MAX_PAX, what: 'an extended header' } : null
  }

  /** @throws AppError `corrupt` */
  extend(flag: string, contents: Uint8Array): void {
    if (flag === 'L') this.#next.name = cString(contents)
    else if (flag === 'K') this.#next.link = cString(contents)
    else if (flag === 'x') this.#next = { ...this.#next, ...parsePax(contents) }
    else this.#all = { ...this.#all, ...parsePax(contents) }
  }

  /** An entry with all that was said about it. */
  complete(entry: TarEntry): TarEntry {
    const whole = { ...entry, ...this.#all, ...this.#next }
    this.#next = {}
    return whole
  }
}

function* parse(onEntry: (entry: TarEntry) => TarSink | null): Parser {
  const headers = new TarHeaders()
  for (;;) {
    const header = yield TAR_BLOCK
    // Two zero blocks end an archive; some writers leave one or both out.
    if (header === null || header.every((byte) => byte === 0)) return
    const parsed = parseTarHeader(header)
    const extension = headers.extension(parsed.flag)
    if (extension !== null) {
      headers.extend(parsed.flag, yield* contents(parsed.entry.size, extension.limit, extension.what))
      continue
    }
    const entry = headers.complete(parsed.entry)
    const sink = onEntry({ ...entry })
    for (let left = entry.size; left > 0;) {
      const piece = yield* take(Math.min(left, PIECE), entry.name)
      sink?.data(piece)
      left -= piece.length
    }
    sink?.end()
    yield* take(paddingOf(entry.size), entry.name)
  }
}

/** Zero bytes that follow so many bytes of contents. */
export function paddingOf(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK
}

/** The contents of an extension entry as one piece, a copy. */
function* contents(size: number, limit: number, what: string): Parser<Uint8Array> {
  if (size > limit) throw corrupt(`${what} has ${size} bytes, more than ${limit}`)
  const bytes = Uint8Array.from(yield* take(size, what))
  yield* take(paddingOf(size), what)
  return bytes
}

/** One block of TAR_BLOCK bytes. Throws AppError `corrupt`. */
export function parseTarHeader(header: Uint8Array): { entry: TarEntry; flag: string } {
  const stored = parseNumber(header.subarray(148, 156))
  let sum = 8 * 0x20
  for (let at = 0; at < TAR_BLOCK; at++) if (at < 148 || at >= 156) sum += header[at]!
  if (stored !== sum) throw corrupt('the checksum of a header is wrong')
  const flag = String.fromCharCode(header[156]!)
  const isUstar = cString(header.subarray(257, 263)) === 'ustar'
  const prefix = isUstar ? cString(header.subarray(345, 500)) : ''
  const name = cString(header.subarray(0, 100))
  const type = TYPES[flag] ?? 'other'
  const size = parseNumber(header.subarray(124, 136))
  const entry: TarEntry = {
    name: prefix === '' ? name : `${prefix}/${name}`,
    type,
    mode: parseNumber(header.subarray(100, 108)) & 0o7777,
    // Links and folders have no contents, whatever the field says (pax: "size ... shall be ignored").
    size: type === 'hardlink' || type === 'symlink' || type === 'directory' ? 0 : size,
    mtime: parseNumber(header.subarray(136, 148)),
    link: cString(header.subarray(157, 257)),
  }
  return { entry, flag }
}

const TYPES: Record<string, TarType> = { '0': 'file', '\0': 'file', '7': 'file', '1': 'hardlink', '2': 'symlink', '5': 'directory' }

/** Octal text, or GNU's base-256 with the top bit set. */
function parseNumber(field: Uint8Array): number {
  if (field[0]! & 0x80) {
    let value = field[0]! & 0x7f
    for (const byte of field.subarray(1)) value = value * 256 + byte
    if (!Number.isSafeInteger(value)) throw corrupt('a number is out of range')
    return value
  }
  const text = cString(field).trim()
  if (!/^[0-7]*$/.test(text)) throw corrupt('a number is not octal')
  return text === '' ? 0 : parseInt(text, 8)
}

/** Records "<length> <key>=<value>\n" (pax Extended Header). Unknown keys are skipped. */
function parsePax(bytes: Uint8Array): Overrides {
  const found: Overrides = {}
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const space = bytes.indexOf(0x20, at)
    const length = space < 0 ? NaN : Number(decoder.decode(bytes.subarray(at, space)))
    const end = at + length
    if (!Number.isInteger(length) || end > bytes.length || end <= space + 1 || bytes[end - 1] !== 0x0a)
      throw corrupt('an extended header record has a wrong length')
    const record = decoder.decode(bytes.subarray(space + 1, end - 1))
    const equals = record.indexOf('=')
    if (equals < 0) throw corrupt('an extended header record has no value')
    const key = record.slice(0, equals)
    const value = record.slice(equals + 1)
    if (key === 'path') found.name = checkedName(value)
    else if (key === 'linkpath') found.link = checkedName(value)
    else if (key === 'size') found.size = checkedCount(value)
    else if (key === 'mtime') found.mtime = Math.floor(Number(value)) || 0
    at = end
  }
  return found
}

function checkedName(value: string): string {
  if (value.length > MAX_NAME || value.includes('\0')) throw corrupt('a name is too long or has a zero byte')
  return value
}

function checkedCount(value: string): number {
  const count = Number(value)
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(count)) throw corrupt('a size is not a number')
  return count
}

const decoder = new TextDecoder()

function cString(field: Uint8Array): string {
  const end = field.indexOf(0)
  return decoder.decode(end < 0 ? field : field.subarray(0, end))
}
