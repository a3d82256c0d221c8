/**
 * Packet scripts against the NAT's TCP: a clock that stands still, a host's end that does what it is told, and segments as a line each, their numbers counted from each side's
 * first: "PA 1+5 ack 1" is PSH and ACK, five bytes from the first on.
 */
import { parseIp, PROTOCOL, writeIp } from '../../src-main/network/codec/ip.ts'
import { parseTcp, parseTcpOptions, TCP, writeTcp, type TcpOptions, type TcpSegment } from '../../src-main/network/codec/tcp.ts'
import type { IncomingPacket, Refusal } from '../../src-main/network/ip-output.ts'
import type { HostEnd, HostEvents } from '../../src-main/network/nat/tcp/host-end.ts'
import { TcpFlows, type Route } from '../../src-main/network/nat/tcp/tcp-flows.ts'
import { TimerQueue } from '../../src-main/network/nat/timer-queue.ts'
import { FakeClock } from './fake-clock.ts'

export const GUEST = Uint8Array.of(10, 0, 2, 15)
export const SERVER = Uint8Array.of(192, 0, 2, 80)
export const PORT = 40_000
export const SERVER_PORT = 8080
export const MAC = 0x5254_0012_3456
const LETTERS = [
  [TCP.syn, 'S'],
  [TCP.fin, 'F'],
  [TCP.rst, 'R'],
  [TCP.psh, 'P'],
  [TCP.ack, 'A'],
  [TCP.urg, 'U'],
] as const

export class ScriptedEnd implements HostEnd {
  readonly events: HostEvents
  /** What was written, and how often. */
  text = ''
  writes = 0
  /** Bytes that it holds back from now on. */
  holds = false
  backlog = 0
  paused = false
  ended = false
  destroyed: 'reset' | 'quietly' | null = null

  constructor(events: HostEvents) {
    this.events = events
  }

  write(first: Buffer, second: Buffer | null): void {
    this.writes++
    this.text += first.toString('latin1') + (second?.toString('latin1') ?? '')
    if (this.holds) this.backlog += first.length + (second?.length ?? 0)
  }

  /** What was held back goes. */
  drain(bytes = this.backlog): void {
    this.backlog -= bytes
    this.events.written()
  }

  end(): void {
    this.ended = true
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
  }

  destroy(reset: boolean): void {
    this.destroyed = reset ? 'reset' : 'quietly'
  }

  data(bytes: string | Uint8Array): void {
    if (!this.events.data(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)) this.paused = true
  }
}

export interface Sent {
  seq?: number
  ack?: number
  data?: string
  window?: number
  options?: Uint8Array
  port?: number
  /** Of the frame. */
  mac?: number
}

export class TcpScript {
  readonly clock = new FakeClock()
  readonly flows: TcpFlows
  readonly ends: ScriptedEnd[] = []
  readonly refused: Refusal[] = []
  route: Route | null = null
  /** Of the machine. */
  first: number
  /** Ours, as of the last SYN. */
  ours = 0
  mtu = 1500
  /** The link takes so many packets more. */
  room = Infinity
  segments: TcpSegment[] = []
  /** The card that each of all segments was sent to; undefined: whoever has the address. */
  readonly cards: (number | undefined)[] = []
  #turns: (() => void)[] = []

  constructor(first = 1000) {
    this.first = first
    this.flows = new TcpFlows({
      machineOf: (mac) => mac,
      output: {
        mtu: this.mtu,
        send: (header, payload, to) => {
          if (this.room-- <= 0) return false
          this.cards.push(to)
          const segment = parseTcp({ source: header.source, destination: header.destination, payload: payload.slice() })
          if (!segment) throw new Error('A wrong checksum')
          if (segment.flags & TCP.syn) this.ours = segment.sequence
          this.segments.push(segment)
          return true
        },
        refuse: (_packet, why) => void this.refused.push(why),
      },
      timers: new TimerQueue(this.clock),
      route: () => this.route ?? ((events) => this.#end(events)),
      endOfTurn: (run) => {
        this.#turns.push(run)
        return { dispose: () => void (this.#turns = this.#turns.filter((one) => one !== run)) }
      },
    })
  }

  get end(): ScriptedEnd {
    return this.ends.at(-1)!
  }

  /** A segment of the machine; numbers as in lines. */
  guest(
    flags: string,
    { seq = 0, ack = 0, data = '', window = 0xffff, options = new Uint8Array(0), port = PORT, mac = MAC }: Sent = {},
  ): void {
    const bits = LETTERS.reduce((all, [bit, letter]) => (flags.includes(letter) ? all | bit : all), 0)
    const payload = Buffer.from(data, 'latin1')
    const bytes = new Uint8Array(20 + 20 + options.length + payload.length)
    bytes.set(payload, 40 + options.length)
    const ports = { sourcePort: port, destinationPort: SERVER_PORT }
    const numbers = { sequence: (this.first + seq) >>> 0, acknowledgment: flags.includes('A') ? (this.ours + ack) >>> 0 : 0 }
    const length = writeTcp(bytes, 20, GUEST, SERVER, { ...ports, ...numbers, flags: bits, window, options }, payload.length)
    writeIp(bytes, 0, { source: GUEST, destination: SERVER, protocol: PROTOCOL.tcp }, length)
    this.flows.receive({ ...parseIp(bytes)!, sourceMac: mac } satisfies IncomingPacket)
  }

  /** The turn ends. */
  turn(): void {
    for (let rounds = 0; this.#turns.length > 0 && rounds < 10; rounds++) for (const run of this.#turns.splice(0)) run()
  }

  advance(ms: number): void {
    this.clock.advance(ms)
    this.turn()
  }

  /** The turn ends; what was sent since the last time. */
  out(): string[] {
    this.turn()
    return this.segments.splice(0).map((segment) => this.line(segment))
  }

  line({ flags, sequence, acknowledgment, payload }: TcpSegment): string {
    const letters = LETTERS.map(([bit, letter]) => (flags & bit ? letter : '')).join('')
    const ack = flags & TCP.ack ? ` ack ${(acknowledgment - this.first) | 0}` : ''
    return `${letters} ${(sequence - this.ours) | 0}+${payload.length}${ack}`
  }

  optionsOf(segment: TcpSegment): TcpOptions {
    return parseTcpOptions(segment.options)
  }

  /** Opens a connection, and forgets how. @param options of the machine's SYN */
  connect(options: Uint8Array = SYN_OPTIONS, window = 0xffff): void {
    this.guest('S', { options, window })
    this.end.events.connected()
    this.guest('A', { seq: 1, ack: 1, window })
    this.out()
  }

  /** The host opens a connection to the machine. */
  open(): void {
    if (!this.flows.open(GUEST, PORT, SERVER, SERVER_PORT, (events) => this.#end(events))) throw new Error('No room')
  }

  dispose(): void {
    this.flows.dispose()
    this.flows.timers.dispose()
  }

  #end(events: HostEvents): ScriptedEnd {
    const end = new ScriptedEnd(events)
    this.ends.push(end)
    return end
  }
}

/** MSS 1460, SACK permitted, windows not scaled. */
export const SYN_OPTIONS = Uint8Array.of(2, 4, 5, 180, 1, 1, 4, 2)
/** MSS 1460, no SACK. */
export const PLAIN_OPTIONS = Uint8Array.of(2, 4, 5, 180)

/** The option with ranges, as the machine acknowledges them. @param ours our first number */
export function sackOf(ours: number, ...ranges: [number, number][]): Uint8Array {
  const bytes = new Uint8Array(4 + ranges.length * 8)
  bytes.set([1, 1, 5, 2 + ranges.length * 8])
  const view = new DataView(bytes.buffer)
  ranges.forEach(([left, right], at) => {
    view.setUint32(4 + at * 8, (ours + left) >>> 0)
    view.setUint32(8 + at * 8, (ours + right) >>> 0)
  })
  return bytes
}
