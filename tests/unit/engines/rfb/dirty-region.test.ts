import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DirtyRegion, MAX_AREA, TILE } from '../../../../src-main/engines/rfb/dirty-region.ts'
import type { Rect } from '../../../../src-main/engines/rfb/screen.ts'

const inside = (rect: Rect, x: number, y: number): boolean =>
  x >= rect.x && x < rect.x + rect.width && y >= rect.y && y < rect.y + rect.height

describe('dirty region', () => {
  test('neighbours merge, and taking empties it', () => {
    const region = new DirtyRegion(720, 400)
    expect(region.empty).toBe(true)
    region.add({ x: 0, y: 0, width: 9, height: 16 })
    region.add({ x: 9, y: 0, width: 9, height: 16 })
    region.add({ x: 0, y: 16, width: 20, height: 4 })
    expect(region.empty).toBe(false)
    expect(region.take()).toEqual([{ x: 0, y: 0, width: 32, height: 32 }])
    expect(region.empty).toBe(true)
    expect(region.take()).toEqual([])
  })

  test('a whole large screen comes in pieces of a bounded size', () => {
    const region = new DirtyRegion(2560, 1600)
    region.add({ x: 0, y: 0, width: 2560, height: 1600 })
    const rects = region.take()
    expect(Math.max(...rects.map(({ width, height }) => width * height))).toBeLessThanOrEqual(MAX_AREA)
    expect(Math.max(...rects.map(({ width }) => width))).toBeLessThanOrEqual(2048)
    expect(rects.reduce((sum, { width, height }) => sum + width * height, 0)).toBe(2560 * 1600)
  })

  test('covers what was added, without overlap and within the screen', () => {
    const rect = fc.record({
      x: fc.integer({ min: 0, max: 130 }),
      y: fc.integer({ min: 0, max: 90 }),
      width: fc.integer({ min: 0, max: 80 }),
      height: fc.integer({ min: 0, max: 80 }),
    })
    fc.assert(
      fc.property(fc.array(rect, { maxLength: 8 }), (added) => {
        const region = new DirtyRegion(100, 70)
        for (const each of added) region.add(each)
        const taken = region.take()
        const covers = new Uint8Array(100 * 70)
        for (const each of taken)
          for (let y = each.y; y < each.y + each.height; y++) for (let x = each.x; x < each.x + each.width; x++) covers[y * 100 + x]!++
        expect(Math.max(...covers)).toBeLessThanOrEqual(1)
        const missed = Array.from(covers).findIndex(
          (count, at) => count === 0 && added.some((each) => inside(each, at % 100, Math.floor(at / 100))),
        )
        expect(missed).toBe(-1)
        for (const each of taken) {
          expect(each.x % TILE).toBe(0)
          expect(each.x + each.width).toBeLessThanOrEqual(100)
          expect(each.y + each.height).toBeLessThanOrEqual(70)
        }
      }),
      { numRuns: 40 },
    )
  })
})
