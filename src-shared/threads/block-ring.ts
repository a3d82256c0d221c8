/**
 * Blocks between threads in shared memory: the data path beside a block port (block-port.ts), which says who may use it and tells of either end's death.
 *
 * Theory of operation. The engine's end makes the memory and owns its slots. A request takes as many slots side by side as its bytes need and is known by
 * the first of them; its descriptor and its bytes lie there until the engine's end gives the slots back. Two queues of slot numbers lead to and fro:
 * whoever adds to one raises its count, and wakes the other end, which waits for the count to change (Atomics.waitAsync: nobody polls, an idle disk
 * costs nothing). A queue has room for all slots, so that neither can overflow. Requests are begun in the order in which they were submitted and answered as
 * they are done. Bytes are copied once on the way: file to slot to guest, or guest to slot to file.
 *
 * Neither end trusts the other: each copies what it reads out of a descriptor before it checks it, counts may only grow by what was really asked, and what
 * breaks these rules ends the ring. What is in the slots is a guest's data, which may say anything anyway.
 */
import { AppError } from '../errors/app-error.ts'
import { KiB, MiB } from '../base/units.ts'

export const RING_SLOTS = 64
export const SLOT_BYTES = 64 * KiB
/** Largest single request, bytes: several of them fit at once. Longer ones are split. */
export const MAX_RING_REQUEST = MiB

export const REQUEST = { read: 1, write: 2, flush: 3 } as const

/** Int32 words. The two counts lie in cache lines of their own. */
const SUBMITTED = 0
const COMPLETED = 16
const SUBMISSIONS = 32
const COMPLETIONS = SUBMISSIONS + RING_SLOTS
const DESCRIPTORS = COMPLETIONS + RING_SLOTS
const DESCRIPTOR_WORDS = 8
/** Words of a descriptor; the offset is a double. */
const WORD = { kind: 0, length: 1, failed: 2, offset: 4 } as const
/** Bytes: a page of its own. */
const DATA = 4096

export const RING_BYTES = DATA + RING_SLOTS * SLOT_BYTES

export interface RingRequest {
  kind: number
  /** Bytes; 0 for a flush. */
  length: number
  /** On the disk, bytes. */
  offset: number
}

/** Slots that so many bytes take. A flush takes one, for its answer. */
export function slotsFor(length: number): number {
  return Math.max(1, Math.ceil(length / SLOT_BYTES))
}

/** The memory as both ends see it. Nothing here is checked: numbers of slots are the caller's own, or were compared with RING_SLOTS. */
export class RingMemory {
  readonly buffer: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #doubles: Float64Array
  readonly #bytes: Uint8Array

  /** @throws AppError `invalid-input` for memory of another size */
  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(RING_BYTES)) {
    if (buffer.byteLength !== RING_BYTES)
      throw new AppError('invalid-input', `A ring of blocks has ${RING_BYTES} bytes, not ${buffer.byteLength}.`)
    this.buffer = buffer
    this.#words = new Int32Array(buffer, 0, DATA / 4)
    this.#doubles = new Float64Array(buffer, 0, DATA / 8)
    this.#bytes = new Uint8Array(buffer, DATA)
  }

  request(slot: number): RingRequest {
    const at = DESCRIPTORS + slot * DESCRIPTOR_WORDS
    return { kind: this.#words[at + WORD.kind]!, length: this.#words[at + WORD.length]!, offset: this.#doubles[(at + WORD.offset) / 2]! }
  }

  setRequest(slot: number, { kind, length, offset }: RingRequest): void {
    const at = DESCRIPTORS + slot * DESCRIPTOR_WORDS
    this.#words[at + WORD.kind] = kind
    this.#words[at + WORD.length] = length
    this.#doubles[(at + WORD.offset) / 2] = offset
  }

  /** Bytes of the reason that stands in the slot; 0: the request was done. */
  failure(slot: number): number {
    return this.#words[DESCRIPTORS + slot * DESCRIPTOR_WORDS + WORD.failed]!
  }

  setFailure(slot: number, bytes: number): void {
    this.#words[DESCRIPTORS + slot * DESCRIPTOR_WORDS + WORD.failed] = bytes
  }

  /** A view of the bytes from a slot's start on. */
  bytes(slot: number, length: number): Uint8Array {
    return this.#bytes.subarray(slot * SLOT_BYTES, slot * SLOT_BYTES + length)
  }

  /** The queue of requests: filled by the engine's end. */
  submissions(): RingQueue {
    return new RingQueue(this.#words, SUBMITTED, SUBMISSIONS)
  }

  /** The queue of answers: filled by the storage's end. */
  completions(): RingQueue {
    return new RingQueue(this.#words, COMPLETED, COMPLETIONS)
  }
}

/** One end of a queue of slot numbers. Its count wraps at 2^32. */
export class RingQueue {
  readonly #words: Int32Array
  readonly #count: number
  readonly #entries: number
  /** What this end has put in, or taken out. */
  #mine = 0
  #ended = false

  constructor(words: Int32Array, count: number, entries: number) {
    this.#words = words
    this.#count = count
    this.#entries = entries
  }

  put(slot: number): void {
    this.#words[this.#entries + (this.#mine & (RING_SLOTS - 1))] = slot
    this.#mine = (this.#mine + 1) | 0
    Atomics.store(this.#words, this.#count, this.#mine)
    Atomics.notify(this.#words, this.#count)
  }

  /**
   * What was put in since the last call, in order; each at once marked as taken.
   * @param most that can honestly be there
   * @throws AppError `corrupt`: more are said to be there
   */
  take(most: number): number[] {
    const there = (Atomics.load(this.#words, this.#count) - this.#mine) | 0
    if (there < 0 || there > most)
      throw new AppError('corrupt', `The other end of a ring of blocks claims ${there} entries of at most ${most}.`)
    return Array.from({ length: there }, () => {
      const slot = this.#words[this.#entries + (this.#mine & (RING_SLOTS - 1))]!
      this.#mine = (this.#mine + 1) | 0
      return slot
    })
  }

  /** Calls `look`, which takes what is there, whenever something may be, until `end`. @returns when it ended; rejects with what `look` throws */
  async watch(look: () => void): Promise<void> {
    while (!this.#ended) {
      look()
      const waiting = Atomics.waitAsync(this.#words, this.#count, this.#mine)
      if (waiting.async) await waiting.value
    }
  }

  end(): void {
    this.#ended = true
    Atomics.notify(this.#words, this.#count)
  }
}
