/**
 * Which requests are worth more doing at once, on this thread, than handing to the system's threads and back.
 *
 * Theory of operation. A small read of what the system has in memory takes a few microseconds; handing it to another thread takes several times that. But a
 * read that has to wait for the disk would hold up everything else that this thread serves, and so would many small ones in a row: promises that are fulfilled
 * at once let no event in between. So a turn of the event loop has a budget of time; and where one request took long (it waited for the disk), the file's next
 * ones are handed over, at first a few, then more each time that it happens again, until one that is tried is quick. Files of other computers, which may
 * not answer for minutes, are never waited for (near.ts).
 */

/** Bytes of a request at most. */
export const MOST_AT_ONCE = 64 * 1024
/** ms for all requests in one turn of the event loop. */
const TURN = 1
/** ms: whatever takes longer was not in memory. */
const SLOW = 0.5
/** Requests that are handed over after a slow one. */
const HAND_OVER = { first: 32, most: 4096 }

/** What one turn of the event loop has spent. */
export class Turn {
  #spent = 0
  #counting = false

  get open(): boolean {
    return this.#spent < TURN
  }

  spend(ms: number): void {
    this.#spent += ms
    if (this.#counting) return
    this.#counting = true
    setImmediate(() => {
      this.#spent = 0
      this.#counting = false
    })
  }
}

/** Of this thread. */
const thisThread = new Turn()

/** What is known of one file. */
export class AtOnce {
  readonly #turn: Turn
  readonly #now: () => number
  #begun = false
  #handOver = 0
  #next = HAND_OVER.first

  constructor(turn = thisThread, now: () => number = () => performance.now()) {
    this.#turn = turn
    this.#now = now
  }

  /** The file is one of this computer. Until then nothing is allowed. */
  begin(): void {
    this.#begun = true
  }

  /** Whether the next request of so many bytes is to be done at once; to be asked once for each. */
  allows(length: number): boolean {
    if (!this.#begun || length > MOST_AT_ONCE || !this.#turn.open) return false
    if (this.#handOver === 0) return true
    this.#handOver--
    return false
  }

  /** Does what was allowed. */
  run<T>(work: () => T): T {
    const from = this.#now()
    try {
      return work()
    } finally {
      const took = this.#now() - from
      this.#turn.spend(took)
      if (took > SLOW) {
        this.#handOver = this.#next
        this.#next = Math.min(HAND_OVER.most, this.#next * 2)
      } else this.#next = HAND_OVER.first
    }
  }
}
