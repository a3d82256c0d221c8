/** How often something may be done, and at once: a bucket of tokens. Without timers. */
import type { Clock } from './clock.ts'

export class RateLimit {
  readonly #clock: Clock
  readonly #rate: number
  readonly #burst: number
  #tokens: number
  #at: number

  /** @param rate of a second, @param burst at once */
  constructor(clock: Clock, { rate, burst }: { rate: number; burst: number }) {
    this.#clock = clock
    this.#rate = rate
    this.#burst = burst
    this.#tokens = burst
    this.#at = clock.now()
  }

  /** Whether it may be done now. */
  take(): boolean {
    const now = this.#clock.now()
    this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) * this.#rate) / 1000)
    this.#at = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}
