/**
 * Theory of operation: bytes on their way to a machine.
 *
 *        una            nxt             end
 *   ──────┬──────────────┬───────────────┬──────
 *   acked │  in flight   │  not sent yet │ free          all of it, from una to end, is in the ring
 *
 * The host's bytes are appended at `end` and sent as far as the machine's window and the congestion window let (RFC 9293, 3.8; RFC 5681). `nxt` goes back to `una` after a
 * time-out, and `max` keeps how far it had come.
 *
 * What left the network counts as out of flight: ranges that were acknowledged selectively (RFC 2018), or without that option one segment for each duplicate
 * acknowledgment. So limited transmit (RFC 3042) and the inflation of NewReno (RFC 6582) come of themselves. The third duplicate, or as much behind a hole, begins a
 * recovery: half the window, and the holes are sent again as far as the window lets (RFC 6675), once each; what is lost again waits for the time-out (RFC 6298). A second
 * time-out forgets the selective acknowledgments, for a receiver may take them back.
 *
 * Where nothing is in flight and the window is shut or too small, it is probed, less and less often but for ever, as long as probes are answered (RFC 9293, 3.8.6.1). The
 * probe is an empty segment before the window, which must be answered with the window as it is. A machine that answers neither that nor anything that is sent again is gone
 * after MAX_TRIES.
 *
 * Where the link takes no more (`transmit` says so), nothing was sent: it is tried again at the next acknowledgment, or after a moment.
 */
import { TCP } from '../../codec/tcp.ts'
import { FIRST_BUFFER, MAX_BUFFER, type Budget } from '../limits.ts'
import { RetransmissionTime } from './retransmission-time.ts'
import { distance, maxSequence } from './sequence.ts'
import { SequenceRanges } from './sequence-ranges.ts'
import { SequenceRing } from './sequence-ring.ts'

/** Two minutes or more (RFC 1122, 4.2.3.5: R2 of 100 s at least). */
const MAX_TRIES = 11
const MAX_SACKED = 64
/** RFC 6928. */
const FIRST_SEGMENTS = 10
const DUPLICATES = 3
/** ms until a link that was full is tried again. */
const FULL_LINK = 5

/** @returns false where there was no room on the way */
export type Transmit = (sequence: number, flags: number, length: number) => boolean

export class TcpSender {
  readonly ring = new SequenceRing()
  readonly time = new RetransmissionTime()
  readonly #transmit: Transmit
  readonly #budget: Budget
  readonly #sacked = new SequenceRanges(MAX_SACKED)
  #mss = 536
  #sacks = false
  #capacity = FIRST_BUFFER
  #una = 0
  #nxt = 0
  #max = 0
  #end = 0
  #finished = false
  #window = 0
  #maxWindow = 0
  /** Sequence and acknowledgment of the segment that gave the window. */
  #windowSequence = 0
  #windowAck = 0
  #congestion = 0
  #threshold = Infinity
  #duplicates = 0
  #recovering = false
  /** Recovery ends when this is acknowledged; after a time-out no other begins before it. */
  #recover = 0
  /** In a recovery: before it, all holes were sent again. */
  #repaired = 0
  /** The segment whose round trip is measured ends here; its time, or -1. */
  #timed = 0
  #timedAt = -1
  #tries = 0
  #sent = 0
  /** When `onTime` is to be called; Infinity: not. */
  dueAt = Infinity

  constructor(transmit: Transmit, budget: Budget) {
    this.#transmit = transmit
    this.#budget = budget
    budget.take(FIRST_BUFFER)
  }

  /** @param next the first byte's sequence number */
  start(next: number): void {
    this.#una = this.#nxt = this.#max = this.#end = this.#recover = next | 0
  }

  /** As the machine's SYN says. @param mss bytes, of what both ends can. @param sacks it acknowledges selectively */
  agree(mss: number, sacks: boolean): void {
    this.#mss = mss
    this.#sacks = sacks
    this.#congestion = FIRST_SEGMENTS * mss
  }

  /** Segments are smaller from now on, and what is under way is sent again so: it did not fit somewhere. False: they are no larger. @param mss bytes */
  shrink(mss: number): boolean {
    if (mss >= this.#mss) return false
    this.#mss = mss
    this.#recovering = false
    this.#duplicates = 0
    this.#recover = this.#max
    this.#nxt = this.#una
    this.#timedAt = -1
    return true
  }

  /** @param sequence of the segment that says so, @param ack and its acknowledgment */
  openWindow(window: number, sequence: number, ack: number): void {
    this.#window = window
    this.#maxWindow = Math.max(this.#maxWindow, window)
    this.#windowSequence = sequence
    this.#windowAck = ack
  }

  get unacknowledged(): number {
    return this.#una
  }

  get next(): number {
    return this.#nxt
  }

  /** Behind the last that was ever sent. */
  get sentTo(): number {
    return this.#max
  }

  get maxWindow(): number {
    return this.#maxWindow
  }

  /** Bytes that can be appended. */
  get free(): number {
    return this.#capacity - distance(this.#end, this.#una)
  }

  get idle(): boolean {
    return this.#una === this.#end
  }

  /** Nothing is appended any more, and all was acknowledged, the FIN too. */
  get finAcknowledged(): boolean {
    return this.#finished && distance(this.#una, this.#end) > 0
  }

  get finished(): boolean {
    return this.#finished
  }

  get finSent(): boolean {
    return this.#finished && distance(this.#max, this.#end) > 0
  }

  /** All of it, also beyond the room: what was read cannot be put back. */
  append(bytes: Uint8Array): void {
    const held = Math.max(0, distance(this.#end, this.#una))
    this.ring.reserve(this.#una, held, held + bytes.length)
    this.ring.write(this.#end, bytes)
    this.#end = (this.#end + bytes.length) | 0
  }

  finish(): void {
    this.#finished = true
  }

  /**
   * An acknowledgment of what was sent (not of more, and not of what was acknowledged long ago: the caller looks).
   * @param empty no data, SYN or FIN came with it
   */
  acknowledge(ack: number, sequence: number, window: number, empty: boolean, sack: readonly [number, number][], now: number): void {
    const acked = distance(ack, this.#una)
    const sameWindow = window === this.#window
    if (distance(sequence, this.#windowSequence) > 0 || (sequence === this.#windowSequence && distance(ack, this.#windowAck) >= 0))
      this.openWindow(window, sequence, ack)
    let news = false
    for (const [left, right] of sack) {
      const from = left | 0
      const to = right | 0
      // What makes no sense, or tells of duplicates (RFC 2883), is passed over.
      if (distance(to, from) <= 0 || distance(from, this.#una) < 0 || distance(to, this.#max) > 0) continue
      const before = this.#sacked.bytes
      this.#sacked.add(from, to)
      news ||= this.#sacked.bytes > before
    }
    if (acked > 0) {
      this.#advance(ack, acked, now)
      return
    }
    // The answer to a probe: who shuts its window is there, for as long as it likes (RFC 9293, 3.8.6.1).
    const isAnswer = this.#max === this.#una || this.#window === 0
    if (isAnswer && acked === 0) this.#tries = 0
    if (isAnswer || acked < 0) return
    if (!news && !(empty && sameWindow && sack.length === 0)) return
    this.#duplicates++
    const behind = this.#sacks ? this.#sacked.bytes : 0
    if (!this.#recovering && (this.#duplicates >= DUPLICATES || behind > (DUPLICATES - 1) * this.#mss)) this.#startRecovery()
  }

  /** Sends what may be sent, and says in `dueAt` when to come back. */
  output(now: number): void {
    const wasInFlight = this.#max !== this.#una
    const full = !this.#send(now)
    if (this.#max !== this.#una) {
      if (!wasInFlight || this.dueAt === Infinity) this.dueAt = now + this.time.ms
    } else if (full) this.dueAt = now + FULL_LINK
    else if (this.#waits) this.dueAt = Math.min(this.dueAt, now + this.time.ms)
    else this.dueAt = Infinity
  }

  /** What was due at `dueAt`. False: the machine does not answer any more. */
  onTime(now: number): boolean {
    if (now < this.dueAt) return true
    this.dueAt = Infinity
    const inFlight = this.#max !== this.#una
    if (!inFlight && (!this.#waits || this.#window >= this.#mss)) {
      this.output(now)
      return true
    }
    if (++this.#tries > MAX_TRIES) return false
    this.time.back()
    this.#timedAt = -1
    if (!inFlight || this.#window === 0) {
      // A window that opened too little for a whole segment takes what fits by now.
      if (this.#window > 0) this.#sendAt(this.#nxt, Math.min(this.#window, distance(this.#end, this.#nxt), this.#mss), now)
      else this.#transmit((this.#una - 1) | 0, TCP.ack, 0)
      this.dueAt = now + this.time.ms
      return true
    }
    if (this.#tries === 1) this.#threshold = Math.max(distance(this.#max, this.#una) / 2, 2 * this.#mss)
    else this.#sacked.clear()
    this.#congestion = this.#mss
    this.#recovering = false
    this.#duplicates = 0
    this.#recover = this.#max
    this.#nxt = this.#una
    this.#send(now)
    this.dueAt = now + this.time.ms
    return true
  }

  /** Lets go of memory where nothing is held. */
  relax(): void {
    if (this.#una === this.#end || this.finAcknowledged) this.ring.clear()
  }

  dispose(): void {
    this.dueAt = Infinity
    this.ring.clear()
    this.#budget.give(this.#capacity)
    this.#capacity = 0
  }

  /** Something is to be sent yet, or is not acknowledged. */
  get #waits(): boolean {
    return !this.finAcknowledged && (this.#finished || this.#end !== this.#una)
  }

  #advance(ack: number, acked: number, now: number): void {
    if (this.#timedAt >= 0 && distance(ack, this.#timed) >= 0) {
      this.time.sample(now - this.#timedAt)
      this.#timedAt = -1
    }
    this.#una = ack
    this.#nxt = maxSequence(this.#nxt, ack)
    this.#sacked.dropBefore(ack)
    this.#tries = 0
    this.#sent += acked
    // Who moves more than this at a time is worth a larger buffer.
    if (this.#sent > 2 * this.#capacity && this.#capacity < MAX_BUFFER && this.#budget.take(this.#capacity)) this.#capacity *= 2
    if (this.#recovering && distance(ack, this.#recover) < 0) {
      // A partial acknowledgment: the next hole is lost as well.
      this.#duplicates = Math.max(0, this.#duplicates - Math.ceil(acked / this.#mss))
      this.#repaired = maxSequence(this.#repaired, ack)
    } else {
      if (this.#recovering) this.#congestion = this.#threshold
      else if (this.#congestion < this.#threshold) this.#congestion += acked
      else this.#congestion += (this.#mss * acked) / this.#congestion
      this.#congestion = Math.min(this.#congestion, MAX_BUFFER)
      this.#recovering = false
      this.#duplicates = 0
    }
    this.dueAt = this.#max === this.#una ? Infinity : now + this.time.ms
  }

  #startRecovery(): void {
    if (distance(this.#una, this.#recover) < 0) return
    this.#threshold = Math.max(distance(this.#max, this.#una) / 2, 2 * this.#mss)
    this.#congestion = this.#threshold
    this.#recovering = true
    this.#recover = this.#max
    this.#repaired = this.#una
    this.#timedAt = -1
  }

  /** Bytes that are in the network, as far as is known. */
  #pipe(): number {
    const flight = distance(this.#nxt, this.#una)
    if (!this.#sacks) return Math.max(0, flight - this.#duplicates * this.#mss)
    let pipe = flight - this.#sacked.bytes
    if (this.#recovering) {
      let at = maxSequence(this.#una, this.#repaired)
      for (const { left, right } of this.#sacked.list) {
        pipe -= Math.max(0, distance(left, at))
        at = maxSequence(at, right)
      }
    }
    return Math.max(0, pipe)
  }

  /** False: the link is full. */
  #send(now: number): boolean {
    if (this.#recovering && !this.#repair(now)) return false
    let open = this.#congestion - this.#pipe()
    for (;;) {
      if (this.#nxt !== this.#max) {
        const had = this.#sacked.at(this.#nxt)
        if (had) {
          this.#nxt = had.right
          continue
        }
      }
      const left = distance(this.#end, this.#nxt)
      if (left < 0 || (left === 0 && !this.#finished)) return true
      const flight = distance(this.#nxt, this.#una)
      // The FIN needs room as data does.
      if (left === 0 && flight >= this.#window) return true
      const length = Math.min(left, this.#mss, this.#window - flight)
      if (left > 0) {
        if (length <= 0 || (flight > 0 && open < length)) return true
        // Not a little of much (RFC 9293, 3.8.6.2.1): unless the window is never larger.
        if (length < left && length < this.#mss && length < this.#maxWindow / 2) return true
      }
      if (!this.#sendAt(this.#nxt, Math.max(0, length), now)) return false
      open -= length
    }
  }

  #sendAt(sequence: number, length: number, now: number): boolean {
    const last = ((sequence + length) | 0) === this.#end
    const fin = last && this.#finished && distance(this.#end, this.#una) < this.#window
    if (!this.#transmit(sequence, TCP.ack | (last && length > 0 ? TCP.psh : 0) | (fin ? TCP.fin : 0), length)) return false
    const behind = (sequence + length + (fin ? 1 : 0)) | 0
    if (sequence === this.#nxt) this.#nxt = behind
    if (distance(behind, this.#max) > 0) {
      // Only what was never sent before is timed (Karn).
      if (this.#timedAt < 0 && sequence === this.#max) {
        this.#timedAt = now
        this.#timed = behind
      }
      this.#max = behind
    }
    return true
  }

  /** Sends holes again. False: the link is full. */
  #repair(now: number): boolean {
    if (this.#sacked.empty) {
      // Without selective acknowledgments: the first segment, once for each partial acknowledgment.
      if (distance(this.#repaired, this.#una) > 0) return true
      return this.#resend(this.#una, Math.min(this.#mss, Math.max(0, distance(this.#end, this.#una))), now)
    }
    let behind = this.#sacked.bytes
    let at = this.#una
    for (const { left, right } of this.#sacked.list) {
      if (at !== this.#una && behind <= (DUPLICATES - 1) * this.#mss) return true
      let from = maxSequence(at, this.#repaired)
      while (distance(left, from) > 0) {
        const length = Math.min(this.#mss, distance(left, from))
        if (from !== this.#una && this.#pipe() + length > this.#congestion) return true
        if (!this.#resend(from, length, now)) return false
        from = (from + length) | 0
      }
      behind -= distance(right, left)
      at = right
    }
    return true
  }

  #resend(from: number, length: number, now: number): boolean {
    if (!this.#sendAt(from, length, now)) return false
    this.#repaired = (from + Math.max(1, length)) | 0
    return true
  }
}
