/** Reads PNG files of 8 bits of red, green and blue, checking their structure (ISO/IEC 15948). */
import { crc32, inflateSync } from 'node:zlib'
import { concatBytes } from '../../src-shared/base/bytes.ts'

const PIXEL = 3

export interface DecodedPng {
  width: number
  height: number
  /** Words of red, green, blue and 255. */
  pixels: Uint32Array
}

export function decodePng(file: Uint8Array): DecodedPng {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (view.getUint32(0) !== 0x89504e47 || view.getUint32(4) !== 0x0d0a1a0a) throw new Error('This is no PNG file.')
  const chunks = new Map<string, Uint8Array>()
  const data: Uint8Array[] = []
  for (let at = 8; at < file.length;) {
    const length = view.getUint32(at)
    const body = file.subarray(at + 4, at + 8 + length)
    if (crc32(body) !== view.getUint32(at + 8 + length)) throw new Error('A checksum is wrong.')
    const type = String.fromCharCode(...body.subarray(0, 4))
    if (type === 'IDAT') data.push(body.subarray(4))
    else chunks.set(type, body.subarray(4))
    at += 12 + length
  }
  const header = chunks.get('IHDR')!
  const size = new DataView(header.buffer, header.byteOffset)
  const width = size.getUint32(0)
  const height = size.getUint32(4)
  if (header[8] !== 8 || header[9] !== 2 || !chunks.has('IEND')) throw new Error('This PNG file is of another kind.')
  const rows = inflateSync(concatBytes(data))
  const pixels = new Uint32Array(width * height)
  for (let y = 0; y < height; y++) {
    const row = y * (1 + 3 * width)
    unfilter(rows, row, 3 * width)
    for (let x = 0; x < width; x++) {
      const at = row + 1 + 3 * x
      pixels[y * width + x] = (0xff000000 | (rows[at + 2]! << 16) | (rows[at + 1]! << 8) | rows[at]!) >>> 0
    }
  }
  return { width, height, pixels }
}

/** Undoes a row's filter (section 9). @param row where its filter's number stands; `length` bytes follow */
function unfilter(rows: Uint8Array, row: number, length: number): void {
  const filter = rows[row]!
  for (let at = 0; at < length; at++) {
    const here = row + 1 + at
    const left = at < PIXEL ? 0 : rows[here - PIXEL]!
    const above = row === 0 ? 0 : rows[here - length - 1]!
    const aboveLeft = row === 0 || at < PIXEL ? 0 : rows[here - length - 1 - PIXEL]!
    const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, aboveLeft)][filter]
    if (predicted === undefined) throw new Error('A row has an unknown filter.')
    rows[here] = rows[here]! + predicted
  }
}

function paeth(left: number, above: number, aboveLeft: number): number {
  const estimate = left + above - aboveLeft
  const distances = [left, above, aboveLeft].map((value) => Math.abs(estimate - value))
  return [left, above, aboveLeft][distances.indexOf(Math.min(...distances))]!
}
