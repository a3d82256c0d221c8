import { afterEach, beforeEach, expect, it } from 'vitest'
import { TimerQueue, type Timed } from '../../../../src-main/network/nat/timer-queue.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { seeded } from '../../../support/seeded.ts'

class Item implements Timed {
  place = -1
  wakeAt = 0
  /** What it really waits for. */
  dueAt = Infinity
  woken: number[] = []
  readonly queue: TimerQueue

  constructor(queue: TimerQueue) {
    this.queue = queue
  }

  set(at: number): void {
    this.dueAt = at
    this.queue.arm(this, at)
  }

  wake(now: number): void {
    if (now < this.dueAt) return this.queue.arm(this, this.dueAt)
    this.woken.push(now)
    this.dueAt = Infinity
  }
}

let clock: FakeClock
let queue: TimerQueue
beforeEach(() => {
  clock = new FakeClock()
  queue = new TimerQueue(clock)
})
afterEach(() => {
  queue.dispose()
  expect(clock.waiting).toBe(0)
})

it('wakes each when it is due, whatever was put off or brought forward', () => {
  const random = seeded(5)
  const items = Array.from({ length: 300 }, () => new Item(queue))
  const due = new Map<Item, number>()
  for (let round = 0; round < 3000; round++) {
    const item = items[random(items.length)]!
    if (random(10) === 0) {
      queue.disarm(item)
      item.dueAt = Infinity
      due.delete(item)
    } else {
      const at = clock.now() + 1 + random(5000) + random(1000) / 1000
      item.set(at)
      due.set(item, at)
    }
    clock.advance(random(4))
    for (const [one, at] of due) {
      if (at + 3 < clock.now()) {
        expect(one.woken.at(-1)).toBeGreaterThanOrEqual(at)
        expect(one.woken.at(-1)! - at).toBeLessThan(4)
        due.delete(one)
      } else if (one.woken.at(-1)! >= at) due.delete(one)
    }
  }
  clock.advance(10_000)
  expect(queue.size).toBe(0)
})

it('has one timer of the clock, and none for nothing', () => {
  const items = Array.from({ length: 50 }, () => new Item(queue))
  expect(clock.waiting).toBe(0)
  items.forEach((item, at) => item.set(1000 - at))
  expect(clock.waiting).toBe(1)
  for (const item of items) queue.disarm(item)
  expect(clock.waiting).toBe(0)
})

it('does not go round where the clock calls a little early', () => {
  const early = new TimerQueue({ now: () => clock.now(), date: () => clock.date(), after: (ms, run) => clock.after(ms - 0.6, run) })
  const item = new Item(early)
  item.set(100.5)
  clock.advance(100.45)
  expect(item.woken).toEqual([])
  clock.advance(3)
  expect(item.woken).toHaveLength(1)
  early.dispose()
})
