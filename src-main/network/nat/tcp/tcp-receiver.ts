/**
 * Theory of operation: bytes on their way from a machine to the host.
 *
 *       freed         written          nxt                     edge
 *   ──────┬──────────────┬──────────────┬───── ▒▒▒▒ ── ▒▒ ───────┬─────
 *   gone  │ in the       │ for the host │    out of order        │ not allowed
 *         │ host's socket│              │
 *
 * Each byte is copied once, from the frame into the ring, at the place of its sequence number; the host's socket reads from there, and `freed` follows as it is done. The
 * window is what is left of the ring's limit, so a slow host holds the machine back (RFC 9293, 3.8.6). Its right edge never moves to the left. Memory is taken as bytes come,
 * not as they are allowed.
 */
import { FIRST_BUFFER, MAX_BUFFER, type Budget } from '../limits.ts'
import { distance, maxSequence } from './sequence.ts'
import { SequenceRanges } from './sequence-ranges.ts'
import { SequenceRing, type RingPart } from './sequence-ring.ts'

/** Stretches that may wait for what is missing before them. */
const MAX_RANGES = 64
/** Of the window: so that 1 MiB can be told (RFC 7323, 2.2). */
export const WINDOW_SCALE = 5

export type Accepted =
  /** New bytes, or a FIN, which follow what was there. */
  | 'next'
  /** Kept, or known already: to be acknowledged at once (RFC 5681, 4.2). */
  | 'apart'

export class TcpReceiver {
  readonly #ring = new SequenceRing()
  readonly #budget: Budget
  readonly #ranges = new SequenceRanges(MAX_RANGES)
  #capacity = FIRST_BUFFER
  #scale = 0
  #nxt = 0
  #written = 0
  #freed = 0
  #edge = 0
  #received = 0
  /** Where the machine's FIN stands; null: not seen. */
  #fin: number | null = null
  #finished = false
  /** Of the newest segment that came out of order: told first (RFC 2018, 4). */
  #newest = 0

  constructor(budget: Budget) {
    this.#budget = budget
    budget.take(FIRST_BUFFER)
  }

  /** @param next the first byte's sequence number. @param scaled the machine scales windows */
  start(next: number, scaled: boolean): void {
    this.#nxt = this.#written = this.#freed = this.#edge = next | 0
    this.#scale = scaled ? WINDOW_SCALE : 0
  }

  get next(): number {
    return this.#nxt
  }

  /** All came, and the FIN behind it. */
  get finished(): boolean {
    return this.#finished
  }

  get apart(): boolean {
    return !this.#ranges.empty
  }

  /** Bytes for the host. */
  get pending(): number {
    return distance(this.#nxt, this.#written) - (this.#finished ? 1 : 0)
  }

  /** Bytes that may come yet. A FIN may have come beyond the edge of a window that was shut. */
  get window(): number {
    return Math.max(0, distance(this.#limit, this.#nxt))
  }

  /** As it goes into a header. Remembers what was promised. @param scaled not in a SYN */
  advertise(scaled = true): number {
    const scale = scaled ? this.#scale : 0
    const window = Math.min(this.window >> scale, 0xffff)
    this.#edge = maxSequence(this.#edge, (this.#nxt + (window << scale)) | 0)
    return window
  }

  /** So much more may come than was told that it is worth a segment of its own (RFC 9293, 3.8.6.2.2). */
  get opened(): boolean {
    return !this.#finished && distance(this.#limit, this.#edge) >= this.#capacity / 4
  }

  /** Takes what is new of a segment and fits. Null: nothing of it is. */
  accept(sequence: number, payload: Uint8Array, fin: boolean): Accepted | null {
    if (this.#finished) return 'apart'
    let from = sequence
    let bytes = payload
    const before = distance(this.#nxt, from)
    if (before > 0) {
      if (before > payload.length || (before === payload.length && !fin)) return 'apart'
      bytes = payload.subarray(before)
      from = this.#nxt
    }
    const room = distance(this.#limit, from)
    if (bytes.length > room) {
      if (room <= 0) return null
      bytes = bytes.subarray(0, room)
    } else if (fin) this.#ends((from + bytes.length) | 0)
    // Nothing comes behind a FIN.
    if (this.#fin !== null && distance((from + bytes.length) | 0, this.#fin) > 0) return null
    const inOrder = from === this.#nxt
    if (bytes.length > 0) {
      const to = (from + bytes.length) | 0
      if (!inOrder && !this.#ranges.add(from, to)) return null
      this.#store(from, bytes)
      if (inOrder) this.#advance(to)
      else this.#newest = from
    }
    if (this.#nxt === this.#fin) {
      this.#finished = true
      this.#nxt = (this.#nxt + 1) | 0
    }
    return inOrder ? 'next' : 'apart'
  }

  /** What is for the host (pending > 0). It stays as it is until it is freed. */
  take(): RingPart {
    const length = this.pending
    const part = this.#ring.part(this.#written, length)
    this.#written = (this.#written + length) | 0
    return part
  }

  /** @param backlog bytes that were taken and are still with the host's socket */
  free(backlog: number): void {
    this.#freed = maxSequence(this.#freed, (this.#written - backlog) | 0)
  }

  /** Ranges for the option, the newest first; at most `most`. */
  sackBlocks(most: number): [number, number][] {
    const newest = this.#ranges.at(this.#newest)
    const ordered = newest ? [newest, ...this.#ranges.list.filter((range) => range !== newest)] : [...this.#ranges.list]
    return ordered.slice(0, most).map(({ left, right }) => [left, right])
  }

  /** Lets go of memory where nothing is held. */
  relax(): void {
    if (this.pending === 0 && this.#freed === this.#written && this.#ranges.empty) this.#ring.clear()
  }

  dispose(): void {
    this.#ring.clear()
    this.#ranges.clear()
    this.#budget.give(this.#capacity)
    this.#capacity = 0
  }

  get #limit(): number {
    return maxSequence(this.#edge, (this.#freed + this.#capacity) | 0)
  }

  /** Its FIN stands here: where it says no other place, and did not send what is behind it. */
  #ends(at: number): void {
    const last = this.#ranges.list.at(-1)
    if (!last || distance(last.right, at) <= 0) this.#fin ??= at
  }

  #store(from: number, bytes: Uint8Array): void {
    const last = this.#ranges.list.at(-1)
    const held = distance(last ? maxSequence(last.right, this.#nxt) : this.#nxt, this.#freed)
    const needed = Math.max(held, distance(from, this.#freed) + bytes.length)
    this.#ring.reserve(this.#freed, held, needed)
    this.#ring.write(from, bytes)
  }

  #advance(to: number): void {
    this.#received += distance(to, this.#nxt)
    this.#nxt = to
    if (!this.#ranges.empty) {
      const joined = this.#ranges.at(to) ?? null
      if (joined) {
        this.#received += distance(joined.right, to)
        this.#nxt = joined.right
      }
      this.#ranges.dropBefore(this.#nxt)
    }
    if (this.#scale === 0 || this.#received <= 2 * this.#capacity || this.#capacity >= MAX_BUFFER) return
    if (this.#budget.take(this.#capacity)) this.#capacity *= 2
  }
}
