import { expect, test } from 'vitest'
import { toDisposable } from '../../../../../src-shared/base/disposable.ts'
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import type { Machine } from '../../../../../src-main/host/machines/machine.ts'
import { AutoSnapshots } from '../../../../../src-main/host/snapshots/policy/auto-snapshots.ts'
import { memoryLog } from '../../../../support/memory-log.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const NOW = Date.UTC(2026, 10, 21, 12)

/** A machine, a clock that is moved by hand, and what was done. */
function scheduler(everyMinutes: number | null, last: number | null = null) {
  let time = NOW
  let waiting: { at: number; call: () => void } | null = null
  const statuses: unknown[] = []
  const machine = {
    id: 'a',
    state: 'running',
    bundle: { name: 'a', config: { autoSnapshots: { everyMinutes } } },
    setStatus: (status: unknown) => statuses.push(status),
  }
  const self = {
    ...{ machine, statuses, taken: [] as number[], busy: false, fails: false },
    get timers() {
      return waiting === null ? 0 : 1
    },
    jump: (ms: number) => (time += ms),
    /** Time goes by, asleep or awake, and what is due in it is done. */
    async pass(ms: number): Promise<void> {
      const end = time + ms
      await settle()
      while (waiting && waiting.at <= end) {
        const { at, call } = waiting
        waiting = null
        time = Math.max(time, at)
        call()
        await settle()
      }
      time = Math.max(time, end)
    },
  }
  const auto = new AutoSnapshots({
    log: memoryLog(),
    clock: {
      now: () => time,
      after: (ms, call) => {
        waiting = { at: time + Math.max(0, ms), call }
        return toDisposable(() => (waiting = null))
      },
    },
    isBusy: () => self.busy,
    last: () => Promise.resolve(last),
    take: () => {
      self.taken.push((time - NOW) / MINUTE)
      return self.fails ? Promise.reject(new AppError('no-space', 'The disk is full.')) : Promise.resolve()
    },
  })
  const follow = (): void => auto.follow(machine as unknown as Machine)
  return Object.assign(self, { auto, follow })
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('one is taken each hour while it runs, and none is waited for otherwise', async () => {
  const one = scheduler(60)
  one.machine.state = 'off'
  one.follow()
  expect(one.timers).toBe(0)
  one.machine.state = 'running'
  one.follow()
  await one.pass(3 * HOUR)
  expect(one.taken).toEqual([60, 120, 180])
  one.machine.state = 'paused'
  one.follow()
  expect(one.timers).toBe(0)
  const none = scheduler(null)
  none.follow()
  expect(none.timers).toBe(0)
})

test('what a host before took counts; who sleeps through several times has one', async () => {
  const one = scheduler(60, NOW - 50 * MINUTE)
  one.follow()
  await one.pass(11 * MINUTE)
  expect(one.taken).toEqual([10])
  one.jump(8 * HOUR)
  await one.pass(2 * HOUR)
  expect(one.taken).toEqual([10, 491, 551, 611])
})

test('another interval is taken up at once', async () => {
  const one = scheduler(600)
  one.follow()
  await one.pass(HOUR)
  one.machine.bundle.config.autoSnapshots.everyMinutes = 15
  one.follow()
  await one.pass(15 * MINUTE)
  expect(one.taken).toEqual([75])
})

test('while something else is done with the machine it waits for a minute', async () => {
  const one = scheduler(60)
  one.follow()
  one.busy = true
  await one.pass(HOUR + 2.5 * MINUTE)
  expect(one.taken).toEqual([])
  one.busy = false
  await one.pass(MINUTE)
  expect(one.taken).toEqual([63])
})

test('what fails is said, with when it is tried again, and tried later each time', async () => {
  const one = scheduler(60)
  one.follow()
  one.fails = true
  await one.pass(5 * 24 * HOUR)
  expect(one.taken.map((minutes) => minutes / 60)).toEqual([1, 3, 7, 15, 31, 55, 79, 103])
  expect(one.statuses).toHaveLength(8)
  expect(one.statuses[0]).toMatchObject({
    lastError: {
      message: expect.stringMatching(
        /^No automatic snapshot of “a” could be taken: The disk is full\. It is tried again on .*2026/,
      ) as string,
    },
  })
  one.fails = false
  await one.pass(25 * HOUR)
  expect(one.taken.slice(8).map((minutes) => minutes / 60)).toEqual([
    127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 138, 139, 140, 141, 142, 143, 144, 145,
  ])
})

test('nothing is waited for when it is over', async () => {
  const one = scheduler(60)
  one.follow()
  await settle()
  one.auto.dispose()
  expect(one.timers).toBe(0)
  one.follow()
  expect(one.timers).toBe(0)
})
