/**
 * The newest frames of one port, as many bytes as were asked for. Theory of operation: frames are copied one behind the other into chunks, each with its time in front; where there is no room,
 * the oldest chunk goes as a whole and is filled again, so that a busy port allocates nothing. All stores share a budget: a thousand ports may not take a thousand times what one may.
 * Frames are numbered from the port's birth on, so that readers know what they missed.
 */

/** Bytes. */
const CHUNK = 128 * 1024
/** In front of each frame: time (f64), number (f64), length and direction (u32), padded. */
const HEADER = 24
const INCOMING = 0x8000_0000

export type Direction = 'in' | 'out'

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

export interface KeptFrame {
  /** From the port's birth on. */
  number: number
  /** ms since 1970, with fractions. */
  at: number
  direction: Direction
  /** A view: of use until the next frame is added. */
  bytes: Uint8Array
}

interface Chunk {
  bytes: Uint8Array
  view: DataView
  used: number
  /** The number of its first frame. */
  first: number
}

export class FrameStore {
  #budget: CaptureBudget
  #limit: number
  #chunks: Chunk[] = []
  #next = 0

  /** @param limit bytes; 0: nothing is kept */
  constructor(limit: number, budget: CaptureBudget) {
    this.#limit = limit
    this.#budget = budget
  }

  /** The number that the next frame gets. */
  get next(): number {
    return this.#next
  }

  /** The number of the oldest frame that is kept. */
  get oldest(): number {
    return this.#chunks[0]?.first ?? this.#next
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
    const needed = HEADER + ((frame.length + 7) & ~7)
    const last = this.#chunks.at(-1)
    const chunk = last && last.used + needed <= CHUNK ? last : this.#anotherChunk()
    if (!chunk) {
      this.#next++
      return
    }
    chunk.view.setFloat64(chunk.used, at)
    chunk.view.setFloat64(chunk.used + 8, this.#next++)
    chunk.view.setUint32(chunk.used + 16, (direction === 'in' ? INCOMING : 0) + frame.length)
    chunk.bytes.set(frame, chunk.used + HEADER)
    chunk.used += needed
  }

  /** Frames from a number on that are kept, the oldest first. */
  *from(number: number): Generator<KeptFrame> {
    for (const [index, chunk] of this.#chunks.entries()) {
      const following = this.#chunks[index + 1]
      if (following && following.first <= number) continue
      for (let at = 0; at < chunk.used;) {
        const frame = frameAt(chunk, at)
        at += HEADER + ((frame.bytes.length + 7) & ~7)
        if (frame.number >= number) yield frame
      }
    }
  }

  get(number: number): KeptFrame | null {
    for (const frame of this.from(number)) return frame.number === number ? frame : null
    return null
  }

  /** Forgets all frames. */
  clear(): void {
    while (this.#chunks.length > 0) this.#dropOldest()
  }

  #anotherChunk(): Chunk | null {
    const room = (this.#chunks.length + 1) * CHUNK <= Math.max(this.#limit, CHUNK)
    let bytes: Uint8Array
    if (room && this.#budget.take(CHUNK)) bytes = new Uint8Array(CHUNK)
    else if (this.#chunks.length > 0) bytes = this.#chunks.shift()!.bytes
    else return null
    const chunk = { bytes, view: new DataView(bytes.buffer), used: 0, first: this.#next }
    this.#chunks.push(chunk)
    return chunk
  }

  #dropOldest(): void {
    this.#chunks.shift()
    this.#budget.giveBack(CHUNK)
  }
}

function frameAt({ bytes, view }: Chunk, at: number): KeptFrame {
  const word = view.getUint32(at + 16)
  const start = at + HEADER
  return {
    number: view.getFloat64(at + 8),
    at: view.getFloat64(at),
    direction: word >= INCOMING ? 'in' : 'out',
    bytes: bytes.subarray(start, start + (word % INCOMING)),
  }
}
