/**
 * Both ways of a TCP or UDP flow, put together from the kept frames of one port. TCP's bytes stand in the order of their sequence numbers, each once, however often and in whatever order its
 * segments came (RFC 9293, 3.4); where some are not kept, what follows stands behind the gap and the flow is called incomplete.
 */
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { formatIp, sameIp, type IpAddress } from '../../../src-shared/model/ip.ts'
import type { FlowView } from '../../../src-shared/threads/network-thread.ts'
import { ETHERNET_HEADER, ETHERTYPE, ethertypeOf } from '../codec/ethernet.ts'
import { parseIp, PROTOCOL } from '../codec/ip.ts'
import { parseTcp, TCP } from '../codec/tcp.ts'
import { parseUdp } from '../codec/udp.ts'
import type { KeptFrame } from './frame-chunk.ts'
import type { FrameStore } from './frame-store.ts'

/** Bytes of a flow that are shown. */
const MAX_SHOWN = 1024 * 1024
/** A segment that is further ahead than any window is of another life of the ports. */
const FAR = 0x4000_0000

interface Segment {
  protocol: 'tcp' | 'udp'
  source: IpAddress
  destination: IpAddress
  sourcePort: number
  destinationPort: number
  /** 0 of UDP. */
  sequence: number
  syn: boolean
  payload: Uint8Array
}

/** Null: the frame is of no flow. */
export function followFlow(store: FrameStore, frame: KeptFrame): FlowView | null {
  const sought = segmentOf(frame.bytes)
  if (!sought) return null
  const segments: { number: number; segment: Segment; from: 0 | 1 }[] = []
  let first: Segment | null = null
  for (const { number, bytes } of store.from(store.oldest)) {
    const segment = segmentOf(bytes)
    if (!segment || segment.protocol !== sought.protocol || !(isSame(segment, sought) || isReply(segment, sought))) continue
    // The ports begin another life: what was before is another flow, unless the packet was in it.
    if (segment.syn && first && isSame(segment, first) && segment.sequence !== first.sequence) {
      if (number > frame.number) break
      segments.length = 0
      first = null
    }
    first ??= segment
    segments.push({ number, segment: { ...segment, payload: segment.payload.slice() }, from: isSame(segment, first) ? 0 : 1 })
  }
  if (!first) return null
  const ways = [new Way(), new Way()] as const
  const parts: FlowView['parts'] = []
  let shown = 0
  let incomplete = false
  for (const { segment, from } of segments) {
    const fresh = segment.protocol === 'udp' ? [segment.payload] : ways[from].take(segment)
    for (const bytes of fresh) {
      if (bytes.length === 0) continue
      if (shown + bytes.length > MAX_SHOWN) {
        incomplete = true
        break
      }
      shown += bytes.length
      const last = parts.at(-1)
      // One side's segments in a row are one text; datagrams stay apart.
      if (last?.from === from && segment.protocol === 'tcp') last.bytes = concatBytes([last.bytes, bytes])
      else parts.push({ from, bytes: bytes.slice() })
    }
  }
  for (const [from, way] of ways.entries()) {
    for (const bytes of way.rest()) parts.push({ from: from as 0 | 1, bytes: bytes.slice() })
    incomplete ||= way.gap
  }
  const begunUnseen = sought.protocol === 'tcp' && !first.syn
  return {
    protocol: sought.protocol,
    ends: [endOf(first.source, first.sourcePort), endOf(first.destination, first.destinationPort)],
    parts,
    incomplete: incomplete || begunUnseen,
  }
}

/** One direction of a TCP connection. */
class Way {
  #next: number | null = null
  #ahead = new Map<number, Uint8Array>()
  gap = false

  /** What is in order by now. */
  take({ sequence, syn, payload }: Segment): Uint8Array[] {
    const start = syn ? (sequence + 1) >>> 0 : sequence
    this.#next ??= start
    const ahead = distance(this.#next, start)
    if (ahead > 0 && ahead < FAR) {
      if (payload.length > (this.#ahead.get(start)?.length ?? 0)) this.#ahead.set(start, payload)
      return []
    }
    const fresh: Uint8Array[] = []
    const put = (at: number, bytes: Uint8Array): void => {
      const old = -distance(this.#next!, at)
      if (old < 0 || old >= bytes.length) return
      fresh.push(bytes.subarray(old))
      this.#next = (this.#next! + bytes.length - old) >>> 0
    }
    put(start, payload)
    for (let again = true; again;) {
      again = false
      for (const [at, bytes] of this.#ahead) {
        if (distance(this.#next, at) > 0) continue
        this.#ahead.delete(at)
        put(at, bytes)
        again = true
      }
    }
    return fresh
  }

  /** What waits behind a gap. */
  rest(): Uint8Array[] {
    if (this.#ahead.size === 0) return []
    this.gap = true
    return [...this.#ahead].sort(([a], [b]) => distance(b, a)).map(([, bytes]) => bytes)
  }
}

/** How far `to` is behind `from`, modulo 2^32 (RFC 9293, 3.4). */
function distance(from: number, to: number): number {
  return (to - from) | 0
}

function segmentOf(frame: Uint8Array): Segment | null {
  if (frame.length < ETHERNET_HEADER) return null
  const type = ethertypeOf(frame)
  if (type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6) return null
  const packet = parseIp(frame.subarray(ETHERNET_HEADER))
  if (!packet || packet.fragment) return null
  const { source, destination } = packet
  if (packet.protocol === PROTOCOL.tcp) {
    const tcp = parseTcp(packet)
    return tcp && { ...tcp, protocol: 'tcp', source, destination, syn: (tcp.flags & TCP.syn) !== 0 }
  }
  if (packet.protocol !== PROTOCOL.udp) return null
  const udp = parseUdp(packet)
  return udp && { ...udp, protocol: 'udp', source, destination, sequence: 0, syn: false }
}

function isSame(a: Segment, b: Segment): boolean {
  return (
    a.sourcePort === b.sourcePort &&
    a.destinationPort === b.destinationPort &&
    sameIp(a.source, b.source) &&
    sameIp(a.destination, b.destination)
  )
}

function isReply(a: Segment, b: Segment): boolean {
  return (
    a.sourcePort === b.destinationPort &&
    a.destinationPort === b.sourcePort &&
    sameIp(a.source, b.destination) &&
    sameIp(a.destination, b.source)
  )
}

function endOf(address: IpAddress, port: number): string {
  return address.length === 4 ? `${formatIp(address)}:${port}` : `[${formatIp(address)}]:${port}`
}
