/**
 * A small TCP of a machine, made apart from the product's: one segment at a time, go-back-N, acknowledges everything at once, no options but MSS and window scaling. Good
 * enough to move data over a wire that loses some.
 */
import { PROTOCOL, writeIp, ipHeaderBytes, parseIp } from '../../src-main/network/codec/ip.ts'
import { parseTcp, parseTcpOptions, TCP, writeTcp, type TcpSegment } from '../../src-main/network/codec/tcp.ts'
import type { IpAddress } from '../../src-shared/model/ip.ts'
import type { GuestWire } from './guest-wire.ts'

const SCALE = 6
const RETRY_MS = 60

/** What is sent: bytes at an offset. */
export type ByteSource = (offset: number, length: number) => Uint8Array

export class GuestTcp {
  readonly #host: GuestHost
  readonly remote: IpAddress
  readonly port: number
  readonly ownPort: number
  /** In order, lent. */
  onData: (bytes: Uint8Array) => void = () => {}
  onEnd: () => void = () => {}
  /** Bytes that may come before `window` is larger again. */
  window = 1 << 20
  received = 0
  state: 'opening' | 'open' | 'reset' | 'closed' = 'opening'
  readonly opened: Promise<void>
  /** 'reset', or 'closed' when both sides have ended. */
  readonly over: Promise<'reset' | 'closed'>
  #onOpen!: { resolve: () => void; reject: (error: Error) => void }
  #onOver!: (how: 'reset' | 'closed') => void
  #first = Math.floor(Math.random() * 2 ** 32)
  #acked = 0
  #sent = 0
  #total = 0
  #source: ByteSource = () => new Uint8Array(0)
  #fin = false
  #ended = false
  #next = 0
  #ahead = new Map<number, Uint8Array>()
  #finAt: number | null = null
  #peerWindow = 0
  #peerScale = 0
  #mss = 536
  #duplicates = 0
  #timer: NodeJS.Timeout | null = null

  constructor(host: GuestHost, remote: IpAddress, port: number, ownPort: number, syn?: TcpSegment) {
    this.#host = host
    this.remote = remote
    this.port = port
    this.ownPort = ownPort
    this.opened = new Promise((resolve, reject) => (this.#onOpen = { resolve, reject }))
    this.opened.catch(() => {})
    this.over = new Promise((resolve) => (this.#onOver = resolve))
    if (syn) this.#takeSyn(syn)
    this.#send(TCP.syn | (syn ? TCP.ack : 0), this.#first)
    this.#retry()
  }

  get acked(): number {
    return this.#acked
  }

  /** Sends so many bytes, and may be called again when they are acknowledged. */
  send(source: ByteSource, total: number): void {
    const from = this.#total
    const before = this.#source
    this.#source = (offset, length) => (offset >= from ? source(offset - from, length) : before(offset, Math.min(length, from - offset)))
    this.#total += total
    this.#push()
  }

  sendBytes(bytes: Uint8Array): void {
    this.send((offset, length) => bytes.subarray(offset, offset + length), bytes.length)
  }

  end(): void {
    this.#fin = true
    this.#push()
  }

  reset(): void {
    this.#send(TCP.rst | TCP.ack, this.#sequence(this.#sent))
    this.#stop('reset')
  }

  vanish(): void {
    this.#stop('reset')
  }

  /** Tells the window again, which may be larger now. */
  update(): void {
    this.#send(TCP.ack, this.#sequence(this.#sent))
  }

  receive(segment: TcpSegment): void {
    if (this.state === 'reset' || this.state === 'closed') return
    const { flags } = segment
    if (flags & TCP.rst) {
      this.#onOpen.reject(new Error('refused'))
      return this.#stop('reset')
    }
    if (this.state === 'opening') {
      if (flags & TCP.syn) {
        this.#takeSyn(segment)
        this.#peerWindow = segment.window
      } else this.#peerWindow = segment.window << this.#peerScale
      if (!(flags & TCP.ack) || segment.acknowledgment !== (this.#first + 1) >>> 0) return
      this.state = 'open'
      this.#onOpen.resolve()
      this.#send(TCP.ack, this.#sequence(0))
      this.#push()
      if (flags & TCP.syn) return
    }
    if (flags & TCP.syn) return this.update()
    const acked = (segment.acknowledgment - this.#sequence(this.#acked)) | 0
    this.#peerWindow = segment.window << this.#peerScale
    if (acked > 0) {
      this.#acked += acked
      this.#sent = Math.max(this.#sent, this.#acked)
      this.#duplicates = 0
      this.#retry()
    } else if (acked === 0 && segment.payload.length === 0 && !(flags & TCP.fin) && this.#sent > this.#acked && ++this.#duplicates === 3) {
      const sent = this.#sent
      this.#sent = this.#acked
      this.#push(1)
      this.#sent = sent
    }
    this.#take(segment)
    this.#push()
    if (this.#ended && this.#fin && this.#acked === this.#total + 1) this.#stop('closed')
  }

  #take({ sequence, payload, flags }: TcpSegment): void {
    if (payload.length === 0 && !(flags & TCP.fin)) return
    if (flags & TCP.fin) this.#finAt = (sequence + payload.length) >>> 0
    const skip = (this.#next - sequence) | 0
    if (skip >= 0 && skip < payload.length) this.#give(payload.subarray(skip))
    else if (skip < 0 && this.#ahead.size < 4096) this.#ahead.set(sequence, payload.slice())
    for (let found = this.#ahead.get(this.#next >>> 0); found; found = this.#ahead.get(this.#next >>> 0)) {
      this.#ahead.delete(this.#next >>> 0)
      this.#give(found)
    }
    // Pieces that were cut otherwise.
    for (const [from, bytes] of this.#ahead) {
      const over = (this.#next - from) | 0
      if (over <= 0) continue
      this.#ahead.delete(from)
      if (over < bytes.length) this.#give(bytes.subarray(over))
    }
    if (this.#next >>> 0 === this.#finAt && !this.#ended) {
      this.#ended = true
      this.#next = (this.#next + 1) >>> 0
      this.onEnd()
    }
    this.update()
  }

  #give(bytes: Uint8Array): void {
    this.#next = (this.#next + bytes.length) >>> 0
    this.received += bytes.length
    this.window -= bytes.length
    this.onData(bytes)
  }

  #takeSyn({ sequence, options }: TcpSegment): void {
    const { mss, windowScale } = parseTcpOptions(options)
    this.#next = (sequence + 1) >>> 0
    this.#peerScale = windowScale ?? 0
    this.#mss = Math.min(mss ?? 536, this.#host.wire.mtu - ipHeaderBytes(this.remote) - 20)
  }

  #sequence(offset: number): number {
    return (this.#first + 1 + offset) >>> 0
  }

  #push(most = Infinity): void {
    if (this.state !== 'open') return
    for (let count = 0; count < most; count++) {
      const left = this.#total - this.#sent
      const room = this.#peerWindow - (this.#sent - this.#acked)
      if (left > 0) {
        const length = Math.min(left, this.#mss, room)
        if (length <= 0) return
        this.#send(TCP.ack | TCP.psh, this.#sequence(this.#sent), this.#source(this.#sent, length))
        this.#sent += length
      } else if (left === 0 && this.#fin) {
        this.#send(TCP.ack | TCP.fin, this.#sequence(this.#sent))
        this.#sent++
      } else return
    }
  }

  #retry(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (this.state === 'opening') this.#send(TCP.syn, this.#first)
      else if (this.#acked < this.#total + (this.#fin ? 1 : 0)) {
        this.#sent = this.#acked
        if (this.#peerWindow === 0) this.#peerWindow = 1
        this.#push(32)
      }
      this.#retry()
    }, RETRY_MS)
  }

  #stop(how: 'reset' | 'closed'): void {
    this.state = how
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
    this.#host.forget(this)
    this.#onOver(how)
  }

  #send(flags: number, sequence: number, payload: Uint8Array = new Uint8Array(0)): void {
    const mss = this.#host.wire.mtu - ipHeaderBytes(this.remote) - 20
    const options = flags & TCP.syn ? Uint8Array.of(2, 4, mss >> 8, mss & 255, 1, 3, 3, SCALE) : new Uint8Array(0)
    const scaled = Math.min(0xffff, Math.max(0, this.window) >> (flags & TCP.syn ? 0 : SCALE))
    const header = { sourcePort: this.ownPort, destinationPort: this.port, sequence, flags, window: scaled, options }
    this.#host.send(this.remote, { ...header, acknowledgment: this.#next, payload })
  }
}

/** A machine with an address of each family, and its TCP. */
export class GuestHost {
  readonly wire: GuestWire
  readonly ipv4: IpAddress
  readonly ipv6: IpAddress
  /** A connection from outside; null: refused. */
  onConnection: ((connection: GuestTcp) => void) | null = null
  /** Of other protocols. */
  onOther: (packet: Uint8Array) => void = () => {}
  #connections = new Map<string, GuestTcp>()
  #nextPort = 20_000

  constructor(wire: GuestWire, ipv4: IpAddress, ipv6: IpAddress) {
    this.wire = wire
    this.ipv4 = ipv4
    this.ipv6 = ipv6
    wire.onPacket = (packet) => this.#receive(packet)
  }

  get connections(): number {
    return this.#connections.size
  }

  connect(remote: IpAddress, port: number): GuestTcp {
    const own = this.#nextPort++
    const connection = new GuestTcp(this, remote, port, own)
    this.#connections.set(`${remote.join()} ${port} ${own}`, connection)
    return connection
  }

  /** Everything ends without a word. */
  dispose(): void {
    for (const connection of [...this.#connections.values()]) connection.vanish()
  }

  forget({ remote, port, ownPort }: GuestTcp): void {
    this.#connections.delete(`${remote.join()} ${port} ${ownPort}`)
  }

  send(remote: IpAddress, segment: TcpSegment): void {
    const source = remote.length === 4 ? this.ipv4 : this.ipv6
    const start = ipHeaderBytes(remote)
    const header = 20 + segment.options.length
    const packet = new Uint8Array(start + header + segment.payload.length)
    packet.set(segment.payload, start + header)
    const length = writeTcp(packet, start, source, remote, segment, segment.payload.length)
    writeIp(packet, 0, { source, destination: remote, protocol: PROTOCOL.tcp }, length)
    this.wire.put(packet)
  }

  #receive(packet: Uint8Array): void {
    const ip = parseIp(packet)!
    if (ip.protocol !== PROTOCOL.tcp) return this.onOther(packet)
    const segment = parseTcp(ip)
    if (!segment) throw new Error('A segment with a wrong checksum')
    const key = `${ip.source.join()} ${segment.sourcePort} ${segment.destinationPort}`
    const found = this.#connections.get(key)
    if (found) return found.receive(segment)
    if ((segment.flags & (TCP.syn | TCP.ack)) === TCP.syn && this.onConnection) {
      const connection = new GuestTcp(this, ip.source.slice(), segment.sourcePort, segment.destinationPort, segment)
      this.#connections.set(key, connection)
      this.onConnection(connection)
    } else if (!(segment.flags & TCP.rst)) {
      const reset = { sourcePort: segment.destinationPort, destinationPort: segment.sourcePort, window: 0, options: new Uint8Array(0) }
      const flags = TCP.rst | TCP.ack
      const acknowledgment = (segment.sequence + segment.payload.length + (segment.flags & TCP.syn ? 1 : 0)) >>> 0
      this.send(ip.source.slice(), { ...reset, sequence: segment.acknowledgment, acknowledgment, flags, payload: new Uint8Array(0) })
    }
  }
}
