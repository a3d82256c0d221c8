/**
 * What can honestly be said of a guest from outside of QEMU: whether it uses its processors. Whether what it computes makes sense does not
 * show, so that only a panic that the guest reports itself is called one. Pure.
 */
import type { Verdict } from '../watchdog.ts'

/** How long is looked at before a verdict, ms. */
export const WINDOW_MS = 5000
/** Less than this share of one processor: idle. An idle Linux under TCG takes about 0.05, timers and screen included. */
const IDLE_SHARE = 0.3

export interface Activity {
  /** A monotonic clock, ms. */
  at: number
  cpuMicros: number
}

export class ActivityJudge {
  #since: Activity | null = null
  #last: Verdict['health'] | null = null

  /** The machine runs from now on. */
  begin(): void {
    this.#since = null
    this.#last = null
  }

  /** A new verdict where it differs from the last one; null otherwise and while the window is not over. */
  see(now: Activity): Verdict | null {
    const since = (this.#since ??= now)
    const elapsed = now.at - since.at
    if (elapsed < WINDOW_MS) return null
    this.#since = now
    const share = (now.cpuMicros - since.cpuMicros) / 1000 / elapsed
    const verdict: Verdict =
      share < IDLE_SHARE
        ? { health: 'idle', detail: 'The guest waits for something to do.' }
        : { health: 'working', detail: 'The guest uses its processor. What it does with it QEMU does not tell.' }
    if (verdict.health === this.#last) return null
    this.#last = verdict.health
    return verdict
  }
}
