import { describe, expect, test } from 'vitest'
import { HERE, layOut, spotByKey, type Layout } from '../../../../src-renderer/pages/machine/snapshots/tree-layout.ts'
import type { SnapshotView } from '../../../../src-shared/model/snapshot.ts'

const SIZES = { width: 100, height: 40, gap: 20, drop: 10 }

/** "b<a" came from a. */
function layout(current: string | null, ...snapshots: string[]): Layout {
  const list = snapshots.map((text) => {
    const [id, parent] = text.split('<')
    return { id, parent: parent ?? null } as SnapshotView
  })
  return layOut({ snapshots: list, current }, SIZES)
}
const spot = (drawing: Layout, id: string) => drawing.spots.find((one) => one.id === id)!

describe('the drawing', () => {
  test('has the oldest above, and the present state under the one that it came from', () => {
    const drawing = layout('b', 'a', 'b<a')
    expect(drawing.spots.map(({ id, left, top, level }) => [id, left, top, level])).toEqual([
      ['a', 0, 0, 1],
      ['b', 0, 50, 2],
      [HERE, 0, 100, 3],
    ])
    expect(drawing).toMatchObject({ width: 100, height: 140, origin: null })
    expect(drawing.edges.map(({ d }) => d)).toEqual(['M50,40V50', 'M50,90V100'])
  })

  test('has branches beside each other, and knows the way to the present state', () => {
    const drawing = layout('c', 'a', 'b<a', 'c<a')
    expect(spot(drawing, 'b')).toMatchObject({ left: 0, level: 2, position: 1, siblings: 2, trunk: false })
    expect(spot(drawing, 'c')).toMatchObject({ left: 120, level: 2, position: 2, siblings: 2, trunk: true })
    expect(spot(drawing, 'a')).toMatchObject({ left: 60, trunk: true })
    expect(drawing.edges.find(({ id }) => id === 'c')!.d).toBe('M110,40V40Q110,45 115,45H165Q170,45 170,50V50')
    expect(drawing.edges.filter(({ trunk }) => trunk).map(({ id }) => id)).toEqual(['c', HERE])
  })

  test('draws the machine as it was made only where more than one state came from it', () => {
    const drawing = layout(null, 'a')
    expect(spot(drawing, 'a')).toMatchObject({ top: 10, level: 1, parent: null })
    expect(spot(drawing, HERE)).toMatchObject({ top: 10, level: 1, parent: null, siblings: 2 })
    expect(drawing.origin).toEqual({ x: 110, y: 0 })
    expect(drawing.edges).toHaveLength(2)
  })

  test('never has two cards over each other', () => {
    const ids = Array.from({ length: 60 }, (_, at) => (at === 0 ? 's0' : `s${at}<s${Math.floor((at * 7) % at)}`))
    const { spots } = layout('s31', ...ids)
    for (const a of spots)
      for (const b of spots) if (a !== b && a.top === b.top) expect(Math.abs(a.left - b.left)).toBeGreaterThanOrEqual(SIZES.width)
  })

  test('holds a line of the most that there can be', () => {
    const ids = Array.from({ length: 500 }, (_, at) => (at === 0 ? 's0' : `s${at}<s${at - 1}`))
    expect(layout('s499', ...ids)).toMatchObject({ width: 100, height: 500 * 50 + 40 })
  })
})

describe('keys', () => {
  const drawing = layout('c', 'a', 'b<a', 'c<a', 'd<b')
  const from = (id: string, key: string) => spotByKey(drawing, id, key)?.id ?? null

  test('move as the drawing looks', () => {
    expect(from('b', 'ArrowUp')).toBe('a')
    expect(from('b', 'ArrowRight')).toBe('c')
    expect(from('c', 'ArrowLeft')).toBe('b')
    expect(from('d', 'ArrowRight')).toBe(HERE)
    expect(from('b', 'ArrowDown')).toBe('d')
  })
  test('go down on the way to the present state', () => {
    expect(from('a', 'ArrowDown')).toBe('c')
    expect(from('c', 'ArrowDown')).toBe(HERE)
  })
  test('go to both ends', () => {
    expect(from('d', 'Home')).toBe('a')
    expect(from('a', 'End')).toBe(HERE)
  })
  test('lead nowhere at the edge, and where there is no such card', () => {
    expect(from('a', 'ArrowUp')).toBe(null)
    expect(from(HERE, 'ArrowDown')).toBe(null)
    expect(from('gone', 'ArrowUp')).toBe(null)
    expect(from('a', 'x')).toBe(null)
  })
})
