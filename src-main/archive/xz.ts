/**
 * Streaming decoder of .xz files (The .xz File Format, version 1.1.0): streams of blocks, each LZMA2 data (behind the x86 filter, as in kernels) with a check, then an index
 * that repeats the blocks' sizes and a footer. Memory is bounded by the dictionary (MAX_DICTIONARY in lzma2.ts) and the index's
 * limit below. Every check is verified: CRC32, CRC64, SHA-256.
 */
import { createHash, type Hash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { ChunkParser, take, type Parser } from './chunk-parser.ts'
import { Crc64 } from './crc64.ts'
import { Lzma2Decoder } from './lzma2.ts'
import { X86Filter } from './x86-filter.ts'

/** Blocks in one stream. dpkg and `xz -T` write one for each 3 dictionaries (24 MiB), so this is terabytes. */
export const MAX_BLOCKS = 100_000

const STREAM_MAGIC = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]
const FOOTER_MAGIC = [0x59, 0x5a]
const FILTER_X86 = 0x04
const FILTER_LZMA2 = 0x21
/** Bytes of the check field by check id (section 2.1.1.2). */
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64]

/**
 * Push decoder: `push` chunks of any size, then `end`. `onOutput` gets decoded bytes, valid during the call only.
 * Throws AppError `corrupt` (damaged, truncated or not .xz) or `unsupported` (filters or dictionary beyond what Debian's packages use).
 */
export class XzDecoder {
  #parser: ChunkParser

  constructor(onOutput: (bytes: Uint8Array) => void) {
    this.#parser = new ChunkParser(parseFile(onOutput))
  }

  push(chunk: Uint8Array): void {
    this.#parser.push(chunk)
  }

  end(): void {
    this.#parser.end()
  }
}

function corrupt(what: string): AppError {
  return new AppError('corrupt', `The .xz data is damaged: ${what}.`)
}

function* parseFile(onOutput: (bytes: Uint8Array) => void): Parser {
  yield* parseStream(yield* take(12, 'the .xz header'), onOutput)
  // Further streams, and stream padding in multiples of four zero bytes, may follow (sections 2 and 2.2).
  for (;;) {
    const word = yield 4
    if (word === null) return
    if (word[0] === 0 && word[1] === 0 && word[2] === 0 && word[3] === 0) continue
    const header = new Uint8Array(12)
    header.set(word)
    header.set(yield* take(8, 'a stream header'), 4)
    yield* parseStream(header, onOutput)
  }
}

interface BlockSizes {
  /** Header, packed data and check, without padding (section 4.3). */
  unpadded: number
  unpacked: number
}

function* parseStream(header: Uint8Array, onOutput: (bytes: Uint8Array) => void): Parser {
  for (const [at, byte] of STREAM_MAGIC.entries()) {
    if (header[at] !== byte) throw new AppError('corrupt', 'The data is not in the .xz format.')
  }
  const flags = Uint8Array.from(header.subarray(6, 8))
  if (flags[0] !== 0 || flags[1]! > 0x0f) throw new AppError('unsupported', 'The .xz data has stream flags of a newer format.')
  if (crc32(flags) !== u32(header, 8)) throw corrupt('the checksum of its header is wrong')
  const checkId = flags[1]!

  const blocks: BlockSizes[] = []
  for (;;) {
    const size = (yield* take(1, 'a block header'))[0]!
    if (size === 0) break
    if (blocks.length >= MAX_BLOCKS) throw new AppError('unsupported', `The .xz data has more than ${MAX_BLOCKS} blocks.`)
    blocks.push(yield* parseBlock((size + 1) * 4, checkId, onOutput))
  }
  const indexSize = yield* parseIndex(blocks)
  const footer = yield* take(12, 'the .xz footer')
  if (footer[10] !== FOOTER_MAGIC[0] || footer[11] !== FOOTER_MAGIC[1]) throw corrupt('its footer is missing')
  if (crc32(footer.subarray(4, 10)) !== u32(footer, 0)) throw corrupt('the checksum of its footer is wrong')
  if (footer[8] !== flags[0] || footer[9] !== flags[1]) throw corrupt('header and footer differ')
  if ((u32(footer, 4) + 1) * 4 !== indexSize) throw corrupt('the size of its index is wrong')
}

/** One block after its size byte (section 3). `headerSize` in bytes, including that byte. */
function* parseBlock(headerSize: number, checkId: number, onOutput: (bytes: Uint8Array) => void): Parser<BlockSizes> {
  const header = new Uint8Array(headerSize)
  header[0] = headerSize / 4 - 1
  header.set(yield* take(headerSize - 1, 'a block header'), 1)
  if (crc32(header.subarray(0, headerSize - 4)) !== u32(header, headerSize - 4)) throw corrupt('the checksum of a block header is wrong')
  const fields = new Fields(header.subarray(0, headerSize - 4), 1)
  const flags = fields.byte()
  const packedSize = flags & 0x40 ? fields.number() : null
  const unpackedSize = flags & 0x80 ? fields.number() : null
  const filters = (flags & 0x3f) + 1
  const unsupported = new AppError('unsupported', 'The .xz data uses filters other than x86 and LZMA2, which Coppice does not read.')
  // The x86 filter's properties are a start offset, which nobody sets.
  if (filters > 2 || (filters === 2 && (fields.number() !== FILTER_X86 || fields.number() !== 0))) throw unsupported
  if (fields.number() !== FILTER_LZMA2) throw unsupported
  if (fields.number() !== 1) throw corrupt('a block header has wrong filter properties')
  const dictionary = dictionarySize(fields.byte())
  fields.zeroes()

  const check = createCheck(checkId)
  let unpacked = 0
  const store = (bytes: Uint8Array): void => {
    unpacked += bytes.length
    if (unpackedSize !== null && unpacked > unpackedSize) throw corrupt('a block is longer than its header says')
    check.update(bytes)
    onOutput(bytes)
  }
  const filter = filters === 2 ? new X86Filter(store) : null
  const decoder = new Lzma2Decoder(dictionary, filter ? (bytes) => filter.push(bytes) : store)
  const packed = yield* decoder.parse()
  filter?.end()
  if ((packedSize !== null && packed !== packedSize) || (unpackedSize !== null && unpacked !== unpackedSize))
    throw corrupt('a block is not as long as its header says')
  const padding = yield* take(-packed & 3, 'block padding')
  if (padding.some((byte) => byte !== 0)) throw corrupt('block padding is not zero')
  const checkSize = CHECK_SIZES[checkId]!
  const stored = yield* take(checkSize, 'a checksum')
  const computed = check.digest()
  if (computed && !computed.every((byte, at) => byte === stored[at])) throw corrupt('a checksum does not match the data')
  return { unpadded: headerSize + packed + checkSize, unpacked }
}

/** The index after its zero byte (section 4). Answers its size in bytes, including that byte. */
function* parseIndex(blocks: readonly BlockSizes[]): Parser<number> {
  let size = 1
  let crc = crc32(new Uint8Array(1))
  function* byte(): Parser<number> {
    const bytes = yield* take(1, 'the index')
    crc = crc32(bytes, crc)
    size++
    return bytes[0]!
  }
  function* number(): Parser<number> {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const b = yield* byte()
      value += (b & 0x7f) * 2 ** shift
      if (b < 0x80) return checkedNumber(value, b, shift)
    }
  }
  if ((yield* number()) !== blocks.length) throw corrupt('its index has another number of blocks')
  for (const block of blocks) {
    if ((yield* number()) !== block.unpadded || (yield* number()) !== block.unpacked) throw corrupt('its index does not match its blocks')
  }
  while (size % 4 !== 0) if ((yield* byte()) !== 0) throw corrupt('index padding is not zero')
  if (u32(yield* take(4, 'the index'), 0) !== crc) throw corrupt('the checksum of its index is wrong')
  return size + 4
}

/** Checks the end of a variable-length integer (section 1.2): at most nine bytes, no needless zero byte, and here also at most 2^53. */
function checkedNumber(value: number, last: number, shift: number): number {
  if ((last === 0 && shift > 0) || !Number.isSafeInteger(value)) throw corrupt('a number is out of range')
  return value
}

/** Reads the fields of a block header. */
class Fields {
  #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.#at = at
  }

  byte(): number {
    const value = this.#bytes[this.#at++]
    if (value === undefined) throw corrupt('a block header is too short')
    return value
  }

  number(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return checkedNumber(value, byte, shift)
    }
  }

  zeroes(): void {
    if (this.#bytes.subarray(this.#at).some((byte) => byte !== 0)) throw corrupt('block header padding is not zero')
  }
}

/** Section 5.3.1: 2^n or 3 * 2^n bytes, from 4 KiB. */
function dictionarySize(bits: number): number {
  if (bits > 40) throw corrupt('the dictionary size is out of range')
  return bits === 40 ? 2 ** 32 - 1 : (2 | (bits & 1)) * 2 ** ((bits >> 1) + 11)
}

interface Check {
  update(bytes: Uint8Array): void
  /** Null for a check whose algorithm is not defined: it is skipped, as section 2.1.1.2 allows. */
  digest(): Uint8Array | null
}

function createCheck(id: number): Check {
  if (id === 1) return new Crc32Check()
  if (id === 4) return new Crc64()
  if (id === 10) return new Sha256Check()
  return { update: () => {}, digest: () => null }
}

class Crc32Check implements Check {
  #value = 0

  update(bytes: Uint8Array): void {
    this.#value = crc32(bytes, this.#value)
  }

  digest(): Uint8Array {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, this.#value, true)
    return bytes
  }
}

class Sha256Check implements Check {
  #hash: Hash = createHash('sha256')

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes)
  }

  digest(): Uint8Array {
    return this.#hash.digest()
  }
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
