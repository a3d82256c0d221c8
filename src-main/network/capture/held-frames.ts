/**
 * What a store had at one moment, for a reader who takes his time while frames keep coming. Theory of operation: nothing is copied. The reader holds the chunks; a store that needs
 * room takes a fresh one instead of the held oldest, as long as the budget of all stores has some, and the reader gives each back as soon as he is through with it. Where the
 * budget is used up the newest frames win: the chunk is taken from under the reader, who counts what he missed.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { frameAt, roomFor, timeAt, type Chunk, type KeptFrame } from './frame-chunk.ts'

interface Part {
  chunk: Chunk
  /** Bytes of then. */
  used: number
}

export class HeldFrames implements Disposable {
  #parts: Part[]
  #giveBack: (chunk: Chunk) => void
  /** In the first part: where the next frame is, and its number. */
  #offset = 0
  #number: number
  #end: number
  #missed = 0

  /**
   * @param chunks the oldest first
   * @param from the first frame to read, or an older one
   * @param end the number after the newest
   * @param giveBack of a chunk that nobody holds any more
   */
  constructor(chunks: readonly Chunk[], from: number, end: number, giveBack: (chunk: Chunk) => void) {
    this.#parts = chunks.map((chunk) => ({ chunk, used: chunk.used }))
    for (const chunk of chunks) chunk.holders++
    this.#number = chunks[0]?.first ?? end
    this.#end = end
    this.#giveBack = giveBack
    while (this.#number < from && this.at !== null) this.#skip()
  }

  /** Frames that were forgotten before they were read. */
  get missed(): number {
    return this.#missed
  }

  /** When the next frame passed, ms since 1970; null: that was all. It may change whenever frames were added. */
  get at(): number | null {
    const part = this.#part()
    return part && timeAt(part.chunk, this.#offset)
  }

  /** The next frame. Its bytes are of use until a frame is added. */
  take(): KeptFrame | null {
    const part = this.#part()
    if (!part) return null
    const frame = frameAt(part.chunk, this.#offset)
    this.#skip()
    return frame
  }

  dispose(): void {
    while (this.#parts.length > 0) this.#leave()
  }

  /** The part with the next frame. */
  #part(): Part | null {
    for (let part = this.#parts[0]; part; part = this.#parts[0]) {
      if (part.chunk.state === 'reused') {
        const following = this.#parts[1]?.chunk.first ?? this.#end
        this.#missed += following - this.#number
        this.#number = following
      } else if (this.#offset < part.used) return part
      this.#leave()
    }
    return null
  }

  #skip(): void {
    this.#offset += roomFor(frameAt(this.#parts[0]!.chunk, this.#offset).bytes.length)
    this.#number++
  }

  #leave(): void {
    const { chunk } = this.#parts.shift()!
    this.#offset = 0
    chunk.holders--
    this.#giveBack(chunk)
  }
}

/** The frames of several in the order of their times, those of each in its own. @returns their places in `held` with them */
export function* mergeFrames(held: readonly HeldFrames[]): Generator<{ from: number; frame: KeptFrame }> {
  // A heap (by time, then by place) of those that have more; a list in order is one.
  const heap = held
    .flatMap((frames, from) => (frames.at === null ? [] : [{ frames, from, at: frames.at }]))
    .sort((a, b) => a.at - b.at || a.from - b.from)
  for (let first = heap[0]; first; first = heap[0]) {
    const { at } = first.frames
    if (at === first.at) {
      const frame = first.frames.take()
      if (frame) yield { from: first.from, frame }
    }
    // Frames may have been forgotten since it was looked at.
    const following = first.frames.at
    if (following !== null) first.at = following
    else {
      const last = heap.pop()!
      if (last !== first) heap[0] = last
    }
    sink(heap)
  }
}

/** Puts the first where it belongs. */
function sink(heap: { at: number; from: number }[]): void {
  const before = (a: number, b: number): boolean =>
    heap[a]!.at < heap[b]!.at || (heap[a]!.at === heap[b]!.at && heap[a]!.from < heap[b]!.from)
  for (let place = 0; ;) {
    let below = place * 2 + 1
    if (below >= heap.length) return
    if (below + 1 < heap.length && before(below + 1, below)) below++
    if (!before(below, place)) return
    const moved = heap[place]!
    heap[place] = heap[below]!
    heap[below] = moved
    place = below
  }
}
