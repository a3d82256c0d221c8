import { describe, expect, test } from 'vitest'
import { dueAfterFailure, firstDue, SETTLE, stillDue } from '../../../../../src-main/host/snapshots/policy/due.ts'
import { seeded } from '../../../../support/seeded.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const NOW = Date.UTC(2026, 10, 21, 12)

describe('the first after a start', () => {
  test.each([
    ['none was ever taken', null, NOW + HOUR],
    ['the last one is young', NOW - 10 * MINUTE, NOW + 50 * MINUTE],
    ['the last one is old: not while the machine boots', NOW - 30 * HOUR, NOW + SETTLE],
    ['the last one is from the future', NOW + 900 * HOUR, NOW + HOUR],
  ])('%s', (_name, last, due) => expect(firstDue(HOUR, last, NOW)).toBe(due))

  test('one that is taken often does not wait longer than that', () => expect(firstDue(MINUTE, NOW - HOUR, NOW)).toBe(NOW + MINUTE))
})

test('a clock that is put back by years keeps nobody waiting for years', () => {
  expect(stillDue(NOW + HOUR, HOUR, NOW - 365 * 24 * HOUR)).toBe(NOW - 365 * 24 * HOUR + HOUR)
  expect(stillDue(NOW + MINUTE, HOUR, NOW)).toBe(NOW + MINUTE)
})

test('what fails is tried later each time, and daily at least; what is due seldom, no more often than that', () => {
  const waits = [1, 2, 3, 4, 5, 6, 99].map((failures) => (dueAfterFailure(HOUR, failures, NOW) - NOW) / HOUR)
  expect(waits).toEqual([2, 4, 8, 16, 24, 24, 24])
  expect(dueAfterFailure(7 * 24 * HOUR, 3, NOW)).toBe(NOW + 7 * 24 * HOUR)
})

test('whatever the clock does: a jump makes at most one come early or late, and none is doubled', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = seeded(seed)
    const every = (5 + random(120)) * MINUTE
    const step = 20 * MINUTE
    let clock = NOW
    let awake = 0
    let due = firstDue(every, random(2) === 0 ? null : NOW - random(48) * HOUR, clock)
    /** Since the last one. */
    let jumps = { on: 0, back: 0 }
    let last: number | null = null
    for (let round = 0; round < 300; round++) {
      const passed = random(step)
      awake += passed
      clock += passed
      // The computer sleeps, or somebody sets its clock.
      const event = random(40)
      if (event === 0) clock += random(100) * HOUR
      if (event === 1) clock -= random(100) * HOUR
      if (event === 0) jumps.on++
      if (event === 1) jumps.back++
      due = stillDue(due, every, clock)
      if (clock < due) continue
      if (last !== null) {
        if (jumps.on === 0) expect(awake - last).toBeGreaterThanOrEqual(every)
        expect(awake - last).toBeLessThanOrEqual((1 + jumps.back) * (every + step))
      }
      last = awake
      jumps = { on: 0, back: 0 }
      due = clock + every
    }
  }
})
