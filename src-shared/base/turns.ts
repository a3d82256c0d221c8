/** One at a time, in the order of asking. Who fails holds up nobody. */
export class Turns {
  #last: Promise<void> = Promise.resolve()
  #unfinished = 0

  /** Whether somebody has the turn, or waits for it. */
  get busy(): boolean {
    return this.#unfinished > 0
  }

  /** Whether somebody waits, behind the one who has the turn. */
  get wanted(): boolean {
    return this.#unfinished > 1
  }

  /** Runs `work` when everything that was asked for before has ended. Answers, or throws, what it does. */
  async run<T>(work: () => T | Promise<T>): Promise<T> {
    const { before, done } = this.#queue()
    await before
    try {
      return await work()
    } finally {
      done()
    }
  }

  /** Resolves when it is the caller's turn; call the result when done. */
  async take(): Promise<() => void> {
    const { before, done } = this.#queue()
    await before
    return done
  }

  /** Resolves when nobody has the turn or waits for it. */
  async idle(): Promise<void> {
    while (this.busy) await this.#last
  }

  #queue(): { before: Promise<void>; done: () => void } {
    const before = this.#last
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#last = promise
    this.#unfinished++
    const done = (): void => {
      this.#unfinished--
      resolve()
    }
    return { before, done }
  }
}
