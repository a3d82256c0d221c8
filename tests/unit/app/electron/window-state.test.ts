import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { placeWindow, readWindowState, SMALLEST, writeWindowState } from '../../../../src-main/app/electron/window-state.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const FULL_HD = { x: 0, y: 0, width: 1920, height: 1040 }
const SECOND = { x: 1920, y: 0, width: 2560, height: 1400 }

describe('placing', () => {
  test('the first window is of usual size and where the system puts it', () => {
    expect(placeWindow(null, [FULL_HD])).toEqual({ width: 1280, height: 800 })
  })

  test('a remembered place is kept, on any screen', () => {
    const bounds = { x: 2000, y: 100, width: 1500, height: 900 }
    expect(placeWindow(bounds, [FULL_HD, SECOND])).toEqual(bounds)
  })

  test('a screen that is gone is forgotten, the size stays as far as it fits', () => {
    expect(placeWindow({ x: 2000, y: 100, width: 2400, height: 900 }, [FULL_HD])).toEqual({ width: 1920, height: 900 })
  })

  test('a window that hangs over an edge is pulled in', () => {
    expect(placeWindow({ x: 1700, y: -50, width: 1000, height: 700 }, [FULL_HD])).toEqual({ x: 920, y: 0, width: 1000, height: 700 })
  })

  test('no screen at all still gives a window', () => {
    expect(placeWindow({ x: 0, y: 0, width: 1000, height: 700 }, [])).toEqual({ width: 1000, height: 700 })
  })

  test('whatever was remembered, the window can be taken hold of and is not too small', () => {
    const number = fc.integer({ min: -100_000, max: 100_000 })
    const size = fc.integer({ min: 1, max: 100_000 })
    fc.assert(
      fc.property(fc.record({ x: number, y: number, width: size, height: size }), (bounds) => {
        const placed = placeWindow(bounds, [FULL_HD, SECOND])
        expect(placed.width).toBeGreaterThanOrEqual(SMALLEST.width)
        expect(placed.height).toBeGreaterThanOrEqual(SMALLEST.height)
        if (placed.x === undefined || placed.y === undefined) return
        const inside = [FULL_HD, SECOND].some(
          (area) => placed.x! >= area.x && placed.y! >= area.y && placed.x! < area.x + area.width && placed.y! < area.y + area.height,
        )
        expect(inside).toBe(true)
      }),
    )
  })
})

describe('remembering', () => {
  let folder: string
  beforeEach(async () => {
    folder = await tempFolder()
  })

  test('what was written is read', async () => {
    const state = { bounds: { x: 1, y: 2, width: 1000, height: 700 }, maximized: true }
    const file = path.join(folder, 'profile', 'window.json')
    writeWindowState(file, state)
    expect(await readWindowState(file)).toEqual(state)
  })

  test.each([
    '',
    '{',
    'null',
    '{"bounds":{"x":1e99,"y":0,"width":1,"height":1},"maximized":false}',
    '{"maximized":false}',
    `"${'x'.repeat(5000)}"`,
  ])('what is no state is as the first run: %.40s', async (text) => {
    const file = path.join(folder, 'window.json')
    await writeFile(file, text)
    expect(await readWindowState(file)).toEqual({ bounds: null, maximized: false })
  })
})
