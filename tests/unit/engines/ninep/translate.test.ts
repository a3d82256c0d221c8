import { expect, test } from 'vitest'
import { attributesReply, offsetOf, secondsOf, wishOf } from '../../../../src-main/engines/ninep/translate.ts'

const file = { mode: 0o100644, id: 5n, links: 1n, bytes: 7n, blockBytes: 4096n, blocks: 8n, accessed: 0n, modified: 0n, changed: 0n }

test('times before 1970 have nanoseconds that count forward', () => {
  const reply = attributesReply(1, { ...file, accessed: -1n, modified: 1_500_000_000n })
  const view = new DataView(reply.buffer, 7)
  const times = 8 + 13 + 3 * 4 + 5 * 8
  const at = (index: number): bigint => view.getBigInt64(times + 8 * index, true)
  expect([at(0), at(1), at(2), at(3)]).toEqual([-1n, 999_999_999n, 1n, 500_000_000n])
  expect(reply.length).toBe(160)
  expect(secondsOf({ seconds: BigInt.asUintN(64, -1n), nanoseconds: 500_000_000n })).toBe(-0.5)
})

test('what an open asks for', () => {
  expect(wishOf(0)).toEqual({ read: true, write: false, truncate: false, append: false, exclusive: false })
  expect(wishOf(1 | 0o1000 | 0o200)).toEqual({ read: false, write: true, truncate: true, append: false, exclusive: true })
  expect(wishOf(2 | 0o2000)).toEqual({ read: true, write: true, truncate: false, append: true, exclusive: false })
  // Both bits: no way to open at all on Linux; here it reads.
  expect(wishOf(3)).toMatchObject({ read: true, write: false })
})

test('no file reaches further than numbers are exact', () => {
  expect(offsetOf(2n ** 53n - 1n)).toBe(2 ** 53 - 1)
  expect(() => offsetOf(2n ** 53n)).toThrow('EFBIG')
})
