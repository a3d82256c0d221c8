/** Time, as everything in a network has it: tests give another, in which a day passes in a moment. */
import { toDisposable, type Disposable } from '../../src-shared/base/disposable.ts'

export interface Clock {
  /** ms; only grows. */
  now(): number
  /** ms since 1970. */
  date(): number
  /** Once, after `ms`. Keeps no process alive. */
  after(ms: number, run: () => void): Disposable
}

export const REAL_CLOCK: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(() => {
      waiting.dispose()
      run()
    }, ms)
    timer.unref()
    const waiting = toDisposable(() => clearTimeout(timer))
    return waiting
  },
}
