/**
 * A worse link than the host's memory: bandwidth, delay, jitter, loss, duplication, reordering and corruption, one direction of one port.
 *
 * Theory of operation. A frame meets its fate in the order in which a real link deals it out: it is lost, doubled or damaged by chance; it waits until the line is free and takes as
 * long on it as its bits need (rate); then it travels (delay, jitter). Its departure is computed when it comes, from the time at which the line falls free, so that timers
 * that are late by a millisecond change no rate: what is due leaves, however late somebody looks. Frames leave in their order, jitter or not, but for those that are reordered, which leave at once.
 * One timer runs, for the next frame that is due, and none where nothing waits.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { Impairment } from '../../../src-shared/model/network.ts'
import type { Clock } from '../clock.ts'
import { ETHERNET_HEADER } from '../codec/ethernet.ts'
import type { FrameSink } from '../port.ts'
import { seededRandom, type Random } from './seeded-random.ts'

/** ms of frames that wait for a slow line before the next one is dropped; for very slow lines as many frames. */
const LINE_QUEUE = { ms: 100, frames: 10 } as const
/** Bytes on their way at once: a long delay and no rate. */
const MAX_TRAVELLING = 64 * 1024 * 1024
const FULL_FRAME = 1514

interface Travelling {
  frame: Uint8Array
  /** When the line has sent it, and when it is there. */
  at: number
}

export class Impairer implements Disposable {
  #sink: FrameSink
  #clock: Clock
  #impairment: Impairment
  #random: Random
  #queue: Travelling[] = []
  /** Of the queue's first: those before it have left. */
  #head = 0
  #bytes = 0
  /** When the line falls free. */
  #free = 0
  #last = 0
  #timer: Disposable | null = null
  #disposed = false
  /** Frames, since it was made: by chance, and for want of room. */
  lost = 0
  dropped = 0

  constructor(sink: FrameSink, clock: Clock, impairment: Impairment) {
    this.#sink = sink
    this.#clock = clock
    this.#impairment = impairment
    this.#random = seededRandom(impairment.seed)
  }

  /** What waits now leaves as if it had just come. */
  set(impairment: Impairment): void {
    if (impairment.seed !== this.#impairment.seed) this.#random = seededRandom(impairment.seed)
    this.#impairment = impairment
    this.#free = 0
    this.#last = 0
    const now = this.#clock.now()
    for (let at = this.#head; at < this.#queue.length; at++) {
      const one = this.#queue[at]!
      one.at = this.#arrival(now, one.frame.length)
    }
    this.#timer?.dispose()
    this.#timer = null
    this.#release()
  }

  /** False: dropped for want of room. What is lost by chance was taken. */
  readonly send: FrameSink = (frame) => {
    const { loss, duplicate } = this.#impairment
    if (this.#disposed) return false
    if (this.#happens(loss)) {
      this.lost++
      return true
    }
    const taken = this.#pass(frame)
    if (this.#happens(duplicate)) this.#pass(frame)
    return taken
  }

  dispose(): void {
    this.#disposed = true
    this.#timer?.dispose()
    this.#queue = []
  }

  #pass(given: Uint8Array): boolean {
    const { rate, delay, jitter, corrupt, reorder } = this.#impairment
    const frame = this.#happens(corrupt) ? this.#damaged(given) : given
    const waits = this.#head < this.#queue.length
    if ((!waits && rate === null && delay === 0 && jitter === 0) || this.#happens(reorder)) return this.#sink(frame)
    const now = this.#clock.now()
    if (this.#bytes + frame.length > MAX_TRAVELLING || (rate !== null && this.#free - now > longestWait(rate))) {
      this.dropped++
      return false
    }
    this.#queue.push({ frame: frame === given ? frame.slice() : frame, at: this.#arrival(now, frame.length) })
    this.#bytes += frame.length
    if (!this.#timer) this.#release()
    return true
  }

  /** When a frame that comes now is through; the line is taken until then. */
  #arrival(now: number, length: number): number {
    const { rate, delay, jitter } = this.#impairment
    if (rate !== null) this.#free = Math.max(this.#free, now) + (length * 8 * 1000) / rate
    const sent = rate === null ? now : this.#free
    const swing = jitter === 0 ? 0 : (this.#random() * 2 - 1) * jitter
    this.#last = Math.max(this.#last, sent + Math.max(0, delay + swing))
    return this.#last
  }

  /** Sends what is due, and waits for what is next. */
  #release(): void {
    const now = this.#clock.now()
    while (this.#head < this.#queue.length && this.#queue[this.#head]!.at <= now) {
      const { frame } = this.#queue[this.#head++]!
      this.#bytes -= frame.length
      if (!this.#sink(frame)) this.dropped++
    }
    if (this.#head === this.#queue.length || this.#head > 1024) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    if (this.#queue.length === 0 || this.#disposed) return
    this.#timer = this.#clock.after(Math.max(0, this.#queue[this.#head]!.at - now), () => {
      this.#timer = null
      this.#release()
    })
  }

  #happens(percent: number): boolean {
    return percent > 0 && this.#random() * 100 < percent
  }

  /** A copy with one bit flipped, behind the addresses: the switch would learn what was damaged. */
  #damaged(frame: Uint8Array): Uint8Array {
    const copy = frame.slice()
    if (copy.length <= ETHERNET_HEADER) return copy
    const at = ETHERNET_HEADER + Math.floor(this.#random() * (copy.length - ETHERNET_HEADER))
    copy[at]! ^= 1 << Math.floor(this.#random() * 8)
    return copy
  }
}

/** ms. */
function longestWait(rate: number): number {
  return Math.max(LINE_QUEUE.ms, (LINE_QUEUE.frames * FULL_FRAME * 8 * 1000) / rate)
}
