/** What is done while a machine is silent on a connection: after seconds its memory is let go; after hours it is asked, a few times, whether it is still there (RFC 9293, 3.8.4). */
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

  /** What is to be done now that it is due. With 'ask', memory may be let go, too. */
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
