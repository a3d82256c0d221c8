/**
 * Reads a text screen by its pixels: each cell is compared with the characters of the video BIOS's own font. Text modes have cells of nine
 * columns; Linux draws most of the same characters in eight on its frame buffers; those that it draws in its own way are not read.
 */
import { readFile } from 'node:fs/promises'

/** Rows of bits of "A" in the 8x16 font that IBM's VGA, and every BIOS after it, has. */
const LETTER_A = [0x00, 0x00, 0x10, 0x38, 0x6c, 0xc6, 0xc6, 0xfe, 0xc6, 0xc6, 0xc6, 0xc6, 0x00, 0x00, 0x00, 0x00]
const ROWS = 16
/** A VGA text mode: 80 columns of nine pixels, 25 rows. */
const TEXT_MODE = { width: 720, height: 400, cell: 9 }

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
    const font = a - 0x41 * ROWS
    for (let code = 0x7e; code >= 0x20; code--) {
      const rows = [...rom.subarray(font + code * ROWS, font + (code + 1) * ROWS)]
      reader.#characters.set(rows.join(), String.fromCharCode(code))
    }
    return reader
  }

  /** Lines without spaces at their ends; what is no character of ASCII is "?". */
  read(screen: Pixels): string[] {
    const { width, height } = screen
    const cell = width === TEXT_MODE.width && height === TEXT_MODE.height ? TEXT_MODE.cell : 8
    const lines: string[] = []
    for (let top = 0; top + ROWS <= height; top += ROWS) {
      let line = ''
      for (let left = 0; left + cell <= width; left += cell) line += this.#characterAt(screen, left, top)
      lines.push(line.trimEnd())
    }
    return lines
  }

  /** Whichever colour is the background: a cell's first pixel is, but where the character reaches it. */
  #characterAt({ width, pixels }: Pixels, left: number, top: number): string {
    const rows = Array.from({ length: ROWS }, (_, y) => {
      const at = (top + y) * width + left
      return Array.from({ length: 8 }, (_, x) => (pixels[at + x] === pixels[top * width + left] ? 0 : 0x80 >> x)).reduce(
        (sum, bit) => sum | bit,
        0,
      )
    })
    return this.#characters.get(rows.join()) ?? this.#characters.get(rows.map((row) => row ^ 0xff).join()) ?? '?'
  }
}
