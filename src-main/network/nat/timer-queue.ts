/**
 * The timers of all flows by one timer of the clock. A flow has one place in a heap, at the earliest time at which anything of it may be due. Putting something off costs
 * nothing: the flow keeps its place, is woken at the old time, sees that nothing is due and asks for the new one. So a timer that each segment puts off is looked at once
 * for each of its periods and not once for each segment.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { Clock } from '../clock.ts'

export interface Timed {
  /** The queue's own: the place in the heap, -1 where it is in none, and the time it stands there for. */
  place: number
  wakeAt: number
  /** Nothing is set any more: what is still to come is to be armed anew. */
  wake(now: number): void
}

/** ms between two calls, at least: what is due between them is done by one. */
const GRAIN = 2

export class TimerQueue implements Disposable {
  readonly clock: Clock
  #heap: Timed[] = []
  #timer: Disposable | null = null
  #timerAt = Infinity
  #waking = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  get size(): number {
    return this.#heap.length
  }

  /** Wakes it at `at` (ms of the clock) or earlier; later only where it stood for an earlier time already. Infinity: not because of this. */
  arm(item: Timed, at: number): void {
    if (at === Infinity) return
    if (item.place >= 0) {
      if (at >= item.wakeAt) return
      item.wakeAt = at
    } else {
      item.wakeAt = at
      item.place = this.#heap.length
      this.#heap.push(item)
    }
    this.#up(item)
    if (!this.#waking && at < this.#timerAt) this.#set()
  }

  disarm(item: Timed): void {
    const place = item.place
    if (place < 0) return
    item.place = -1
    const last = this.#heap.pop()!
    if (last === item) {
      if (this.#heap.length === 0) this.#set()
      return
    }
    this.#heap[place] = last
    last.place = place
    this.#up(last)
    this.#down(last)
  }

  dispose(): void {
    this.#timer?.dispose()
    this.#timer = null
    for (const item of this.#heap.splice(0)) item.place = -1
  }

  #set(): void {
    this.#timer?.dispose()
    this.#timer = null
    this.#timerAt = Infinity
    const first = this.#heap[0]
    if (!first) return
    this.#timerAt = first.wakeAt
    this.#timer = this.clock.after(Math.max(GRAIN, Math.ceil(first.wakeAt - this.clock.now())), () => this.#wake())
  }

  #wake(): void {
    const now = this.clock.now()
    this.#waking = true
    try {
      for (let first = this.#heap[0]; first && first.wakeAt <= now; first = this.#heap[0]) {
        this.disarm(first)
        first.wake(now)
      }
    } finally {
      this.#waking = false
      this.#set()
    }
  }

  #up(item: Timed): void {
    const heap = this.#heap
    let place = item.place
    while (place > 0) {
      const above = (place - 1) >> 1
      const parent = heap[above]!
      if (parent.wakeAt <= item.wakeAt) break
      heap[place] = parent
      parent.place = place
      place = above
    }
    heap[place] = item
    item.place = place
  }

  #down(item: Timed): void {
    const heap = this.#heap
    let place = item.place
    for (;;) {
      let below = place * 2 + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && heap[below + 1]!.wakeAt < heap[below]!.wakeAt) below++
      const child = heap[below]!
      if (child.wakeAt >= item.wakeAt) break
      heap[place] = child
      child.place = place
      place = below
    }
    heap[place] = item
    item.place = place
  }
}
