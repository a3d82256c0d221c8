import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  compressedEnd,
  compressedHigh,
  compressedPlace,
  COPIED,
  entryHigh,
  entryKind,
  entryLow,
  entryOffset,
  KIND,
} from '../../../../../src-main/storage/formats/qcow2/entry.ts'
import { refcountWidth } from '../../../../../src-main/storage/formats/qcow2/refcount-width.ts'

describe('qcow2 entries', () => {
  test.each([1, 2, 4, 8, 16, 32, 64])('counts of %d bits do not touch their neighbours', (bits) => {
    const width = refcountWidth(bits)
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 63 }), fc.maxSafeNat()), { maxLength: 100 }), (changes) => {
        const block = new DataView(new ArrayBuffer(8 * bits))
        const model = new Array<number>(64).fill(0)
        for (const [index, value] of changes) {
          const count = width.max === Number.MAX_SAFE_INTEGER ? value : value % (width.max + 1)
          width.set(block, index, count)
          model[index] = count
        }
        expect(model.map((_, index) => width.get(block, index))).toEqual(model)
      }),
    )
  })

  test('below a byte the first entry is the least significant', () => {
    const block = new DataView(new ArrayBuffer(2))
    refcountWidth(1).set(block, 1, 1)
    refcountWidth(4).set(block, 3, 5)
    expect([block.getUint8(0), block.getUint8(1)]).toEqual([2, 0x50])
  })

  test('offsets survive, whatever flags stand beside them', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.constantFrom(0, COPIED), (value, flag) => {
        const offset = value - (value % 512)
        const high = (entryHigh(offset) | flag) >>> 0
        expect(entryOffset(high, entryLow(offset))).toBe(offset)
        expect(entryKind(high, entryLow(offset))).toBe(offset === 0 ? KIND.unallocated : KIND.data)
        expect(entryKind(high, entryLow(offset) | 1)).toBe(offset === 0 ? KIND.zero : KIND.zeroAllocated)
      }),
    )
  })

  test.each([9, 12, 16, 21])('compressed clusters of 2 to the power of %d bytes', (bits) => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.integer({ min: 1, max: 2 ** bits - 1 }), (value, length) => {
        const offset = value % (compressedEnd(bits) - length)
        const high = compressedHigh(offset, length, bits)
        expect(entryKind(high, entryLow(offset))).toBe(KIND.compressed)
        const place = compressedPlace(high, entryLow(offset), bits)
        expect(place.offset).toBe(offset)
        // Up to the end of the last sector.
        expect(place.length).toBeGreaterThanOrEqual(length)
        expect((offset + place.length) % 512).toBe(0)
        expect(place.length - length).toBeLessThan(512)
      }),
    )
  })
})
