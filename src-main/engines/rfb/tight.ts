/**
 * The Tight encoding (rfbproto, "Tight Encoding"): one colour, a palette, or plain pixels, compressed with zlib. Every rectangle resets its zlib
 * stream, so that none depends on an earlier one: nothing is kept for a viewer, and compressing runs on Node's thread pool beside the guest.
 */
import { constants, deflate, deflateSync } from 'node:zlib'
import { promisify } from 'node:util'
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { putRgb, type PixelWriter } from './pixel-format.ts'
import type { Picture, Rect } from './screen.ts'

const deflateAside = promisify<Uint8Array, object, Uint8Array>(deflate)

const FILL = 0x80
const EXPLICIT_FILTER = 0x40
const RESET_STREAM_0 = 0x01
const FILTER_PALETTE = 1
/** Data shorter than this is not compressed. */
const MIN_COMPRESSED = 12
/** Below this a call to the thread pool costs more than the work. */
const SMALL = 2048
const MAX_COLOURS = 256

/**
 * The rectangle's data behind its header. Reads the picture before it returns its promise.
 * @param compresses false: plain pixels, of which compressing takes most of the time and saves little, are left to the Raw encoding
 * @returns null where they are
 */
export function encodeTight(
  picture: Picture,
  rect: Rect,
  writer: PixelWriter,
  compresses: boolean,
): Promise<Uint8Array<ArrayBuffer>> | null {
  const indexed = indexColours(picture, rect)
  // Pixels of one byte are as small as palette's indices.
  if (!indexed || (indexed.palette.length > 2 && writer.bytes === 1))
    return compresses ? compressed([RESET_STREAM_0], plainPixels(picture, rect, writer)) : null
  const colours = new Uint8Array(indexed.palette.length * writer.tightBytes)
  let at = 0
  for (const colour of indexed.palette) at = writer.putTight(colours, at, colour)
  if (indexed.palette.length === 1) return Promise.resolve(Uint8Array.of(FILL, ...colours))
  const data = indexed.palette.length === 2 ? oneBit(indexed.indices, rect) : indexed.indices
  return compressed([EXPLICIT_FILTER | RESET_STREAM_0, FILTER_PALETTE, indexed.palette.length - 1, ...colours], data)
}

interface Indexed {
  /** In order of appearance, at most 256. */
  palette: number[]
  /** One byte for each pixel. */
  indices: Uint8Array
}

/** Null where there are more than 256 colours, or so many that plain pixels are no larger. */
function indexColours(picture: Picture, { x, y, width, height }: Rect): Indexed | null {
  const { pixels } = picture
  const indices = new Uint8Array(width * height)
  const known = new Map<number, number>()
  const most = Math.min(MAX_COLOURS, Math.max(2, (width * height) >> 1))
  let last = -1
  let index = 0
  let at = 0
  for (let row = y; row < y + height; row++) {
    const from = row * picture.width + x
    for (let source = from; source < from + width; source++) {
      const colour = pixels[source]!
      if (colour !== last) {
        const found = known.get(colour)
        if (found === undefined) {
          if (known.size === most) return null
          index = known.size
          known.set(colour, index)
        } else index = found
        last = colour
      }
      indices[at++] = index
    }
  }
  return { palette: [...known.keys()], indices }
}

/** Rows of bits, most significant first, each from a byte's start. */
function oneBit(indices: Uint8Array, { width, height }: Rect): Uint8Array {
  const stride = (width + 7) >> 3
  const bits = new Uint8Array(stride * height)
  for (let y = 0, at = 0; y < height; y++) for (let x = 0; x < width; x++) bits[y * stride + (x >> 3)]! |= indices[at++]! << (7 - (x & 7))
  return bits
}

function plainPixels(picture: Picture, rect: Rect, writer: PixelWriter): Uint8Array {
  if (writer.tightBytes !== 3) return writer.raw(picture, rect)
  const out = new Uint8Array(rect.width * rect.height * 3)
  putRgb(out, 0, picture, rect)
  return out
}

async function compressed(head: number[], data: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  if (data.length < MIN_COMPRESSED) return concatBytes([Uint8Array.from(head), data])
  // No end mark and no checksum: the stream goes on as far as viewers know.
  const options = { level: 1, finishFlush: constants.Z_SYNC_FLUSH }
  const packed = data.length < SMALL ? deflateSync(data, { ...options, windowBits: 11, memLevel: 4 }) : await deflateAside(data, options)
  return concatBytes([Uint8Array.from([...head, ...compactLength(packed.length)]), packed])
}

/** One to three bytes of 7, 7 and 8 bits, the lowest first. */
function compactLength(length: number): number[] {
  if (length < 0x80) return [length]
  if (length < 0x4000) return [(length & 0x7f) | 0x80, length >> 7]
  return [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14]
}
