/**
 * The newest frames of one port, as many bytes as were asked for. Theory of operation: frames are copied one behind the other into chunks, each with its time in front; where there is no room,
 * the oldest chunk goes as a whole and is filled again, so that a busy port allocates nothing. All stores share a budget: a thousand ports may not take a thousand times what one may.
 * Frames are numbered without gaps, so that readers know what they missed.
 */
import { addFrame, CHUNK, frameAt, newChunk, roomFor, timeAt, type Chunk, type Direction, type KeptFrame } from './frame-chunk.ts'
import { HeldFrames } from './held-frames.ts'

/** Bytes that all stores of a thread may take together. */
export class CaptureBudget {
  #left: number

  constructor(bytes = 512 * 1024 * 1024) {
    this.#left = bytes
  }

  /** Whether there were so many. */
  take(bytes: number): boolean {
    if (bytes > this.#left) return false
    this.#left -= bytes
    return true
  }

  giveBack(bytes: number): void {
    this.#left += bytes
  }
}

export class FrameStore {
  #budget: CaptureBudget
  #limit: number
  #chunks: Chunk[] = []
  #next: number

  /** @param limit bytes; 0: nothing is kept @param first number of the first frame */
  constructor(limit: number, budget: CaptureBudget, first = 0) {
    this.#limit = limit
    this.#budget = budget
    this.#next = first
  }

  /** The number that the next frame gets. */
  get next(): number {
    return this.#next
  }

  /** The number of the oldest frame that is kept. */
  get oldest(): number {
    return this.#chunks[0]?.first ?? this.#next
  }

  /** The number from which on the newest frames take about so many bytes, or all that are kept. */
  newest(bytes: number): number {
    return this.#chunks.at(-Math.ceil(bytes / CHUNK))?.first ?? this.oldest
  }

  /** Of frames and what stands before them. */
  get bytes(): number {
    return this.#chunks.reduce((sum, { used }) => sum + used, 0)
  }

  get limit(): number {
    return this.#limit
  }

  /** @param limit bytes; what is more goes at once */
  setLimit(limit: number): void {
    this.#limit = limit
    while (this.#chunks.length > 0 && this.#chunks.length * CHUNK > Math.max(limit, limit > 0 ? CHUNK : 0)) this.#dropOldest()
  }

  /** @param at ms since 1970 */
  add(frame: Uint8Array, direction: Direction, at: number): void {
    if (this.#limit === 0) return
    const last = this.#chunks.at(-1)
    const number = this.#next++
    if (last && addFrame(last, frame, number, direction, at)) return
    const chunk = this.#anotherChunk(number)
    if (chunk) addFrame(chunk, frame, number, direction, at)
  }

  /** Frames from a number on that are kept, the oldest first. */
  *from(number: number): Generator<KeptFrame> {
    for (const [index, chunk] of this.#chunks.entries()) {
      const following = this.#chunks[index + 1]
      if (following && following.first <= number) continue
      for (let at = 0; at < chunk.used;) {
        const frame = frameAt(chunk, at)
        at += roomFor(frame.bytes.length)
        if (frame.number >= number) yield frame
      }
    }
  }

  get(number: number): KeptFrame | null {
    for (const frame of this.from(number)) return frame.number === number ? frame : null
    return null
  }

  /** What is kept now, for a reader who takes his time: to be disposed of. @param from a number  @param since ms since 1970; older frames may come all the same */
  hold(from: number, since = -Infinity): HeldFrames {
    const first = this.#chunks.findIndex((_, index) => {
      const following = this.#chunks[index + 1]
      return !following || (following.first > from && timeAt(following, 0) >= since)
    })
    const chunks = first < 0 ? [] : this.#chunks.slice(first)
    return new HeldFrames(chunks, from, this.#next, (chunk) => {
      if (chunk.holders === 0 && chunk.state === 'dropped') this.#budget.giveBack(CHUNK)
    })
  }

  /** Forgets all frames. */
  clear(): void {
    while (this.#chunks.length > 0) this.#dropOldest()
  }

  #anotherChunk(first: number): Chunk | null {
    const room = (this.#chunks.length + 1) * CHUNK <= Math.max(this.#limit, CHUNK)
    const chunk = room && this.#budget.take(CHUNK) ? newChunk(new Uint8Array(CHUNK), first) : this.#replaceOldest(first)
    if (chunk) this.#chunks.push(chunk)
    return chunk
  }

  /** What a reader holds is replaced by a fresh one while there is budget for that. */
  #replaceOldest(first: number): Chunk | null {
    const oldest = this.#chunks.shift()
    if (!oldest) return null
    if (oldest.holders > 0 && this.#budget.take(CHUNK)) {
      oldest.state = 'dropped'
      return newChunk(new Uint8Array(CHUNK), first)
    }
    oldest.state = 'reused'
    return newChunk(oldest.bytes, first)
  }

  #dropOldest(): void {
    const oldest = this.#chunks.shift()!
    oldest.state = 'dropped'
    if (oldest.holders === 0) this.#budget.giveBack(CHUNK)
  }
}
