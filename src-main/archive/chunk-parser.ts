/**
 * Runs a parser that is written as if all its input were there, over input that comes in chunks of any size. The parser is a generator: it
 * yields how many bytes it wants next and is resumed with exactly so many, or with null when the input ended before the first of them.
 */
import { AppError } from '../../src-shared/errors/app-error.ts'

/** The most bytes a parser may ask for at once: what a chunk parser holds back in memory. */
export const MAX_WANTED = 1024 * 1024

export type Parser<Result = void> = Generator<number, Result, Uint8Array | null>

/** Inside a parser: exactly `length` bytes, or AppError `corrupt`. The view is valid until the next yield. */
export function* take(length: number, what: string): Parser<Uint8Array> {
  if (length === 0) return EMPTY
  const bytes = yield length
  if (bytes === null) throw new AppError('corrupt', `The data ends too early, inside ${what}.`)
  return bytes
}

const EMPTY = new Uint8Array(0)

export class ChunkParser {
  #parser: Parser
  #wanted = 0
  #done = false
  /** Bytes of the wanted piece that came in earlier chunks; at most MAX_WANTED. */
  #held = new Uint8Array(4096)
  #heldLength = 0

  constructor(parser: Parser) {
    this.#parser = parser
    this.#resume(parser.next())
  }

  /** True when the parser wants no more: what follows is not part of what it reads. */
  get done(): boolean {
    return this.#done
  }

  /** Feeds a chunk. Throws what the parser throws; a parser that threw is done. */
  push(chunk: Uint8Array): void {
    let at = 0
    while (!this.#done && at < chunk.length) {
      if (this.#heldLength === 0 && chunk.length - at >= this.#wanted) {
        const piece = chunk.subarray(at, at + this.#wanted)
        at += this.#wanted
        this.#step(piece)
        continue
      }
      const taken = Math.min(this.#wanted - this.#heldLength, chunk.length - at)
      this.#hold(chunk.subarray(at, at + taken))
      at += taken
      if (this.#heldLength === this.#wanted) {
        this.#heldLength = 0
        this.#step(this.#held.subarray(0, this.#wanted))
      }
    }
  }

  /** Says that no more comes. Throws `corrupt` where the parser was in the middle of something. */
  end(): void {
    if (this.#done) return
    if (this.#heldLength > 0) {
      this.#done = true
      throw new AppError('corrupt', 'The data ends too early.')
    }
    this.#step(null)
    if (!this.#done) {
      this.#done = true
      throw new AppError('corrupt', 'The data ends too early.')
    }
  }

  #hold(bytes: Uint8Array): void {
    const length = this.#heldLength + bytes.length
    if (length > this.#held.length) {
      const larger = new Uint8Array(Math.max(length, this.#wanted))
      larger.set(this.#held.subarray(0, this.#heldLength))
      this.#held = larger
    }
    this.#held.set(bytes, this.#heldLength)
    this.#heldLength = length
  }

  #step(input: Uint8Array | null): void {
    try {
      this.#resume(this.#parser.next(input))
    } catch (error) {
      this.#done = true
      throw error
    }
  }

  #resume(result: IteratorResult<number, void>): void {
    if (result.done) {
      this.#done = true
      return
    }
    if (!(result.value > 0 && result.value <= MAX_WANTED)) throw new RangeError(`A parser asked for ${result.value} bytes.`)
    this.#wanted = result.value
  }
}
