/** A clock that stands still until it is told to go on: what is due then happens in its order, at its time. */
import { toDisposable, type Disposable } from '../../src-shared/base/disposable.ts'
import type { Clock } from '../../src-main/network/clock.ts'

export class FakeClock implements Clock {
  #now = 0
  #due = new Set<{ at: number; run: () => void }>()

  /** ms since 1970 at which it began. */
  readonly began: number

  constructor(began = Date.UTC(2026, 0, 1)) {
    this.began = began
  }

  /** Timers that run. */
  get waiting(): number {
    return this.#due.size
  }

  now(): number {
    return this.#now
  }

  date(): number {
    return this.began + this.#now
  }

  after(ms: number, run: () => void): Disposable {
    const entry = { at: this.#now + Math.max(0, ms), run }
    this.#due.add(entry)
    return toDisposable(() => this.#due.delete(entry))
  }

  /** Goes on by so many ms. What is set up meanwhile, and due within them, happens too. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      let next: { at: number; run: () => void } | null = null
      for (const entry of this.#due) if (entry.at <= end && (!next || entry.at < next.at)) next = entry
      if (!next) break
      this.#due.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
    }
    this.#now = end
  }
}
