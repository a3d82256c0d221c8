/** One at a time, in the order of asking. */
export class Turns {
  #last: Promise<void> = Promise.resolve()
  #waiting = 0

  get busy(): boolean {
    return this.#waiting > 0
  }

  /** Resolves when it is the caller's turn; call the result when done. */
  async take(): Promise<() => void> {
    const before = this.#last
    let done = (): void => {}
    this.#last = new Promise((resolve) => {
      done = () => {
        this.#waiting--
        resolve()
      }
    })
    this.#waiting++
    await before
    return done
  }
}
