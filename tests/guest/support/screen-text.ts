/** Reads a text screen by its pixels: each cell is compared with the characters of the video BIOS's own font. */
import { readFile } from 'node:fs/promises'

/** Rows of bits of "A" in the 8x16 font that IBM's VGA, and every BIOS after it, has. */
const LETTER_A = [0x00, 0x00, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6, 0x00, 0x00, 0x00, 0x00]
const CELL = { width: 9, height: 16 }

export interface Pixels {
  width: number
  height: number
  pixels: Uint32Array
}

export class ScreenReader {
  /** Rows of bits, as text, to character. */
  #characters = new Map<string, string>()

  static async open(vgaBios: string): Promise<ScreenReader> {
    const rom = await readFile(vgaBios)
    const a = rom.indexOf(Buffer.from(LETTER_A))
    if (a < 0) throw new Error('The video BIOS has no 8x16 font.')
    const reader = new ScreenReader()
    const font = a - 0x41 * CELL.height
    for (let code = 0x7e; code >= 0x20; code--) {
      const rows = [...rom.subarray(font + code * CELL.height, font + (code + 1) * CELL.height)]
      reader.#characters.set(rows.join(), String.fromCharCode(code))
    }
    return reader
  }

  /** Lines without spaces at their ends; what is no character of ASCII is "?". */
  read({ width, height, pixels }: Pixels): string[] {
    const lines: string[] = []
    for (let top = 0; top + CELL.height <= height; top += CELL.height) {
      let line = ''
      for (let left = 0; left + CELL.width <= width; left += CELL.width) {
        // Colours do not matter: a cell's last column, which letters do not reach, is its background.
        const rows = Array.from({ length: CELL.height }, (_, y) => {
          const at = (top + y) * width + left
          const background = pixels[at + CELL.width - 1]
          return Array.from({ length: 8 }, (_, x) => (pixels[at + x] === background ? 0 : 0x80 >> x)).reduce((sum, bit) => sum | bit, 0)
        })
        line += this.#characters.get(rows.join()) ?? '?'
      }
      lines.push(line.trimEnd())
    }
    return lines
  }
}
