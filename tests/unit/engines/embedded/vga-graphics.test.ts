import { describe, expect, test } from 'vitest'
import { GraphicsPainter } from '../../../../src-main/engines/embedded/vga-graphics.ts'
import type { ScreenLayer } from '../../../../src-main/engines/embedded/v86.ts'
import type { Rect } from '../../../../src-main/engines/rfb/screen.ts'

function layer(width: number, height: number, place: Partial<ScreenLayer> = {}): { layer: ScreenLayer; words: Uint32Array } {
  const words = new Uint32Array(width * height).fill(0xff000000)
  const data = new Uint8ClampedArray(words.buffer)
  const whole = { screen_x: 0, screen_y: 0, buffer_x: 0, buffer_y: 0, buffer_width: width, buffer_height: height }
  return { words, layer: { image_data: { data, width, height }, ...whole, ...place } }
}

function draw(painter: GraphicsPainter, from: ScreenLayer): Rect[] {
  const rects: Rect[] = []
  painter.draw(from, (rect) => void rects.push(rect))
  return rects
}

describe('graphics modes', () => {
  test('what differs is taken over and told in blocks', () => {
    const painter = new GraphicsPainter()
    const picture = painter.resize(200, 40)
    const { layer: from, words } = layer(200, 40)
    expect(draw(painter, from)).toEqual([])
    words[5 * 200 + 70] = 0xff0000ff
    words[20 * 200 + 199] = 0xffff0000
    expect(draw(painter, from)).toEqual([
      { x: 64, y: 0, width: 64, height: 16 },
      { x: 192, y: 16, width: 8, height: 16 },
    ])
    expect(picture.pixels).toEqual(words)
    expect(draw(painter, from)).toEqual([])
  })

  test('layers are shifted and cut as v86 says', () => {
    const painter = new GraphicsPainter()
    const picture = painter.resize(8, 4)
    const { layer: from, words } = layer(10, 10, { screen_x: -2, screen_y: 1, buffer_y: 3, buffer_width: 10, buffer_height: 100 })
    for (let at = 0; at < 100; at++) words[at] = 0xff000000 + at
    draw(painter, from)
    expect(Array.from(picture.pixels.subarray(8, 16), (pixel) => pixel & 255)).toEqual([32, 33, 34, 35, 36, 37, 38, 39])
    expect(picture.pixels[3 * 8]! & 255).toBe(52)
    expect(picture.pixels[0]).toBe(0xff000000)
  })

  test('a layer with more rows than its buffer, or beside the screen, changes nothing beyond', () => {
    const painter = new GraphicsPainter()
    painter.resize(8, 8)
    const { layer: from, words } = layer(4, 2, { buffer_width: 100, buffer_height: 100 })
    words.fill(0xffffffff)
    expect(draw(painter, from)).toEqual([{ x: 0, y: 0, width: 8, height: 2 }])
    expect(draw(painter, { ...from, screen_x: 8 })).toEqual([])
    expect(draw(painter, { ...from, screen_y: -2 })).toEqual([])
  })

  test('another size is another picture', () => {
    const painter = new GraphicsPainter()
    const small = painter.resize(8, 8)
    expect(painter.resize(8, 8)).toBe(small)
    expect(painter.resize(16, 8)).toMatchObject({ width: 16, height: 8 })
  })
})
