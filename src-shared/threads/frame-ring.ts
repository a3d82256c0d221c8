/**
 * The wire between a machine's network card in one thread and its network in another: frames in shared memory, both ways.
 *
 * Theory of operation. For each way a ring of bytes with one writer and one reader. A frame lies in it as its length in eight bytes, its bytes, and nothing until the next
 * multiple of eight (what lies alike modulo eight is copied by words). Two counts of bytes, which wrap at 2^32, say how far the writer and the reader have come; both stand in the shared memory, as all state does, so that a
 * thread that takes the place of one that died goes on where that stopped (a frame that was being handled then is not handled twice). There is no waiting for room: a frame that does
 * not fit is dropped, as a card does. A reader that found nothing says that it sleeps, and waits for the writer's count to change (Atomics.waitAsync: nobody polls, an
 * idle wire costs nothing); a writer wakes it once.
 *
 * Neither end trusts the other. The reader copies a frame before it looks at it, and checks the counts and every length; where one is wrong it throws away all that is there and
 * goes on, for the other end harms only itself.
 */
import type { Disposable } from '../base/disposable.ts'
import { MiB } from '../base/units.ts'
import { AppError } from '../errors/app-error.ts'

/** Bytes each way; a power of two. */
const RING = MiB
/** Bytes: a page of its own. */
const HEADER = 4096
export const FRAME_RING_BYTES = HEADER + 2 * RING
/** Bytes: an IP packet of the largest MTU and its Ethernet header. */
export const MAX_RING_FRAME = 65_520 + 14
const LENGTH_BYTES = 8
/** Bytes a reader hands on before it lets others of its thread work. */
const TURN = RING / 4

/** Int32 words of one way, in cache lines of their own. */
const WRITTEN = 0
const READ = 16
const SLEEPS = 32
const WAY_WORDS = 64

export type FrameRingSide = 'machine' | 'network'

export function makeFrameRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(FRAME_RING_BYTES)
}

/** One end. Several ends of one side at a time are a mistake. */
export class FrameRing implements Disposable {
  #words: Int32Array
  #out: Way
  #in: Way
  /** The frame that is handed on; grows to the largest that came. */
  #frame = new Uint8Array(2048)
  /** The frame that is sent, where its own place in memory is a bad one to copy from. */
  #straight = new Uint8Array(2048)
  #watching = false
  #stalled: (() => void) | null = null
  #disposed = false
  /** Frames that this end could not send for want of room. */
  dropped = 0
  /** How often what came made no sense. */
  damaged = 0

  /** @throws AppError `invalid-input` for memory of another size */
  constructor(buffer: SharedArrayBuffer, side: FrameRingSide) {
    if (buffer.byteLength !== FRAME_RING_BYTES)
      throw new AppError('invalid-input', `A ring of frames has ${FRAME_RING_BYTES} bytes, not ${buffer.byteLength}.`)
    this.#words = new Int32Array(buffer, 0, HEADER / 4)
    const ways = [0, 1].map((at) => ({
      base: at * WAY_WORDS,
      lengths: new Int32Array(buffer, HEADER + at * RING, RING / 4),
      bytes: new Uint8Array(buffer, HEADER + at * RING, RING),
    }))
    this.#out = ways[side === 'machine' ? 0 : 1]!
    this.#in = ways[side === 'machine' ? 1 : 0]!
  }

  /** False: there is no room, or the frame is empty or too long; it is dropped. */
  send(frame: Uint8Array): boolean {
    const words = this.#words
    const { base, lengths, bytes } = this.#out
    const length = frame.length
    // A place where a frame can begin, whatever an earlier end left there.
    const written = (Atomics.load(words, base + WRITTEN) + 7) & ~7
    const used = (written - Atomics.load(words, base + READ)) | 0
    const next = taken(length)
    if (used < 0 || used + next > RING || length === 0 || length > MAX_RING_FRAME || this.#disposed) {
      this.dropped++
      return false
    }
    const at = written & (RING - 1)
    lengths[at >> 2] = length
    const start = (at + LENGTH_BYTES) & (RING - 1)
    const first = RING - start
    const source = (frame.byteOffset & 7) === 0 ? frame : this.#straighten(frame)
    if (length <= first) bytes.set(source, start)
    else {
      bytes.set(source.subarray(0, first), start)
      bytes.set(source.subarray(first), 0)
    }
    Atomics.store(words, base + WRITTEN, (written + next) | 0)
    if (Atomics.load(words, base + SLEEPS) === 1 && Atomics.exchange(words, base + SLEEPS, 0) === 1) Atomics.notify(words, base + WRITTEN)
    return true
  }

  /** Hands on what is there, a turn's worth at most; each frame is lent for the call. @returns whether there may be more */
  receive(sink: (frame: Uint8Array) => void, open: () => boolean = () => true): boolean {
    const words = this.#words
    const { base, lengths } = this.#in
    for (let handled = 0; handled < TURN && !this.#disposed && open();) {
      const written = Atomics.load(words, base + WRITTEN)
      const read = Atomics.load(words, base + READ)
      const there = (written - read) | 0
      if (there === 0) return false
      const at = read & (RING - 1)
      const length = lengths[at >> 2]!
      const next = taken(length)
      // The counts of a sound ring are multiples of eight, as `next` is.
      if (there < 0 || there > RING || (at & 7) !== 0 || length < 1 || length > MAX_RING_FRAME || next > there) {
        this.damaged++
        Atomics.store(words, base + READ, written)
        return true
      }
      const frame = this.#copy(at, length)
      Atomics.store(words, base + READ, (read + next) | 0)
      handled += next
      sink(frame)
    }
    return !this.#disposed
  }

  /**
   * Hands on whatever comes, until the ring is disposed.
   * @param later runs a function when the thread has looked after others (setImmediate)
   * @param open asked before each frame; where it says no, frames stay in the ring until `resume`
   */
  watch(sink: (frame: Uint8Array) => void, later: (run: () => void) => void, open: () => boolean = () => true): void {
    if (this.#watching) throw new AppError('internal', 'A ring of frames is watched already.')
    this.#watching = true
    const look = (): void => {
      while (!this.#disposed) {
        const more = this.receive(sink, open)
        if (!open()) return void (this.#stalled = look)
        if (more) return later(look)
        const { base } = this.#in
        Atomics.store(this.#words, base + SLEEPS, 1)
        const waiting = Atomics.waitAsync(this.#words, base + WRITTEN, Atomics.load(this.#words, base + READ))
        if (waiting.async) return void waiting.value.then(look)
      }
    }
    look()
  }

  /** Where the watch found the way closed: it may be open by now. */
  resume(): void {
    const look = this.#stalled
    this.#stalled = null
    look?.()
  }

  /** What is in the ring stays there, for the next end of this side. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    // Its own waiting ends.
    if (this.#watching) Atomics.notify(this.#words, this.#in.base + WRITTEN)
  }

  /** A copy that begins where memory is copied by words: between that and shared memory it costs an eighth. */
  #straighten(frame: Uint8Array): Uint8Array {
    if (this.#straight.length < frame.length) this.#straight = new Uint8Array(frame.length)
    this.#straight.set(frame)
    return this.#straight.subarray(0, frame.length)
  }

  #copy(at: number, length: number): Uint8Array {
    if (this.#frame.length < length) this.#frame = new Uint8Array(length)
    const { bytes } = this.#in
    const start = (at + LENGTH_BYTES) & (RING - 1)
    const first = RING - start
    if (length <= first) this.#frame.set(bytes.subarray(start, start + length))
    else {
      this.#frame.set(bytes.subarray(start))
      this.#frame.set(bytes.subarray(0, length - first), first)
    }
    return this.#frame.subarray(0, length)
  }
}

interface Way {
  /** First of its words. */
  base: number
  lengths: Int32Array
  bytes: Uint8Array
}

/** Bytes that a frame takes in the ring. */
function taken(length: number): number {
  return (LENGTH_BYTES + length + 7) & ~7
}
