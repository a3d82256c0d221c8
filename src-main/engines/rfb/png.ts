/** PNG files (ISO/IEC 15948), 8 bits each of red, green and blue. */
import { promisify } from 'node:util'
import { crc32, deflate } from 'node:zlib'
import { concatBytes, utf8 } from '../../../src-shared/base/bytes.ts'
import { putRgb } from './pixel-format.ts'
import type { Picture } from './screen.ts'

const deflateAside = promisify<Uint8Array, Uint8Array>(deflate)

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10]
const TRUE_COLOUR = 2

/** Copies the picture before it returns its promise. */
export async function encodePng(picture: Picture): Promise<Uint8Array<ArrayBuffer>> {
  const { width, height } = picture
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header.set([8, TRUE_COLOUR], 8)
  // Each row begins with its filter: 0, none.
  const rows = new Uint8Array(height * (1 + 3 * width))
  for (let y = 0, at = 0; y < height; y++) at = putRgb(rows, at + 1, picture, { x: 0, y, width, height: 1 })
  const data = await deflateAside(rows)
  return concatBytes([Uint8Array.from(SIGNATURE), chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', new Uint8Array(0))])
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(12 + data.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, data.length)
  bytes.set(utf8(type), 4)
  bytes.set(data, 8)
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)))
  return bytes
}
