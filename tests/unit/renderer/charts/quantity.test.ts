import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { axisFor, formatTick, formatValue, type Quantity } from '../../../../src-renderer/charts/quantity.ts'
import { GiB, KiB, MiB } from '../../../../src-shared/base/units.ts'

describe('formatValue', () => {
  test.each<[Quantity, number | null, string]>([
    ['share', 0.123, '12 %'],
    ['share', 0.012, '1.2 %'],
    ['share', 0, '0 %'],
    ['share', 1.5, '150 %'],
    ['bytes', 1.5 * GiB, '1.5 GiB'],
    ['bytesPerSecond', 0.4, '0 B/s'],
    ['bytesPerSecond', 2048, '2 KiB/s'],
    ['perSecond', 123_400_000, '123 M/s'],
    ['bytes', null, '–'],
  ])('%s %s', (quantity, value, text) => expect(formatValue(quantity, value)).toBe(text))
})

test('ticks are short', () => {
  expect(formatTick('perSecond', 20_000_000)).toBe('20 M/s')
  expect(formatTick('share', 0.05)).toBe('5 %')
  expect(formatTick('bytes', 0)).toBe('0')
})

describe('axisFor', () => {
  test('per cent end at 100 until more is used', () => {
    expect(axisFor('share', 0.2, 1)).toEqual({ top: 1, lines: [0, 0.25, 0.5, 0.75, 1] })
    expect(axisFor('share', 1.3, 1)).toEqual({ top: 1.5, lines: [0, 0.5, 1, 1.5] })
  })

  test('bytes have binary steps', () => {
    expect(axisFor('bytes', 300 * MiB)).toEqual({ top: 384 * MiB, lines: [0, 128 * MiB, 256 * MiB, 384 * MiB] })
    expect(axisFor('bytesPerSecond', 5 * KiB).lines).toEqual([0, 2 * KiB, 4 * KiB, 6 * KiB])
  })

  test('an idle chart still has an axis', () => {
    expect(axisFor('bytesPerSecond', 0).lines).toEqual([0, 1 * KiB, 2 * KiB, 3 * KiB, 4 * KiB])
    expect(axisFor('perSecond', 0).top).toBe(1000)
  })

  test('every axis holds its values with two to five lines above zero', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Quantity>('share', 'bytes', 'bytesPerSecond', 'perSecond'),
        fc.double({ min: 0, max: 1e15, noNaN: true }),
        (quantity, max) => {
          const { top, lines } = axisFor(quantity, max)
          expect(top).toBeGreaterThanOrEqual(max * (1 - 1e-9))
          expect(lines[0]).toBe(0)
          expect(lines.at(-1)).toBeCloseTo(top, 6)
          expect(lines.length).toBeGreaterThanOrEqual(3)
          expect(lines.length).toBeLessThanOrEqual(6)
        },
      ),
    )
  })
})
