/**
 * Theory of operation: one TCP connection of a machine, of which this is the other end (RFC 9293), joined to a socket of the host.
 *
 *   machine ──segments──▶ TcpReceiver ──▶ HostEnd.write          each side's end, reset and slowness becomes the other's:
 *   machine ◀─segments─── TcpSender ◀──── HostEvents.data        a FIN an end, a RST a reset, a full buffer a shut window or a socket that is not read
 *
 * The machine opens: its SYN waits ("connecting") until the host's socket is connected, so that it sees a server that is there or is not; then SYN-ACK ("syn-received") and
 * its ACK ("open"). The host opens (forwards): SYN ("syn-sent"), SYN-ACK, "open". From then on states are what the two halves say: both FINs may cross, either side may stay
 * half open. When both FINs are done and it was our side that sent one first, the ends are remembered for a moment ("time-wait"), or until the host's socket has sent all.
 *
 * Work is done once for each turn of the event loop: `receive` only notes, `flush` writes to the host what came in order, sends what may be sent and acknowledges, so that a
 * thousand segments of one turn cost one write and one ACK. Only what is out of order is acknowledged at once, each by itself, for the machine counts duplicates.
 *
 * RST counts only with exactly the next sequence number; what else would end or change a connection is answered by a challenge ACK, some a second (RFC 5961).
 */
import { ipHeaderBytes } from '../../codec/ip.ts'
import { parseTcpOptions, TCP, TCP_HEADER, type TcpSegment } from '../../codec/tcp.ts'
import type { IncomingPacket } from '../../ip-output.ts'
import { READ_SIZE } from '../limits.ts'
import type { Timed } from '../timer-queue.ts'
import type { ConnectionOwner } from './connection-owner.ts'
import type { HostEnd, HostEvents } from './host-end.ts'
import { Handshake } from './handshake.ts'
import { MAX_SACK_BLOCKS, sackOption } from './segment-options.ts'
import { NO_OPTIONS, type FlowEnds } from './segment-writer.ts'
import { checkSegment } from './segment-check.ts'
import { distance } from './sequence.ts'
import { Silence } from './silence.ts'
import { TcpReceiver } from './tcp-receiver.ts'
import { TcpSender } from './tcp-sender.ts'

type Phase = 'connecting' | 'syn-received' | 'syn-sent' | 'open' | 'time-wait' | 'closed'

/** ms for the host's socket. */
const CONNECT_MS = 60_000
/** RFC 9293, 3.4.1 asks for minutes; nothing is under way for longer than this between a machine and us. */
const TIME_WAIT_MS = 1000
/** How long a server may take to read what a machine left behind. */
const LINGER_MS = 300_000
const NO_SACK: readonly [number, number][] = []
/** The smallest that is used, also where a machine asks for less: with next to no data in each segment it could keep the host busy for nothing. */
const MIN_MSS = 88
/** The smallest MTU that is believed of networks between us and a machine, for anybody may forge such a message: of IPv6 its minimum (RFC 8200, 5), of IPv4 what Linux takes. */
const LEAST_MTU = { 4: 552, 16: 1280 } as Record<number, number>
/** Where the machine does not say (RFC 9293, 3.7.1). */
const DEFAULT_MSS = { 4: 536, 16: 1220 } as Record<number, number>

export class TcpConnection implements Timed, HostEvents {
  readonly ends: FlowEnds
  readonly machine: number | null
  /** Owner's own: in the list of those to flush; the next with the same key. */
  listed = false
  key = 0
  nextOfKey: TcpConnection | null = null
  place = -1
  wakeAt = 0
  readonly #owner: ConnectionOwner
  readonly #sender: TcpSender
  readonly #receiver: TcpReceiver
  #phase: Phase = 'connecting'
  #host: HostEnd | null = null
  readonly #handshake = new Handshake()
  readonly #silence = new Silence()
  /** The machine's first packet, while the host is connected. */
  #syn: IncomingPacket | null = null
  #needsAck = false
  #paused = false
  /** The machine's FIN was passed on. */
  #hostEnded = false
  #hostClosed = false
  /** Our FIN was sent before the machine's came. */
  #closedFirst = false
  #restUntil = 0
  /** Of the handshake, and of TIME-WAIT. */
  #dueAt = Infinity

  /** @param machine who is counted for it, as a MAC address; null: nobody */
  constructor(owner: ConnectionOwner, ends: FlowEnds, machine: number | null) {
    this.ends = ends
    this.machine = machine
    this.#owner = owner
    this.#receiver = new TcpReceiver(owner.budget)
    this.#sender = new TcpSender((sequence, flags, length) => this.#transmit(sequence, flags, length), owner.budget)
    this.#sender.start(this.#handshake.first + 1)
  }

  get phase(): Phase {
    return this.#phase
  }

  /** The machine's next sequence number. */
  get acknowledges(): number {
    return this.#receiver.next
  }

  /** Whether its ends may be taken by a new connection. */
  get replaceable(): boolean {
    return this.#phase === 'time-wait' && this.#hostClosed
  }

  /** A machine's SYN. @param syn its own, kept. @param connect makes the host's end */
  accept(segment: TcpSegment, syn: IncomingPacket, connect: (events: HostEvents) => HostEnd): void {
    this.#syn = syn
    this.#dueAt = this.#owner.now + CONNECT_MS
    this.#agree(segment)
    this.#host = connect(this)
    this.#arm()
  }

  /** The host opens. @param connect makes the host's end, connected and not read yet */
  open(connect: (events: HostEvents) => HostEnd): void {
    this.#phase = 'syn-sent'
    this.#host = connect(this)
    this.#paused = true
    this.#sendSyn()
  }

  // The host's end.

  connected(): void {
    if (this.#phase !== 'connecting') return
    this.#syn = null
    this.#phase = 'syn-received'
    this.#sendSyn()
  }

  data(bytes: Uint8Array): boolean {
    this.#sender.append(bytes)
    this.#paused = this.#sender.free < READ_SIZE
    this.#owner.changed(this)
    return !this.#paused
  }

  ended(): void {
    this.#sender.finish()
    this.#owner.changed(this)
  }

  written(): void {
    if (!this.#host) return
    this.#receiver.free(this.#host.backlog)
    if (!this.#receiver.opened) return
    this.#needsAck = true
    this.#owner.changed(this)
  }

  closed(error: string | null): void {
    this.#hostClosed = true
    if (this.#phase === 'closed') return
    if (this.#phase === 'connecting') {
      const syn = this.#syn!
      this.#drop()
      this.#owner.refused(this, syn, error ?? 'ECONNREFUSED')
    } else if (this.#phase === 'time-wait') this.#rest()
    else if (error !== null || !this.#sender.finished || !this.#hostEnded) this.abort()
  }

  // The machine's end.

  receive(segment: TcpSegment, mac: number): void {
    if (this.#phase === 'connecting') return this.#receiveConnecting(segment)
    if (this.#phase === 'syn-sent') return this.#receiveSynSent(segment, mac)
    const { flags } = segment
    if (
      this.#phase === 'syn-received' &&
      (flags & (TCP.syn | TCP.rst)) === TCP.syn &&
      (segment.sequence | 0) === this.#handshake.guestFirst
    )
      return this.#receiveSynAgain(segment)
    const receiver = this.#receiver
    const offset = distance(segment.sequence, receiver.next)
    const length = segment.payload.length + (flags & TCP.fin ? 1 : 0) + (flags & TCP.syn ? 1 : 0)
    const verdict = checkSegment(flags, offset, length, receiver.window)
    if (verdict === 'drop') return
    if (verdict === 'reset') return this.#reset()
    if (verdict === 'challenge') return this.#challenge()
    if (verdict === 'acknowledge') return this.#acknowledge()
    const sender = this.#sender
    const ack = segment.acknowledgment | 0
    if (this.#phase === 'syn-received') {
      if (ack !== sender.unacknowledged) return this.#refuse(ack)
      this.#opened(this.#handshake.bytesOf(segment.window), segment.sequence, ack)
    } else if (distance(ack, sender.sentTo) > 0 || distance(ack, sender.unacknowledged) < -Math.max(sender.maxWindow, 0xffff))
      return this.#challenge()
    this.ends.mac = mac
    this.#silence.heard(this.#owner.now)
    if (this.#phase === 'time-wait') {
      if (length > 0) this.#acknowledge()
      return
    }
    const sack = this.#handshake.sacks && segment.options.length > 0 ? parseTcpOptions(segment.options).sack : NO_SACK
    sender.acknowledge(ack, segment.sequence | 0, this.#handshake.bytesOf(segment.window), length === 0, sack, this.#owner.now)
    if (length > 0) {
      const isProbe = verdict === 'probe' && segment.payload.length > 0
      const payload = isProbe ? segment.payload.subarray(0, 0) : segment.payload
      // A FIN alone finds room in a shut window.
      const fin = (flags & TCP.fin) !== 0 && !isProbe
      this.#needsAck = true
      const was = receiver.finished
      if (payload.length > 0 || fin) if (receiver.accept(segment.sequence | 0, payload, fin) === 'apart') this.#sendAck()
      if (!was && receiver.finished) this.#closedFirst = sender.finSent
    }
    this.#owner.changed(this)
  }

  /** A segment did not fit on its way. @param mtu bytes of a packet that would; perhaps forged */
  tooBig(sequence: number, mtu: number): void {
    const sender = this.#sender
    // Only of what is under way (RFC 5927, 7.2).
    if (this.#phase !== 'open' || distance(sequence, sender.unacknowledged) < 0 || distance(sequence, sender.sentTo) >= 0) return
    const least = LEAST_MTU[this.ends.guest.length]!
    if (sender.shrink(Math.max(mtu, least) - TCP_HEADER - ipHeaderBytes(this.ends.guest))) this.#owner.changed(this)
  }

  /** The end of a turn in which something changed. */
  flush(): void {
    if (this.#phase !== 'open') {
      if (this.#phase === 'time-wait' && this.#needsAck) this.#sendAck()
      return
    }
    const host = this.#host!
    const receiver = this.#receiver
    const sender = this.#sender
    if (receiver.pending > 0 && !this.#hostEnded) {
      host.write(...receiver.take())
      receiver.free(host.backlog)
    }
    if (receiver.finished && !this.#hostEnded) {
      this.#hostEnded = true
      host.end()
    }
    sender.output(this.#owner.now)
    if (this.#needsAck) this.#sendAck()
    if (this.#paused && sender.free >= READ_SIZE) {
      this.#paused = false
      host.resume()
    }
    if (this.#hostEnded && sender.finAcknowledged) return this.#finish()
    this.#silence.watch(this.#owner.now)
    this.#arm()
  }

  wake(now: number): void {
    if (now >= this.#dueAt) this.#due()
    if (this.#phase === 'open') {
      // It may be reached another way by now.
      if (now >= this.#sender.dueAt) this.ends.mac = undefined
      if (!this.#sender.onTime(now)) return this.abort()
      if (now >= this.#silence.dueAt) this.#listen(now)
    }
    this.#arm()
  }

  /** Makes place for another (replaceable). */
  abandon(): void {
    this.#drop()
  }

  /** Ends it at once, with a RST for both. */
  abort(): void {
    if (this.#phase === 'closed') return
    if (this.#phase === 'connecting') this.#owner.writer.send(this.ends, 0, this.#receiver.next, TCP.rst | TCP.ack, 0, NO_OPTIONS, null, 0)
    else if (this.#phase === 'syn-sent') this.#owner.writer.send(this.ends, this.#sender.next, 0, TCP.rst, 0, NO_OPTIONS, null, 0)
    else this.#sendFlags(this.#sender.sentTo, TCP.rst | TCP.ack)
    this.#reset()
  }

  #receiveConnecting({ flags, sequence }: TcpSegment): void {
    // Its SYN again, and whatever else, waits for the host; a RST may come with the SYN's number or the next.
    const before = distance(this.#receiver.next, sequence)
    if (flags & TCP.rst && (before === 0 || before === 1)) this.#reset()
  }

  /** RFC 9293, 3.10.7.3. */
  #receiveSynSent(segment: TcpSegment, mac: number): void {
    const { flags } = segment
    const acknowledges = (flags & TCP.ack) !== 0
    if (acknowledges && (segment.acknowledgment | 0) !== this.#sender.unacknowledged) {
      if (!(flags & TCP.rst)) this.#refuse(segment.acknowledgment)
      return
    }
    if (flags & TCP.rst) {
      if (acknowledges) this.#reset()
      return
    }
    if (!(flags & TCP.syn)) return
    this.ends.mac = mac
    this.#agree(segment)
    if (!acknowledges) {
      // Both open at once.
      this.#phase = 'syn-received'
      this.#sendSyn()
      return
    }
    this.#opened(segment.window, segment.sequence, segment.acknowledgment | 0)
    this.#needsAck = true
    this.#owner.changed(this)
  }

  /** Its SYN came before. With our own acknowledged where both opened at once (RFC 9293, 3.5, figure 8); else what answers it was lost. */
  #receiveSynAgain({ flags, acknowledgment, window, sequence }: TcpSegment): void {
    if (!(flags & TCP.ack) || (acknowledgment | 0) !== this.#sender.unacknowledged) return this.#sendSyn()
    this.#opened(window, sequence, acknowledgment | 0)
    this.#acknowledge()
  }

  /** What a machine's SYN says. */
  #agree(segment: TcpSegment): void {
    const { guest } = this.ends
    const mss = this.#handshake.agree(segment) ?? DEFAULT_MSS[guest.length]!
    const { scale, sacks } = this.#handshake
    this.#receiver.start(segment.sequence + 1, scale !== null)
    this.#sender.agree(Math.max(MIN_MSS, Math.min(mss, this.#owner.writer.maxSegment(guest))), sacks)
  }

  #opened(window: number, sequence: number, ack: number): void {
    this.#phase = 'open'
    this.#dueAt = Infinity
    const { now } = this.#owner
    const roundTrip = this.#handshake.roundTrip(now)
    if (roundTrip !== null) this.#sender.time.sample(roundTrip)
    this.#sender.openWindow(window, sequence | 0, ack)
    this.#silence.heard(now)
    this.#owner.settled(this)
    this.#owner.changed(this)
  }

  #sendSyn(): void {
    const { writer, now } = this.#owner
    const { first } = this.#handshake
    const options = this.#handshake.options(writer.maxSegment(this.ends.guest))
    this.#dueAt = this.#handshake.sent(now)
    if (this.#phase === 'syn-sent') writer.send(this.ends, first, 0, TCP.syn, 0xffff, options, null, 0)
    else {
      const window = this.#receiver.advertise(false)
      writer.send(this.ends, first, this.#receiver.next, TCP.syn | TCP.ack, window, options, null, 0)
    }
    this.#arm()
  }

  #transmit(sequence: number, flags: number, length: number): boolean {
    const { writer } = this.#owner
    const receiver = this.#receiver
    if (!writer.send(this.ends, sequence, receiver.next, flags, receiver.advertise(), NO_OPTIONS, this.#sender.ring, length)) return false
    // With ranges to tell of, an ACK of its own has them.
    if (!receiver.apart) this.#needsAck = false
    return true
  }

  #sendFlags(sequence: number, flags: number, options: Uint8Array = NO_OPTIONS): boolean {
    const receiver = this.#receiver
    return this.#owner.writer.send(this.ends, sequence, receiver.next, flags, receiver.advertise(), options, null, 0)
  }

  #sendAck(): void {
    const blocks = this.#handshake.sacks && this.#receiver.apart ? this.#receiver.sackBlocks(MAX_SACK_BLOCKS) : null
    if (this.#sendFlags(this.#sender.next, TCP.ack, blocks ? sackOption(blocks) : NO_OPTIONS)) this.#needsAck = false
  }

  #acknowledge(): void {
    this.#needsAck = true
    this.#owner.changed(this)
  }

  #challenge(): void {
    if (this.#owner.mayChallenge()) this.#sendFlags(this.#sender.next, TCP.ack)
  }

  #refuse(ack: number): void {
    this.#owner.writer.send(this.ends, ack, 0, TCP.rst, 0, NO_OPTIONS, null, 0)
  }

  /** Both FINs are done. */
  #finish(): void {
    this.#phase = 'time-wait'
    this.#sender.dispose()
    this.#receiver.dispose()
    this.#restUntil = this.#owner.now + (this.#closedFirst ? TIME_WAIT_MS : 0)
    this.#rest()
  }

  /** Waits for what is left: the time, and the host's socket. */
  #rest(): void {
    if (this.#hostClosed && this.#owner.now >= this.#restUntil) return this.#drop()
    this.#dueAt = this.#hostClosed ? this.#restUntil : this.#owner.now + LINGER_MS
    this.#arm()
  }

  #due(): void {
    this.#dueAt = Infinity
    if (this.#phase === 'connecting') {
      const syn = this.#syn!
      this.#reset()
      this.#owner.refused(this, syn, 'ETIMEDOUT')
    } else if (this.#phase === 'time-wait') {
      if (!this.#hostClosed) this.#host!.destroy(true)
      this.#drop()
    } else if (this.#phase !== 'open') {
      if (this.#handshake.again(this.#phase === 'syn-received')) this.#sendSyn()
      else this.#reset()
    }
  }

  #listen(now: number): void {
    const what = this.#silence.look(now)
    if (what === 'nothing') return
    if (what === 'give up') return this.abort()
    this.#sender.relax()
    this.#receiver.relax()
    if (what === 'ask') this.#sendFlags((this.#sender.next - 1) | 0, TCP.ack)
  }

  #arm(): void {
    if (this.#phase === 'closed') return
    const open = this.#phase === 'open'
    this.#owner.timers.arm(this, open ? Math.min(this.#sender.dueAt, this.#silence.dueAt) : this.#dueAt)
  }

  /** Without a word to the machine. */
  #reset(): void {
    if (this.#phase === 'closed') return
    if (!this.#hostClosed) this.#host?.destroy(true)
    this.#hostClosed = true
    this.#drop()
  }

  #drop(): void {
    const opening = this.#phase !== 'open' && this.#phase !== 'time-wait'
    this.#phase = 'closed'
    this.#syn = null
    this.#owner.timers.disarm(this)
    this.#sender.dispose()
    this.#receiver.dispose()
    if (opening) this.#owner.settled(this)
    this.#owner.closed(this)
  }
}
