import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HistoryRing } from '../../../../src-main/host/metrics/history.ts'

interface Row {
  a: number
  b: number
}

describe('history ring', () => {
  test('keeps the last rows, like a plain array', () => {
    const row = fc.option(fc.record({ a: fc.double({ noNaN: true }), b: fc.integer() }), { nil: null })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.array(row, { maxLength: 500 }), (limit, rows) => {
        const ring = new HistoryRing<Row>(['a', 'b'], limit)
        rows.forEach((value, at) => ring.push(at, value))
        const kept = rows.slice(-limit)
        const { at, series } = ring.read()
        expect(at).toEqual(kept.map((_, index) => rows.length - kept.length + index))
        expect(series.a).toEqual(kept.map((value) => value?.a ?? null))
        expect(series.b).toEqual(kept.map((value) => value?.b ?? null))
        expect(ring.newest).toBe(rows.length === 0 ? -Infinity : rows.length - 1)
      }),
    )
  })
})
