import { describe, expect, test } from 'vitest'
import { SampleRing } from '../../../../src-renderer/charts/sample-ring.ts'

const S = 1000

describe('SampleRing', () => {
  test('gives the samples of a window with a neighbour at each side', () => {
    const ring = new SampleRing(['a', 'b'], 100)
    for (let at = 0; at < 10; at++) ring.push(at * S, { a: at, b: at * 10 })
    expect(ring.window(3 * S, 5 * S, ['a', 'b'])).toEqual({
      at: [3, 4, 5, 6],
      values: [
        [3, 4, 5, 6],
        [30, 40, 50, 60],
      ],
    })
    expect(ring.window(3.5 * S, 4.5 * S, ['b']).at).toEqual([3, 4, 5])
  })

  test('keeps the newest when it is full', () => {
    const ring = new SampleRing(['a'], 4)
    for (let at = 0; at < 10; at++) ring.push(at * S, { a: at })
    expect(ring.length).toBe(4)
    expect(ring.window(0, 100 * S, ['a']).values).toEqual([[6, 7, 8, 9]])
    expect(ring.newest).toBe(9 * S)
  })

  test('a pause is a gap, a jitter is none', () => {
    const ring = new SampleRing(['a'], 100)
    for (const at of [0, 1000, 2400, 10_000, 11_000]) ring.push(at, { a: 1 })
    const { at, values } = ring.window(0, 11_000, ['a'])
    expect(at).toEqual([0, 1, 2.4, 2.401, 10, 11])
    expect(values).toEqual([[1, 1, 1, null, 1, 1]])
  })

  test('an unknown figure is null among its neighbours', () => {
    const ring = new SampleRing(['a', 'b'], 10)
    ring.push(0, { a: 1, b: 2 })
    ring.push(S, { a: null })
    expect(ring.window(0, S, ['a', 'b']).values).toEqual([
      [1, null],
      [2, null],
    ])
    expect(ring.last('a', S)).toBeNull()
  })

  test('a sample that comes twice counts once', () => {
    const ring = new SampleRing(['a'], 10)
    ring.push(S, { a: 1 })
    ring.push(S, { a: 2 })
    ring.push(0.5 * S, { a: 3 })
    expect(ring.window(0, 2 * S, ['a']).values).toEqual([[1]])
  })

  test('a clock that was set back begins anew', () => {
    const ring = new SampleRing(['a'], 10)
    ring.push(3600 * S, { a: 1 })
    ring.push(S, { a: 2 })
    expect(ring.window(0, 4000 * S, ['a'])).toEqual({ at: [1], values: [[2]] })
  })

  test('the last value is forgotten when samples stop', () => {
    const ring = new SampleRing(['a'], 10)
    ring.push(S, { a: 7 })
    expect(ring.last('a', 2 * S)).toBe(7)
    expect(ring.last('a', 5 * S)).toBeNull()
    expect(new SampleRing(['a'], 10).last('a', 0)).toBeNull()
  })

  test('an empty window of an empty ring', () => {
    expect(new SampleRing(['a'], 10).window(0, S, ['a'])).toEqual({ at: [], values: [[]] })
  })
})
