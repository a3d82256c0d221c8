/** The computer's clock, which may be put forward or back, and which goes on while the computer sleeps. */
import { toDisposable, type Disposable } from '../../../../src-shared/base/disposable.ts'

export interface Clock {
  /** ms since 1970. */
  now(): number
  /** @param ms any: a very long time ends early. Dispose the result not to be called. */
  after(ms: number, call: () => void): Disposable
}

/** ms that a timer of Node's can wait. */
const MAX_WAIT = 2 ** 31 - 1

export const COMPUTER_CLOCK: Clock = {
  now: () => Date.now(),
  after(ms, call) {
    const timer = setTimeout(call, Math.min(Math.max(0, ms), MAX_WAIT))
    return toDisposable(() => clearTimeout(timer))
  },
}
