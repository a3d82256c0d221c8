/** Reads PNG files of 8 bits of red, green and blue without filters, checking their structure (ISO/IEC 15948). */
import { crc32, inflateSync } from 'node:zlib'

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
  for (let at = 8; at < file.length;) {
    const length = view.getUint32(at)
    const body = file.subarray(at + 4, at + 8 + length)
    if (crc32(body) !== view.getUint32(at + 8 + length)) throw new Error('A checksum is wrong.')
    chunks.set(String.fromCharCode(...body.subarray(0, 4)), body.subarray(4))
    at += 12 + length
  }
  const header = chunks.get('IHDR')!
  const size = new DataView(header.buffer, header.byteOffset)
  const width = size.getUint32(0)
  const height = size.getUint32(4)
  if (header[8] !== 8 || header[9] !== 2 || !chunks.has('IEND')) throw new Error('This PNG file is of another kind.')
  const rows = inflateSync(chunks.get('IDAT')!)
  const pixels = new Uint32Array(width * height)
  for (let y = 0; y < height; y++) {
    const row = y * (1 + 3 * width)
    if (rows[row] !== 0) throw new Error('A row is filtered.')
    for (let x = 0; x < width; x++) {
      const at = row + 1 + 3 * x
      pixels[y * width + x] = (0xff000000 | (rows[at + 2]! << 16) | (rows[at + 1]! << 8) | rows[at]!) >>> 0
    }
  }
  return { width, height, pixels }
}
