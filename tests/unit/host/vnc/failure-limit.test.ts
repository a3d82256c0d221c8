import { expect, test } from 'vitest'
import { FailureLimit } from '../../../../src-main/host/vnc/failure-limit.ts'

test('five wrong passwords are free; then each costs more, up to five minutes', () => {
  let now = 1000
  const limit = new FailureLimit(() => now)
  for (let tries = 0; tries < 4; tries++) limit.failed()
  expect(limit.wait).toBe(0)
  const waits: number[] = []
  for (let tries = 0; tries < 7; tries++) {
    limit.failed()
    waits.push(limit.wait)
    now += limit.wait
    expect(limit.wait).toBe(0)
  }
  expect(waits).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000])
})

test('the right one resets it', () => {
  const limit = new FailureLimit(() => 0)
  for (let tries = 0; tries < 5; tries++) limit.failed()
  expect(limit.wait).toBe(10_000)
  limit.succeeded()
  expect(limit.wait).toBe(0)
  limit.failed()
  expect(limit.wait).toBe(0)
})
