/** How long to wait for an acknowledgment (RFC 6298). ms. */

/** Above the round trip, at least; as Linux has it, in place of the second of RFC 6298, 2.4: a machine delays its acknowledgments no longer. */
const MARGIN = 200
const MAX = 120_000
const FIRST = 1000

export class RetransmissionTime {
  #smoothed = 0
  #variation = 0
  #base = FIRST
  #backoff = 0

  get ms(): number {
    return Math.min(this.#base * 2 ** this.#backoff, MAX)
  }

  /** A round trip of something that was sent once (Karn). */
  sample(ms: number): void {
    if (this.#smoothed === 0) {
      this.#smoothed = ms
      this.#variation = ms / 2
    } else {
      this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - ms)
      this.#smoothed = 0.875 * this.#smoothed + 0.125 * ms
    }
    this.#base = Math.min(this.#smoothed + Math.max(4 * this.#variation, MARGIN), MAX)
    this.#backoff = 0
  }

  /** It was in vain: twice as long, until something new is measured (Karn). */
  back(): void {
    if (this.ms < MAX) this.#backoff++
  }
}
