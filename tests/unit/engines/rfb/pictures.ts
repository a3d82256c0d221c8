/** Pictures with known content, for the encoders' tests. */
import type { Picture } from '../../../../src-main/engines/rfb/screen.ts'

export function rgb(red: number, green: number, blue: number): number {
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0
}

export function picture(width: number, height: number, colour: (x: number, y: number) => number): Picture {
  return { width, height, pixels: Uint32Array.from({ length: width * height }, (_, at) => colour(at % width, Math.floor(at / width))) }
}

export const plain = picture(100, 40, () => rgb(10, 20, 30))
export const twoColours = picture(101, 37, (x, y) => ((x * 7 + y * 3) % 5 === 0 ? rgb(255, 255, 255) : rgb(0, 0, 170)))
export const manyColours = picture(90, 50, (x, y) => rgb((x * 5) & 0xf0, (y * 9) & 0xe0, 7))
export const photo = picture(120, 80, (x, y) => rgb((x * 2 + y) & 255, (y * 3) & 255, (x * y) & 255))
