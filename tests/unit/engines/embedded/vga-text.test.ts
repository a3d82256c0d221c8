import { describe, expect, test } from 'vitest'
import { TextPainter } from '../../../../src-main/engines/embedded/vga-text.ts'
import type { Vga } from '../../../../src-main/engines/embedded/v86.ts'
import type { Picture, Rect } from '../../../../src-main/engines/rfb/screen.ts'

/** ms at which nothing is hidden, and at which cursor or characters are. */
const SHOWN = 0
const CURSOR_HIDDEN = 300
const BLINK_HIDDEN = 600

/** 4 x 2 cells of 8 x 8 dots, black and white, with the character "A" as a diagonal. */
function vga(changes: Partial<Vga> = {}): Vga {
  const memory = new Uint8Array(0x40000)
  const made = {
    graphical_mode: false,
    vga_memory: memory,
    plane2: memory.subarray(0x20000, 0x30000),
    vga256_palette: Int32Array.from({ length: 256 }, (_, at) => (at === 7 ? 0xaaaaaa : at === 15 ? 0xffffff : at === 4 ? 0xaa0000 : 0)),
    dac_map: Uint8Array.from({ length: 16 }, (_, at) => at),
    dac_mask: 255,
    color_select: 0,
    attribute_mode: 0x0c,
    clocking_mode: 1,
    character_map_select: 0,
    max_scan_line: 7,
    line_compare: 1023,
    offset_register: 2,
    start_address: 0,
    cursor_address: 0xffff,
    cursor_scanline_start: 6,
    cursor_scanline_end: 7,
    max_cols: 4,
    max_rows: 2,
    ...changes,
  } as Vga
  for (let line = 0; line < 8; line++) made.plane2[0x41 * 32 + line] = 0x80 >> line
  made.plane2.fill(0xff, 0xc4 * 32, 0xc4 * 32 + 8)
  return made
}

function put(to: Vga, cell: number, character: number, attribute: number): void {
  to.vga_memory[2 * cell] = character
  to.vga_memory[2 * cell + 1] = attribute
}

function paint(from: Vga, now = SHOWN, painter = new TextPainter()): { picture: Picture; rects: Rect[] } {
  const rects: Rect[] = []
  return { picture: painter.paint(from, now, (rect) => void rects.push(rect)), rects }
}

/** A cell's rows: # is white, + grey, r red, . black. */
function cell(picture: Picture, column: number, row: number, width = 8, height = 8): string[] {
  const sign = new Map([
    [0xffffffff, '#'],
    [0xffaaaaaa, '+'],
    [0xff0000aa, 'r'],
    [0xff000000, '.'],
  ])
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => sign.get(picture.pixels[(row * height + y) * picture.width + column * width + x]!) ?? '?').join(
      '',
    ),
  )
}

describe('text modes', () => {
  test('a character is drawn from the guest’s font in its colours', () => {
    const screen = vga()
    put(screen, 5, 0x41, 0x4f)
    const { picture } = paint(screen)
    expect([picture.width, picture.height]).toEqual([32, 16])
    expect(cell(picture, 1, 1)).toEqual(Array.from({ length: 8 }, (_, at) => `${'r'.repeat(at)}#${'r'.repeat(7 - at)}`))
    expect(cell(picture, 0, 0)).toEqual(new Array(8).fill('........'))
  })

  test('cells of nine dots: lines go on, letters do not', () => {
    const screen = vga({ clocking_mode: 0 })
    put(screen, 0, 0xc4, 0x0f)
    put(screen, 1, 0x41, 0x0f)
    const { picture } = paint(screen)
    expect(picture.width).toBe(36)
    expect(cell(picture, 0, 0, 9)[0]).toBe('#########')
    expect(cell(picture, 1, 0, 9)[7]).toBe('.......#.')
  })

  test('forty columns have double dots', () => {
    const screen = vga({ clocking_mode: 9 })
    put(screen, 0, 0x41, 0x0f)
    const { picture } = paint(screen)
    expect(picture.width).toBe(64)
    expect(cell(picture, 0, 0, 16)[1]).toBe('..##............')
  })

  test('only what differs is drawn again', () => {
    const screen = vga()
    const painter = new TextPainter()
    expect(paint(screen, SHOWN, painter).rects).toHaveLength(8)
    expect(paint(screen, SHOWN, painter).rects).toEqual([])
    put(screen, 6, 0x41, 0x07)
    expect(paint(screen, SHOWN, painter).rects).toEqual([{ x: 16, y: 8, width: 8, height: 8 }])
  })

  test('another font or palette redraws', () => {
    const screen = vga()
    const painter = new TextPainter()
    paint(screen, SHOWN, painter)
    screen.plane2[0x42 * 32] = 1
    expect(paint(screen, SHOWN, painter).rects).toHaveLength(8)
    screen.vga256_palette[7] = 0x00ff00
    expect(paint(screen, SHOWN, painter).rects).toHaveLength(8)
  })

  test('the cursor has its lines and its character’s colour, blinks, and can be off', () => {
    const screen = vga({ cursor_address: 2 })
    put(screen, 2, 0x41, 0x0f)
    const painter = new TextPainter()
    expect(cell(paint(screen, SHOWN, painter).picture, 2, 0).slice(5)).toEqual(['.....#..', '########', '########'])
    const hidden = paint(screen, CURSOR_HIDDEN, painter)
    expect(hidden.rects).toHaveLength(1)
    expect(cell(hidden.picture, 2, 0).slice(5)).toEqual(['.....#..', '......#.', '.......#'])
    screen.cursor_scanline_start |= 0x20
    expect(cell(paint(screen).picture, 2, 0)[7]).toBe('.......#')
  })

  test('attribute bit 7 blinks, or is a bright background where blinking is off', () => {
    const screen = vga()
    put(screen, 0, 0x41, 0xff)
    expect(cell(paint(screen, SHOWN).picture, 0, 0)[0]).toBe('#+++++++')
    expect(cell(paint(screen, BLINK_HIDDEN).picture, 0, 0)[0]).toBe('++++++++')
    screen.attribute_mode = 4
    expect(cell(paint(screen, BLINK_HIDDEN).picture, 0, 0)[0]).toBe('########')
  })

  test('attribute bit 3 chooses between two fonts', () => {
    const screen = vga({ character_map_select: 0x04 })
    // Font number 1 is the third in memory.
    screen.plane2[2 * 256 * 32 + 0x41 * 32] = 0x0f
    put(screen, 0, 0x41, 0x07)
    put(screen, 1, 0x41, 0x0f)
    const { picture } = paint(screen)
    expect(cell(picture, 0, 0)[0]).toBe('+.......')
    expect(cell(picture, 1, 0)[0]).toBe('....####')
  })

  test('the screen begins where the guest says, and goes on at the beginning after its split', () => {
    const screen = vga({ start_address: 8, line_compare: 8 })
    put(screen, 8, 0x41, 0x0f)
    put(screen, 0, 0xc4, 0x0f)
    const { picture } = paint(screen)
    expect(cell(picture, 0, 0)[0]).toBe('#.......')
    expect(cell(picture, 0, 1)[0]).toBe('########')
  })

  test('no registers lead out of the memories', () => {
    const screen = vga({
      start_address: 0xffff,
      cursor_address: 0xffff,
      offset_register: 255,
      max_cols: 256,
      max_rows: 128,
      max_scan_line: 31,
      character_map_select: 0x3f,
      color_select: 15,
      cursor_scanline_start: 31,
      cursor_scanline_end: 0,
    })
    expect(paint(screen).picture).toMatchObject({ width: 2048, height: 4096 })
  })
})
