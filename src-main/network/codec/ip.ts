/** IPv4 (RFC 791) and IPv6 (RFC 8200) headers. A packet is what follows the Ethernet header. */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { foldSum, sumWords } from './checksum.ts'

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const
export const IPV4_HEADER = 20
export const IPV6_HEADER = 40
const DEFAULT_TTL = 64

export interface IpPacket {
  version: 4 | 6
  source: IpAddress
  destination: IpAddress
  /** Of IPv6 behind its extension headers. */
  protocol: number
  ttl: number
  /** DSCP and ECN. */
  trafficClass: number
  /** Behind all headers; as long as the header says. */
  payload: Uint8Array
  /** The packet as it came, headers included, without what pads its frame: for errors, which quote it. */
  whole: Uint8Array
  /** Of a fragment; null: it is whole. Bytes. */
  fragment: { id: number; offset: number; more: boolean } | null
  /** IPv4: it must not be cut in pieces. */
  dontFragment: boolean
}

/**
 * Views into `packet`, but for nothing that is copied. Null: no IP packet, a wrong checksum, or one that is shorter than it says; of IPv6 also one with a routing header of
 * type 0 (RFC 5095) or more than MAX_EXTENSIONS extension headers.
 */
export function parseIp(packet: Uint8Array): IpPacket | null {
  const version = packet.length > 0 ? packet[0]! >> 4 : 0
  return version === 4 ? parseV4(packet) : version === 6 ? parseV6(packet) : null
}

function parseV4(packet: Uint8Array): IpPacket | null {
  if (packet.length < IPV4_HEADER) return null
  const header = (packet[0]! & 15) * 4
  const total = (packet[2]! << 8) | packet[3]!
  if (header < IPV4_HEADER || total < header || total > packet.length) return null
  if (foldSum(sumWords(packet, 0, header)) !== 0) return null
  const flags = (packet[6]! << 8) | packet[7]!
  const offset = (flags & 0x1fff) * 8
  const more = (flags & 0x2000) !== 0
  return {
    version: 4,
    source: packet.subarray(12, 16),
    destination: packet.subarray(16, 20),
    protocol: packet[9]!,
    ttl: packet[8]!,
    trafficClass: packet[1]!,
    payload: packet.subarray(header, total),
    whole: packet.subarray(0, total),
    fragment: more || offset > 0 ? { id: (packet[4]! << 8) | packet[5]!, offset, more } : null,
    dontFragment: (flags & 0x4000) !== 0,
  }
}

const MAX_EXTENSIONS = 8
/** RFC 8200, 4.1. */
const EXTENSION = { hopByHop: 0, routing: 43, fragment: 44, destination: 60 } as const

function parseV6(packet: Uint8Array): IpPacket | null {
  if (packet.length < IPV6_HEADER) return null
  const total = IPV6_HEADER + ((packet[4]! << 8) | packet[5]!)
  if (total > packet.length) return null
  let protocol = packet[6]!
  let at = IPV6_HEADER
  let fragment: IpPacket['fragment'] = null
  for (let count = 0; isExtension(protocol); count++) {
    if (count === MAX_EXTENSIONS || at + 8 > total) return null
    const next = packet[at]!
    let length = 8 + packet[at + 1]! * 8
    if (protocol === EXTENSION.routing && packet[at + 2] === 0) return null
    if (protocol === EXTENSION.fragment) {
      length = 8
      const word = (packet[at + 2]! << 8) | packet[at + 3]!
      const id = ((packet[at + 4]! << 24) | (packet[at + 5]! << 16) | (packet[at + 6]! << 8) | packet[at + 7]!) >>> 0
      const more = (word & 1) !== 0
      const offset = word & 0xfff8
      // An atomic fragment is whole (RFC 6946).
      if (more || offset > 0) fragment = { id, offset, more }
    }
    if (at + length > total) return null
    at += length
    protocol = next
    // What follows in a later fragment is no header.
    if (fragment && fragment.offset > 0) break
  }
  return {
    version: 6,
    source: packet.subarray(8, 24),
    destination: packet.subarray(24, 40),
    protocol,
    ttl: packet[7]!,
    trafficClass: ((packet[0]! & 15) << 4) | (packet[1]! >> 4),
    payload: packet.subarray(at, total),
    whole: packet.subarray(0, total),
    fragment,
    dontFragment: true,
  }
}

function isExtension(protocol: number): boolean {
  return (
    protocol === EXTENSION.hopByHop ||
    protocol === EXTENSION.routing ||
    protocol === EXTENSION.fragment ||
    protocol === EXTENSION.destination
  )
}

export interface IpHeader {
  source: IpAddress
  destination: IpAddress
  protocol: number
  ttl?: number
  trafficClass?: number
  /** IPv4; 0 where it cannot be cut in pieces. */
  id?: number
  /** IPv4. Absent: not to be cut in pieces. */
  flags?: number
}

/** Bytes of the header that goes with an address of this length. */
export function ipHeaderBytes(address: IpAddress): number {
  return address.length === 4 ? IPV4_HEADER : IPV6_HEADER
}

/** Writes a header without options for `length` bytes of payload. */
export function writeIp(
  bytes: Uint8Array,
  at: number,
  { source, destination, protocol, ttl = DEFAULT_TTL, trafficClass = 0, id = 0, flags = 0x4000 }: IpHeader,
  length: number,
): void {
  if (source.length === 4) {
    const total = IPV4_HEADER + length
    bytes[at] = 0x45
    bytes[at + 1] = trafficClass
    bytes[at + 2] = total >> 8
    bytes[at + 3] = total
    bytes[at + 4] = id >> 8
    bytes[at + 5] = id
    bytes[at + 6] = flags >> 8
    bytes[at + 7] = flags
    bytes[at + 8] = ttl
    bytes[at + 9] = protocol
    bytes[at + 10] = 0
    bytes[at + 11] = 0
    bytes.set(source, at + 12)
    bytes.set(destination, at + 16)
    const sum = foldSum(sumWords(bytes, at, at + IPV4_HEADER))
    bytes[at + 10] = sum >> 8
    bytes[at + 11] = sum
    return
  }
  bytes[at] = 0x60 | (trafficClass >> 4)
  bytes[at + 1] = (trafficClass & 15) << 4
  bytes[at + 2] = 0
  bytes[at + 3] = 0
  bytes[at + 4] = length >> 8
  bytes[at + 5] = length
  bytes[at + 6] = protocol
  bytes[at + 7] = ttl
  bytes.set(source, at + 8)
  bytes.set(destination, at + 24)
}
