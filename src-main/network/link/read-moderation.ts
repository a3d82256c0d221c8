/**
 * Rests after bulk reads, as network cards hold their interrupts back (interrupt moderation): while frames come without a pause, each turn of the thread's event loop ends in a
 * short sleep in which the next gather. Whoever reads each frame as it comes has its writer wake it for each, which costs both of them more than the frame does, above all where
 * there are more threads than processors (measured: a third more out of a guest on two). A frame alone, as of a question and its answer, is never held back.
 */

/** ms. The system adds about as much again (timer slack). */
const REST = 0.05
/** Bytes of one read that are more than one frame of the usual MTU. */
const BULK = 2500

export class ReadModeration {
  #rest: () => void
  #coming = false

  /** @param rest sleeps; the thread's own by default */
  constructor(rest: () => void = sleepOf(REST)) {
    this.#rest = rest
  }

  /** So many bytes were read at once. */
  read(bytes: number): void {
    if (bytes < BULK || this.#coming) return
    this.#coming = true
    // After what the frames themselves caused to be written in this turn.
    setImmediate(() => {
      this.#coming = false
      this.#rest()
    })
  }
}

function sleepOf(ms: number): () => void {
  const cell = new Int32Array(new SharedArrayBuffer(4))
  return () => void Atomics.wait(cell, 0, 0, ms)
}
