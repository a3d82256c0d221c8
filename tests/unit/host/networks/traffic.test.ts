import { expect, test } from 'vitest'
import { rates } from '../../../../src-main/host/networks/traffic.ts'
import type { PortCounters } from '../../../../src-shared/threads/network-thread.ts'

const counters = (change: Partial<PortCounters> = {}): PortCounters => ({
  ...{ framesOut: 10, bytesOut: 1000, framesIn: 5, bytesIn: 500, dropped: 0, lost: 0, denied: 0 },
  ...change,
})

test('rates are a second’s worth of what moved; what stands still, or is new, is left out', () => {
  const before = { a: counters(), b: counters(), c: counters() }
  const now = { a: counters({ bytesOut: 3000, framesOut: 14, lost: 2 }), b: counters(), d: counters() }
  expect(rates(before, now, 2)).toEqual({
    a: { outBytes: 1000, outFrames: 2, inBytes: 0, inFrames: 0, lost: 1, denied: 0, dropped: 0 },
  })
})

test('counters that began anew are not a storm', () => {
  expect(rates({ a: counters() }, { a: counters({ bytesOut: 10, framesOut: 1, framesIn: 6 }) }, 1)).toEqual({
    a: { outBytes: 0, outFrames: 0, inBytes: 0, inFrames: 1, lost: 0, denied: 0, dropped: 0 },
  })
})
