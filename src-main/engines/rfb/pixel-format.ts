/** Pixels as viewers want them: RFC 6143, 7.4. */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { Picture, Rect } from './screen.ts'

export interface PixelFormat {
  bitsPerPixel: 8 | 16 | 32
  depth: number
  bigEndian: boolean
  max: [red: number, green: number, blue: number]
  shift: [red: number, green: number, blue: number]
}

/** A picture's own: red in the lowest byte. */
export const OWN_FORMAT: PixelFormat = { bitsPerPixel: 32, depth: 24, bigEndian: false, max: [255, 255, 255], shift: [0, 8, 16] }

/**
 * @param view SetPixelFormat from its padding on (19 bytes)
 * @throws AppError `invalid-input`
 */
export function parsePixelFormat(view: DataView): PixelFormat {
  const bitsPerPixel = view.getUint8(3)
  const shift: PixelFormat['shift'] = [view.getUint8(13), view.getUint8(14), view.getUint8(15)]
  const max: PixelFormat['max'] = [view.getUint16(7), view.getUint16(9), view.getUint16(11)]
  if (bitsPerPixel !== 8 && bitsPerPixel !== 16 && bitsPerPixel !== 32)
    throw new AppError('invalid-input', `The viewer wants ${bitsPerPixel} bits for each pixel. It can have 8, 16 or 32.`)
  if (view.getUint8(6) === 0)
    throw new AppError('invalid-input', 'The viewer wants colours from a palette. Choose true colour in its settings.')
  if (shift.some((bits, at) => bits + Math.ceil(Math.log2(max[at]! + 1)) > bitsPerPixel))
    throw new AppError('invalid-input', 'The viewer wants colours that do not fit into its pixels.')
  return { bitsPerPixel, depth: view.getUint8(4), bigEndian: view.getUint8(5) !== 0, max, shift }
}

/** The 16 bytes of PIXEL_FORMAT. */
export function encodePixelFormat(format: PixelFormat): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  bytes.set([format.bitsPerPixel, format.depth, format.bigEndian ? 1 : 0, 1])
  format.max.forEach((max, at) => view.setUint16(4 + 2 * at, max))
  bytes.set(format.shift, 10)
  return bytes
}

/** Puts a rectangle's pixels row by row, three bytes each: red, green and blue. @returns where the next goes */
export function putRgb(out: Uint8Array, at: number, picture: Picture, { x, y, width, height }: Rect): number {
  for (let row = y; row < y + height; row++) {
    const from = row * picture.width + x
    for (let source = from; source < from + width; source++) {
      const pixel = picture.pixels[source]!
      out[at] = pixel
      out[at + 1] = pixel >>> 8
      out[at + 2] = pixel >>> 16
      at += 3
    }
  }
  return at
}

/** Writes pixels of a picture in a viewer's format. */
export class PixelWriter {
  /** Bytes of a pixel. */
  readonly bytes: number
  /** Bytes of a pixel in the Tight encoding, which leaves the unused byte out. */
  readonly tightBytes: number
  #tables: [red: Uint32Array, green: Uint32Array, blue: Uint32Array]
  #bigEndian: boolean
  #own: boolean

  constructor(format: PixelFormat) {
    this.bytes = format.bitsPerPixel / 8
    const eightBits = format.max.every((max) => max === 255)
    this.tightBytes = this.bytes === 4 && format.depth === 24 && eightBits ? 3 : this.bytes
    this.#bigEndian = format.bigEndian
    this.#own = this.bytes === 4 && eightBits && format.shift.every((bits, at) => (format.bigEndian ? 24 - bits : bits) === 8 * at)
    const table = (at: 0 | 1 | 2): Uint32Array =>
      Uint32Array.from({ length: 256 }, (_, value) => (Math.round((value * format.max[at]) / 255) << format.shift[at]) >>> 0)
    this.#tables = [table(0), table(1), table(2)]
  }

  /** A rectangle, row by row. */
  raw(picture: Picture, rect: Rect): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(rect.width * rect.height * this.bytes)
    const words = this.#own ? new Uint32Array(out.buffer) : null
    let at = 0
    for (let y = rect.y; y < rect.y + rect.height; y++) {
      const row = picture.pixels.subarray(y * picture.width + rect.x, y * picture.width + rect.x + rect.width)
      if (words) {
        words.set(row, at)
        at += row.length
      } else for (const pixel of row) at = this.#put(out, at, pixel)
    }
    return out
  }

  /** Puts one pixel as Tight wants it; returns where the next goes. */
  putTight(out: Uint8Array, at: number, pixel: number): number {
    if (this.tightBytes !== 3) return this.#put(out, at, pixel)
    out[at] = pixel
    out[at + 1] = pixel >>> 8
    out[at + 2] = pixel >>> 16
    return at + 3
  }

  #put(out: Uint8Array, at: number, pixel: number): number {
    const [red, green, blue] = this.#tables
    const value = red[pixel & 255]! | green[(pixel >>> 8) & 255]! | blue[(pixel >>> 16) & 255]!
    for (let byte = 0; byte < this.bytes; byte++) out[at + byte] = value >>> (8 * (this.#bigEndian ? this.bytes - 1 - byte : byte))
    return at + this.bytes
  }
}
