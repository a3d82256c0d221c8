/**
 * How often a password may be tried. After FREE wrong ones nobody may try for a while, which doubles with every further wrong one up to
 * LONGEST; the right one resets it. All who try count together: on the loopback every viewer has the same address. Pure but for the clock.
 */
const FREE = 5
/** ms */
const FIRST = 10_000
const LONGEST = 300_000

export class FailureLimit {
  #now: () => number
  #failures = 0
  #until = 0

  /** @param now monotonic, ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** ms until somebody may try again; 0: now. */
  get wait(): number {
    return Math.max(0, this.#until - this.#now())
  }

  failed(): void {
    this.#failures++
    if (this.#failures >= FREE) this.#until = this.#now() + Math.min(LONGEST, FIRST * 2 ** (this.#failures - FREE))
  }

  succeeded(): void {
    this.#failures = 0
    this.#until = 0
  }
}
