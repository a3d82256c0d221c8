/**
 * VGA text modes, drawn as the hardware does: characters from the font that the guest (or its video BIOS) has loaded into plane 2, cells of 8 or
 * 9 dots, attributes, cursor and blinking. Theory of operation: a word for each cell says all that decides its look; only cells whose word
 * differs from the last look are drawn. Fonts, colours or sizes that change redraw everything.
 *
 * Source: IBM VGA/XGA Technical Reference (1992), chapter 2, "Alphanumeric modes".
 */
import type { Picture, Rect } from '../rfb/screen.ts'
import type { Vga } from './v86.ts'

/** ms that the cursor, and blinking characters, are shown and then hidden: 8 and 16 frames of 70 Hz, at half speed for the eye's and the wire's sake. */
const CURSOR_HALF_MS = 2 * 8 * (1000 / 70)
const BLINK_HALF_MS = 2 * 16 * (1000 / 70)

/** Bytes of one character's glyph in plane 2, and of one of its eight fonts. */
const GLYPH = 32
const FONT = 256 * GLYPH
/** Where font number n of the character map select register lies, in fonts (sequencer register 3). */
const FONT_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]

const ATTRIBUTE_LINE_GRAPHICS = 4
const ATTRIBUTE_BLINK = 8
const ATTRIBUTE_COLOUR_SELECT = 0x80
const CLOCKING_8_DOTS = 1
const CLOCKING_HALF = 8
const CURSOR_OFF = 0x20
/** Box-drawing characters, whose eighth column is repeated in the ninth. */
const LINE_GRAPHICS = { first: 0xc0, last: 0xdf }
/** Bits of a cell's word above character and attribute. */
const HIDDEN = 1 << 16
const CURSOR = 1 << 17

export class TextPainter {
  #picture: Picture = { width: 0, height: 0, pixels: new Uint32Array(0) }
  #cells = new Int32Array(0)
  #fonts = new Uint8Array(2 * FONT)
  /** All that decides every cell's look besides the fonts. */
  #look = ''

  /** @param now ms, for blinking */
  paint(vga: Vga, now: number, changed: (rect: Rect) => void): Picture {
    const columns = vga.max_cols
    const rows = vga.max_rows
    const double = (vga.clocking_mode & CLOCKING_HALF) !== 0
    const dots = double || vga.clocking_mode & CLOCKING_8_DOTS ? 8 : 9
    const cell = { width: double ? 16 : dots, height: (vga.max_scan_line & 31) + 1 }
    const { width, height } = this.#resize(columns * cell.width, rows * cell.height, columns * rows)
    const palette = textPalette(vga)
    const cursor = { first: vga.cursor_scanline_start & 31, last: Math.min(vga.cursor_scanline_end & 31, cell.height - 1) }
    const look = [columns, rows, cell.width, cell.height, vga.attribute_mode, cursor.first, cursor.last, ...palette].join()
    if (this.#readFonts(vga) || look !== this.#look) this.#cells.fill(-1)
    this.#look = look

    const blink = (vga.attribute_mode & ATTRIBUTE_BLINK) !== 0
    const hidden = blink && Math.floor(now / BLINK_HALF_MS) % 2 === 1 ? HIDDEN : 0
    const cursorOn = (vga.cursor_scanline_start & CURSOR_OFF) === 0 && Math.floor(now / CURSOR_HALF_MS) % 2 === 0
    const stride = Math.max(columns, 2 * vga.offset_register)
    const splitRow = Math.ceil((vga.max_scan_line & 0x80 ? vga.line_compare >> 1 : vga.line_compare) / cell.height)
    const memory = vga.vga_memory
    let start = vga.start_address
    for (let row = 0, at = 0; row < rows; row++, start += stride) {
      if (row === splitRow) start = 0
      for (let column = 0; column < columns; column++, at++) {
        const place = start + column
        const attribute = memory[(2 * place + 1) & 0x1ffff]!
        let word = memory[(2 * place) & 0x1ffff]! | (attribute << 8)
        if (attribute & 0x80) word |= hidden
        if (cursorOn && place === vga.cursor_address) word |= CURSOR
        if (word === this.#cells[at]) continue
        this.#cells[at] = word
        const rect = { x: column * cell.width, y: row * cell.height, width: cell.width, height: cell.height }
        this.#draw(rect, word, palette, vga.attribute_mode, double, cursor)
        changed(rect)
      }
    }
    return width && height ? this.#picture : { width: 1, height: 1, pixels: new Uint32Array(1) }
  }

  #resize(width: number, height: number, cells: number): Picture {
    if (this.#picture.width !== width || this.#picture.height !== height)
      this.#picture = { width, height, pixels: new Uint32Array(width * height) }
    if (this.#cells.length !== cells) this.#cells = new Int32Array(cells).fill(-1)
    return this.#picture
  }

  /** True where the fonts are others than at the last look. */
  #readFonts({ character_map_select: select, plane2 }: Vga): boolean {
    // Attribute bit 3 chooses font A where it is set (sequencer register 3: A in bits 2, 3 and 5, B in 0, 1 and 4).
    const a = FONT_ORDER[((select >> 2) & 3) | ((select >> 3) & 4)]!
    const b = FONT_ORDER[(select & 3) | ((select >> 2) & 4)]!
    let differs = false
    for (const [slot, font] of [b, a].entries()) {
      const now = Buffer.from(plane2.buffer, plane2.byteOffset + font * FONT, FONT)
      const known = this.#fonts.subarray(slot * FONT, (slot + 1) * FONT)
      if (now.equals(known)) continue
      known.set(now)
      differs = true
    }
    return differs
  }

  #draw(
    rect: Rect,
    word: number,
    palette: readonly number[],
    mode: number,
    double: boolean,
    cursor: { first: number; last: number },
  ): void {
    const { width, pixels } = this.#picture
    const character = word & 255
    const attribute = (word >> 8) & 255
    const foreground = palette[attribute & 15]!
    const background = palette[(attribute >> 4) & (mode & ATTRIBUTE_BLINK ? 7 : 15)]!
    const ninth = mode & ATTRIBUTE_LINE_GRAPHICS && character >= LINE_GRAPHICS.first && character <= LINE_GRAPHICS.last ? 1 : 0
    const glyph = (attribute & 8 ? FONT : 0) + character * GLYPH
    for (let line = 0; line < rect.height; line++) {
      let bits = word & HIDDEN ? 0 : this.#fonts[glyph + line]!
      if (word & CURSOR && line >= cursor.first && line <= cursor.last) bits = 0x1ff
      else bits = (bits << 1) | (bits & ninth)
      const at = (rect.y + line) * width + rect.x
      for (let dot = 0; dot < rect.width; dot++) pixels[at + dot] = bits & (0x100 >> (double ? dot >> 1 : dot)) ? foreground : background
    }
  }
}

/** The sixteen colours of attributes, through the attribute controller's and the DAC's tables. */
function textPalette(vga: Vga): number[] {
  const select = vga.attribute_mode & ATTRIBUTE_COLOUR_SELECT ? { keep: 0x0f, set: (vga.color_select & 3) << 4 } : { keep: 0x3f, set: 0 }
  return Array.from({ length: 16 }, (_, colour) => {
    const index = (vga.dac_map[colour]! & select.keep) | select.set | ((vga.color_select & 0x0c) << 4)
    return canvasColour(vga.vga256_palette[index & vga.dac_mask]!)
  })
}

/** 0xRRGGBB as a word of a Picture. */
function canvasColour(rgb: number): number {
  return (0xff000000 | ((rgb & 0xff) << 16) | (rgb & 0xff00) | ((rgb >> 16) & 0xff)) >>> 0
}
