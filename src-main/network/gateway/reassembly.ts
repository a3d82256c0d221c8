/**
 * Putting packets together from their pieces (RFC 791, 3.2; RFC 8200, 4.5). Pieces that overlap spoil the packet (RFC 5722); the same piece twice does not. Of what is
 * spoilt, too old or too much nothing is delivered.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { CardShare } from '../card-share.ts'
import type { Clock } from '../clock.ts'
import { ipHeaderBytes, parseIp, writeIp } from '../codec/ip.ts'
import type { IncomingPacket } from '../ip-output.ts'

/** Of one network, and of one card in it (CardShare). The oldest makes room. */
const MAX_PACKETS = 64
const MAX_PACKETS_OF_CARD = 16
const MAX_PIECES = 256
/** Behind the header (RFC 791, 3.1). */
const MAX_PAYLOAD = 65_535
/** RFC 1122, 3.3.2, within what RFC 791 began with and 60 s; RFC 8200, 4.5. */
const TIME_OUT_MS = { 4: 30_000, 6: 60_000 } as const

interface Partial {
  pieces: { offset: number; bytes: Uint8Array }[]
  /** Bytes that came, and that there will be (null: the last piece is missing). */
  came: number
  total: number | null
  /** The piece that begins it, for its header. */
  first: IncomingPacket | null
  spoilt: boolean
  until: number
  share: number
}

export class Reassembly implements Disposable {
  readonly #clock: Clock
  readonly #shareOf: CardShare
  readonly #expired: (first: IncomingPacket) => void
  /** In the order of their coming. */
  #partials = new Map<string, Partial>()
  #timer: Disposable | null = null

  /** @param shareOf whom a card's pieces count for @param expired a packet stayed incomplete, and this is its first piece */
  constructor(clock: Clock, shareOf: CardShare, expired: (first: IncomingPacket) => void) {
    this.#clock = clock
    this.#shareOf = shareOf
    this.#expired = expired
  }

  get size(): number {
    return this.#partials.size
  }

  /** @param packet one with `fragment`; copied. @returns the whole packet that it completes, its own from then on */
  add(packet: IncomingPacket): IncomingPacket | null {
    const { offset, more } = packet.fragment!
    const { payload } = packet
    if (payload.length === 0 || (more && payload.length % 8 !== 0) || offset + payload.length > MAX_PAYLOAD) return null
    const key = keyOf(packet)
    const partial = this.#partials.get(key) ?? this.#begin(key, packet)
    if (partial.spoilt || !fits(partial, packet)) return null
    partial.pieces.push({ offset, bytes: payload.slice() })
    partial.came += payload.length
    if (!more) partial.total = offset + payload.length
    if (offset === 0) partial.first = copyOf(packet)
    if (partial.came !== partial.total || !partial.first) return null
    this.#partials.delete(key)
    return assemble(partial.first, partial)
  }

  dispose(): void {
    this.#timer?.dispose()
    this.#partials.clear()
  }

  #begin(key: string, { version, sourceMac }: IncomingPacket): Partial {
    const share = this.#shareOf(sourceMac)
    let ofShare = 0
    let oldestOfShare: string | null = null
    for (const [other, partial] of this.#partials)
      if (partial.share === share) {
        ofShare++
        oldestOfShare ??= other
      }
    if (ofShare >= MAX_PACKETS_OF_CARD) this.#partials.delete(oldestOfShare!)
    else if (this.#partials.size >= MAX_PACKETS) this.#partials.delete(this.#partials.keys().next().value!)
    const until = this.#clock.now() + TIME_OUT_MS[version]
    const partial: Partial = { pieces: [], came: 0, total: null, first: null, spoilt: false, until, share }
    this.#partials.set(key, partial)
    this.#timer ??= this.#clock.after(TIME_OUT_MS[version], () => this.#expire())
    return partial
  }

  #expire(): void {
    this.#timer = null
    const now = this.#clock.now()
    let next = Infinity
    for (const [key, { until, first, spoilt }] of this.#partials) {
      if (until > now) {
        next = Math.min(next, until)
        continue
      }
      this.#partials.delete(key)
      if (first && !spoilt) this.#expired(first)
    }
    if (next < Infinity) this.#timer ??= this.#clock.after(next - now, () => this.#expire())
  }
}

/** Whether a piece goes with those that came. False too for one that came before; where it contradicts them, all are spoilt. */
function fits(partial: Partial, { payload, fragment }: IncomingPacket): boolean {
  const { offset, more } = fragment!
  const end = offset + payload.length
  const spoil = (): false => {
    Object.assign(partial, { pieces: [], first: null, spoilt: true })
    return false
  }
  if (partial.total !== null && (more ? end >= partial.total : end !== partial.total)) {
    return spoil()
  }
  for (const { offset: begin, bytes } of partial.pieces) {
    if (begin === offset && bytes.length === payload.length) return sameBytes(bytes, payload) ? false : spoil()
    if (begin < end && offset < begin + bytes.length) return spoil()
    if (!more && begin + bytes.length > end) return spoil()
  }
  return partial.pieces.length < MAX_PIECES ? true : spoil()
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, at) => byte === b[at])
}

function keyOf({ source, destination, protocol, version, fragment }: IncomingPacket): string {
  const addresses = `${source.join('.')}>${destination.join('.')}`
  return version === 4 ? `${addresses} ${protocol} ${fragment!.id}` : `${addresses} ${fragment!.id}`
}

function copyOf(packet: IncomingPacket): IncomingPacket {
  return { ...parseIp(packet.whole.slice())!, sourceMac: packet.sourceMac }
}

/** Null: what is whole now is no packet. */
function assemble(first: IncomingPacket, { pieces, total }: Partial): IncomingPacket | null {
  const header = ipHeaderBytes(first.source)
  const whole = new Uint8Array(header + total!)
  // The length field of IPv4 counts the header, too.
  if (first.version === 4 && whole.length > 0xffff) return null
  const { source, destination, protocol, ttl, trafficClass } = first
  writeIp(whole, 0, { source, destination, protocol, ttl, trafficClass, flags: 0 }, total!)
  for (const { offset, bytes } of pieces) whole.set(bytes, header + offset)
  const packet = parseIp(whole)
  return packet && !packet.fragment ? { ...packet, sourceMac: first.sourceMac } : null
}
