/** A frame that a machine sent, as detectors look at it. */
import { ETHERNET_HEADER, ETHERTYPE, ethertypeOf, sourceOf, tagBytesOf } from '../codec/ethernet.ts'
import { parseArp, type ArpPacket } from '../codec/arp.ts'
import { parseIp, PROTOCOL, type IpPacket } from '../codec/ip.ts'
import { TCP } from '../codec/tcp.ts'

export interface Seen {
  /** ms, as Clock.now. */
  now: number
  /** `machine/nic` */
  port: string
  /** The card's own, and the one that the frame says. */
  mac: number
  source: number
  arp: ArpPacket | null
  ip: IpPacket | null
  /** Of TCP and UDP, where the packet has them. */
  ports: { source: number; destination: number } | null
  /** It asks for a connection. */
  syn: boolean
  /** Behind the header of UDP; of TCP behind its header. */
  payload: Uint8Array
}

export interface Finding {
  /** What tells it from another of the same kind: one alert each. */
  about: string
  /** A sentence about the machine, which is called by the name that is put for {name}. */
  message: string
}

/** One kind of misuse. Told of each frame in turn; gives what it finds. */
export type Detector = (seen: Seen) => Finding | null

const NOTHING = new Uint8Array()

/** Of a TCP segment that is in the middle of a connection, which only patterns ask about. */
export function isPlainData(frame: Uint8Array): boolean {
  const type = ethertypeOf(frame)
  if (type === ETHERTYPE.ipv4) {
    if (frame[23] !== PROTOCOL.tcp || (frame[20]! & 0x3f) !== 0 || frame[21] !== 0) return false
    return isMiddle(frame[ETHERNET_HEADER + (frame[14]! & 15) * 4 + 13])
  }
  return type === ETHERTYPE.ipv6 && frame[20] === PROTOCOL.tcp && isMiddle(frame[ETHERNET_HEADER + 40 + 13])
}

function isMiddle(flags: number | undefined): boolean {
  return flags !== undefined && (flags & TCP.ack) !== 0 && (flags & TCP.syn) === 0
}

export function seenOf(port: string, mac: number, frame: Uint8Array, now: number): Seen {
  const seen: Seen = { now, port, mac, source: sourceOf(frame), arp: null, ip: null, ports: null, syn: false, payload: NOTHING }
  const tags = tagBytesOf(frame)
  if (tags === null) return seen
  const start = ETHERNET_HEADER + tags
  const type = (frame[start - 2]! << 8) | frame[start - 1]!
  if (type === ETHERTYPE.arp) seen.arp = parseArp(frame.subarray(start))
  if (type !== ETHERTYPE.ipv4 && type !== ETHERTYPE.ipv6) return seen
  const ip = parseIp(frame, start)
  seen.ip = ip
  if (!ip || (ip.fragment && ip.fragment.offset > 0)) return seen
  const { payload, protocol } = ip
  if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp) return seen
  if (payload.length < (protocol === PROTOCOL.tcp ? 20 : 8)) return seen
  seen.ports = { source: (payload[0]! << 8) | payload[1]!, destination: (payload[2]! << 8) | payload[3]! }
  seen.syn = protocol === PROTOCOL.tcp && (payload[13]! & (TCP.syn | TCP.ack | TCP.rst)) === TCP.syn
  seen.payload = payload.subarray(protocol === PROTOCOL.tcp ? Math.min(payload.length, (payload[12]! >> 4) * 4) : 8)
  return seen
}
