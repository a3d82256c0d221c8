/** How long a machine was silent on a connection: memory is let go first; after hours it is asked whether it is still there (RFC 9293, 3.8.4), some times. */
const RELAX_MS = 10_000
const KEEP_ALIVE_MS = 2 * 3_600_000
const KEEP_ALIVE_EVERY_MS = 75_000
const KEEP_ALIVE_TRIES = 9

export class Silence {
  /** When to `look`; Infinity: not. */
  dueAt = Infinity
  #heardAt = 0
  #probes = 0

  /** A segment came that belongs to the connection. */
  heard(now: number): void {
    this.#heardAt = now
    this.#probes = 0
  }

  /** Something happened: it begins, or goes on. */
  watch(now: number): void {
    this.dueAt = Math.min(this.dueAt, now + RELAX_MS)
  }

  /** What is to be done now that it is due. 'ask': the connection may let go of memory, too. */
  look(now: number): 'nothing' | 'relax' | 'ask' | 'give up' {
    const silent = now - this.#heardAt
    if (silent < RELAX_MS) {
      this.dueAt = this.#heardAt + RELAX_MS
      return 'nothing'
    }
    this.dueAt = this.#heardAt + KEEP_ALIVE_MS
    if (silent < KEEP_ALIVE_MS) return 'relax'
    if (this.#probes++ >= KEEP_ALIVE_TRIES) return 'give up'
    this.dueAt = now + KEEP_ALIVE_EVERY_MS
    return 'ask'
  }
}
