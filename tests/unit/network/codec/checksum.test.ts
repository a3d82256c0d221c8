import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { foldSum, pseudoSum, sumWords } from '../../../../src-main/network/codec/checksum.ts'
import { bytes, ends, plainChecksum } from './arbitrary.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

describe('the Internet checksum', () => {
  it('is that of known packets', () => {
    // RFC 1071, 3: the sum is ddf2.
    expect(foldSum(sumWords(hex('0001 f203 f4f5 f6f7')))).toBe(0xffff - 0xddf2)
    // An IPv4 header as it is in the textbooks, with its checksum b861 left out.
    expect(foldSum(sumWords(hex('4500 0073 0000 4000 4011 0000 c0a8 0001 c0a8 00c7')))).toBe(0xb861)
    expect(foldSum(sumWords(hex('4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7')))).toBe(0)
    expect(foldSum(0)).toBe(0xffff)
  })

  it('is that of the words one after the other, at any place and length', () => {
    fc.assert(
      fc.property(bytes(3000), fc.nat(20), fc.nat(20), fc.nat(9), (all, start, less, offset) => {
        const from = Math.min(start, all.length)
        const to = Math.max(from, all.length - less)
        const expected = plainChecksum(all.subarray(from, to))
        expect(foldSum(sumWords(all, from, to))).toBe(expected)
        // Anywhere in its memory, of whichever kind.
        for (const memory of [new ArrayBuffer(all.length + offset), new SharedArrayBuffer(all.length + offset)]) {
          const view = new Uint8Array(memory, offset)
          view.set(all)
          expect(foldSum(sumWords(view, from, to))).toBe(expected)
        }
      }),
    )
    for (let length = 0; length <= 400; length++)
      for (const start of [0, 1, 2, 3]) {
        const all = Uint8Array.from({ length: length + start }, (_, at) => 255 - ((at * 31) & 255))
        expect(foldSum(sumWords(all, start))).toBe(plainChecksum(all.subarray(start)))
      }
    expect(foldSum(sumWords(new Uint8Array(65_535).fill(255)))).toBe(plainChecksum(new Uint8Array(65_535).fill(255)))
  })

  it('adds up over parts', () => {
    fc.assert(
      fc.property(bytes(), fc.nat(100), (all, cut) => {
        const at = Math.min(cut * 2, all.length - (all.length % 2))
        expect(foldSum(sumWords(all, at, all.length, sumWords(all, 0, at)))).toBe(plainChecksum(all))
      }),
    )
  })

  it('has the pseudo header of both families', () => {
    fc.assert(
      fc.property(ends, fc.nat(255), fc.nat(65_535), ([source, destination], protocol, length) => {
        const tail = source.length === 4 ? [0, protocol, length >> 8, length & 255] : [0, 0, length >> 8, length & 255, 0, 0, 0, protocol]
        expect(foldSum(pseudoSum(source, destination, protocol, length))).toBe(
          plainChecksum(Uint8Array.from([...source, ...destination, ...tail])),
        )
      }),
    )
  })
})
