/**
 * A machine that costs next to nothing, so that what is measured is the NAT: it sends the same bytes again and again, whose sum it knows, and of what it gets it looks at the
 * headers alone. Acknowledges once for each turn of the event loop.
 */
import { pseudoSum, foldSum, sumWords } from '../../../src-main/network/codec/checksum.ts'
import { PROTOCOL, writeIp } from '../../../src-main/network/codec/ip.ts'
import { TCP, writeTcp } from '../../../src-main/network/codec/tcp.ts'
import { ETHERNET_HEADER, ETHERTYPE, writeEthernet } from '../../../src-main/network/codec/ethernet.ts'
import type { FrameSink, Plugboard, Port } from '../../../src-main/network/port.ts'
import { parseIp as address } from '../../../src-shared/model/ip.ts'

const MAC = 0x5254_0012_3456
export const GATEWAY = address('10.0.2.1')!
const OWN = address('10.0.2.15')!
const SCALE = 7
/** Of our window: 4 MiB. */
const WINDOW = 32_768
const HEADERS = 40
/** Segments that are sent before the event loop turns: about what a read of a machine's socket brings. */
const BURST_BYTES = 128 * 1024

export class FastGuest implements Plugboard {
  readonly mtu: number
  /** Of the gateway. */
  gatewayMac = 0
  /** Bytes that came. */
  received = 0
  acked = 0
  onProgress: () => void = () => {}
  #toGateway: (frame: Uint8Array) => void = () => {}
  readonly #frame: Uint8Array
  /** In the frame. */
  readonly #packet: Uint8Array
  readonly #payloadSum: number
  #port = 30_000
  #remotePort = 0
  #sent = 0
  #first = 1000
  #next = 0
  #open = false
  #window = 0
  #turn: NodeJS.Immediate | null = null
  #left = 0

  /** @param first the byte that segments begin with */
  constructor(mtu: number, first: number) {
    this.mtu = mtu
    this.#frame = new Uint8Array(ETHERNET_HEADER + mtu).map((_, at) => at * 31)
    this.#packet = this.#frame.subarray(ETHERNET_HEADER)
    this.#packet[HEADERS] = first
    this.#payloadSum = sumWords(this.#packet, HEADERS)
  }

  /** Opens, and then sends so many bytes. */
  connect(port: number, bytes: number): void {
    this.#port++
    this.#remotePort = port
    this.#open = false
    this.#sent = this.acked = this.received = 0
    this.#left = bytes
    const mss = this.mtu - HEADERS
    this.#control(TCP.syn, Uint8Array.of(2, 4, mss >> 8, mss & 255, 1, 3, 3, SCALE))
  }

  close(): void {
    this.#control(TCP.rst | TCP.ack)
    if (this.#turn) clearImmediate(this.#turn)
    this.#turn = null
  }

  /** The gateway is the other end of the wire. */
  isCard(): boolean {
    return true
  }

  plug(id: string, receive: FrameSink): Port {
    this.#toGateway = receive
    const counters = { framesOut: 0, bytesOut: 0, framesIn: 0, bytesIn: 0, dropped: 0, lost: 0, denied: 0 }
    return { id, send: (frame) => this.#receive(frame), counters, link: true, dispose() {} }
  }

  #receive(frame: Uint8Array): boolean {
    const at = ETHERNET_HEADER + 20
    if (frame[23] !== PROTOCOL.tcp || frame[12] !== 8) return true
    const flags = frame[at + 13]!
    const sequence = wordAt(frame, at + 4)
    const ack = wordAt(frame, at + 8)
    const window = (frame[at + 14]! << 8) | frame[at + 15]!
    if (flags & TCP.syn) {
      this.#next = (sequence + 1) >>> 0
      this.#open = true
      this.#window = window
    } else {
      const length = frame.length - at - (frame[at + 12]! >> 4) * 4
      if (sequence === this.#next) {
        this.#next = (sequence + length) >>> 0
        this.received += length
      }
      this.#window = window << 5
    }
    if (flags & TCP.ack) this.acked = Math.max(this.acked, (ack - this.#first - 1) | 0)
    this.#turn ??= setImmediate(() => this.#work())
    return true
  }

  #work(): void {
    this.#turn = null
    if (!this.#open) return
    const mss = this.mtu - HEADERS
    let burst = BURST_BYTES
    let sent = false
    while (this.#left > 0 && burst > 0 && this.#sent - this.acked + mss <= this.#window) {
      const length = Math.min(this.#left, mss)
      this.#data(length)
      this.#left -= length
      burst -= length
      sent = true
    }
    if (!sent) this.#control(TCP.ack)
    else if (burst <= 0) this.#turn ??= setImmediate(() => this.#work())
    this.onProgress()
  }

  #data(length: number): void {
    const packet = this.#packet
    const total = HEADERS + length
    writeIp(packet, 0, { source: OWN, destination: GATEWAY, protocol: PROTOCOL.tcp }, 20 + length)
    this.#header(TCP.ack, 20)
    const sum = sumWords(packet, 20, HEADERS, pseudoSum(OWN, GATEWAY, PROTOCOL.tcp, 20 + length))
    const whole = foldSum(sum + (total === packet.length ? this.#payloadSum : sumWords(packet, HEADERS, total)))
    packet[36] = whole >> 8
    packet[37] = whole
    this.#sent += length
    this.#pass(total === packet.length ? this.#frame : this.#frame.subarray(0, ETHERNET_HEADER + total))
  }

  #header(flags: number, bytes: number): void {
    const view = this.#packet
    const sequence = (this.#first + 1 + this.#sent) >>> 0
    const next = this.#next
    view.set([this.#port >> 8, this.#port & 255, this.#remotePort >> 8, this.#remotePort & 255], 20)
    view[24] = sequence >>> 24
    view[25] = sequence >>> 16
    view[26] = sequence >>> 8
    view[27] = sequence
    view[28] = next >>> 24
    view[29] = next >>> 16
    view[30] = next >>> 8
    view[31] = next
    view[32] = (bytes / 4) << 4
    view[33] = flags
    view[34] = WINDOW >> 8
    view[35] = WINDOW & 255
    view[36] = view[37] = view[38] = view[39] = 0
  }

  #control(flags: number, options = new Uint8Array(0)): void {
    const frame = new Uint8Array(ETHERNET_HEADER + HEADERS + options.length)
    const packet = frame.subarray(ETHERNET_HEADER)
    const sequence = flags & TCP.syn ? this.#first : (this.#first + 1 + this.#sent) >>> 0
    const ports = { sourcePort: this.#port, destinationPort: this.#remotePort }
    const segment = { ...ports, sequence, acknowledgment: this.#next, flags, window: WINDOW, options }
    const length = writeTcp(packet, 20, OWN, GATEWAY, segment, 0)
    writeIp(packet, 0, { source: OWN, destination: GATEWAY, protocol: PROTOCOL.tcp }, length)
    this.#pass(frame)
  }

  #pass(frame: Uint8Array): void {
    writeEthernet(frame, this.gatewayMac, MAC, ETHERTYPE.ipv4)
    this.#toGateway(frame)
  }
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
}
