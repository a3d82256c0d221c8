/** Times for captures: of this computer's clock, with fractions of a ms, and growing between its corrections. */
const DRIFT = 5

export class Stamps {
  #offset = Date.now() - performance.now()

  /** ms since 1970. */
  now(): number {
    const at = this.#offset + performance.now()
    const date = Date.now()
    // The clock was set, or the computer slept.
    if (Math.abs(at - date) <= DRIFT) return at
    this.#offset = date - performance.now()
    return date
  }
}
