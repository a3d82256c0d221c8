import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  HeartbeatMonitor,
  isStuck,
  LOOK_INTERVAL,
  nextPulse,
  STUCK_AFTER,
  type Pulse,
} from '../../../../../src-main/host/machines/running/heartbeat.ts'

function pulseAfter(looks: { at: number; beats: number }[]): Pulse {
  let pulse: Pulse | undefined
  for (const { at, beats } of looks) pulse = nextPulse(pulse, beats, at)
  return pulse!
}
const everyLook = (count: number, beats: (n: number) => number) =>
  Array.from({ length: count }, (_, n) => ({ at: n * LOOK_INTERVAL, beats: beats(n) }))

describe('a heart that stopped', () => {
  test('is found after the named time, and beats again at once', () => {
    const looks = STUCK_AFTER / LOOK_INTERVAL
    expect(isStuck(pulseAfter(everyLook(looks, () => 5)))).toBe(false)
    const still = everyLook(looks + 1, () => 5)
    expect(isStuck(pulseAfter(still))).toBe(true)
    expect(isStuck(pulseAfter([...still, { at: still.at(-1)!.at + LOOK_INTERVAL, beats: 6 }]))).toBe(false)
  })

  test('a beating one is not stuck', () => expect(isStuck(pulseAfter(everyLook(100, (n) => n)))).toBe(false))

  test('a computer that slept stopped no heart', () => {
    const looks = everyLook(3, () => 5)
    expect(isStuck(pulseAfter([...looks, { at: 3_600_000, beats: 5 }]))).toBe(false)
  })
})

describe('the monitor', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }))
  afterEach(() => void vi.useRealTimers())

  test('looks only while something runs', () => {
    const running: { id: string; heartbeats: number }[] = []
    const told: [string, boolean][] = []
    const monitor = new HeartbeatMonitor(
      () => running,
      (id, ms) => void told.push([id, ms !== null]),
    )
    monitor.update()
    expect(vi.getTimerCount()).toBe(0)
    running.push({ id: 'a', heartbeats: 1 })
    monitor.update()
    monitor.update()
    expect(vi.getTimerCount()).toBe(1)
    vi.advanceTimersByTime(STUCK_AFTER + LOOK_INTERVAL)
    expect(told[0]).toEqual(['a', false])
    expect(told.at(-1)).toEqual(['a', true])
    running.pop()
    monitor.update()
    expect(vi.getTimerCount()).toBe(0)
  })
})
