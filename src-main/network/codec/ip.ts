/** IPv4 (RFC 791) and IPv6 (RFC 8200) headers. A packet is what follows the Ethernet header. */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { foldSum, sumWords } from './checksum.ts'
import { wordAt } from './words.ts'

export const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const
export const IPV4_HEADER = 20
export const IPV6_HEADER = 40
const DEFAULT_TTL = 64

export interface IpPacket {
  version: 4 | 6
  source: IpAddress
  destination: IpAddress
  /** Of IPv6 behind its extension headers; of its fragments, behind the fragment header. */
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
 * Views into `bytes`: nothing is copied. Null: no IP packet, a wrong checksum, or one that is shorter than it says; of IPv6 also one with a routing header of type 0
 * (RFC 5095) or more than MAX_EXTENSIONS extension headers.
 * @param start of the packet, behind a frame's header
 */
export function parseIp(bytes: Uint8Array, start = 0): IpPacket | null {
  const version = bytes.length > start ? bytes[start]! >> 4 : 0
  return version === 4 ? parseV4(bytes, start) : version === 6 ? parseV6(bytes, start) : null
}

function parseV4(bytes: Uint8Array, start: number): IpPacket | null {
  if (bytes.length - start < IPV4_HEADER) return null
  const header = (bytes[start]! & 15) * 4
  const total = (bytes[start + 2]! << 8) | bytes[start + 3]!
  if (header < IPV4_HEADER || total < header || total > bytes.length - start) return null
  if (foldSum(sumWords(bytes, start, start + header)) !== 0) return null
  const flags = (bytes[start + 6]! << 8) | bytes[start + 7]!
  const offset = (flags & 0x1fff) * 8
  const more = (flags & 0x2000) !== 0
  return {
    version: 4,
    source: bytes.subarray(start + 12, start + 16),
    destination: bytes.subarray(start + 16, start + 20),
    protocol: bytes[start + 9]!,
    ttl: bytes[start + 8]!,
    trafficClass: bytes[start + 1]!,
    payload: bytes.subarray(start + header, start + total),
    whole: bytes.subarray(start, start + total),
    fragment: more || offset > 0 ? { id: (bytes[start + 4]! << 8) | bytes[start + 5]!, offset, more } : null,
    dontFragment: (flags & 0x4000) !== 0,
  }
}

const MAX_EXTENSIONS = 8
/** RFC 8200, 4.1. */
export const EXTENSION = { hopByHop: 0, routing: 43, fragment: 44, destination: 60 } as const

function parseV6(bytes: Uint8Array, start: number): IpPacket | null {
  if (bytes.length - start < IPV6_HEADER) return null
  const end = start + IPV6_HEADER + ((bytes[start + 4]! << 8) | bytes[start + 5]!)
  if (end > bytes.length) return null
  let protocol = bytes[start + 6]!
  let at = start + IPV6_HEADER
  let fragment: IpPacket['fragment'] = null
  for (let count = 0; isExtension(protocol); count++) {
    if (count === MAX_EXTENSIONS || at + 8 > end) return null
    const next = bytes[at]!
    let length = 8 + bytes[at + 1]! * 8
    if (protocol === EXTENSION.routing && bytes[at + 2] === 0) return null
    if (protocol === EXTENSION.fragment) {
      length = 8
      const word = (bytes[at + 2]! << 8) | bytes[at + 3]!
      const id = wordAt(bytes, at + 4)
      const more = (word & 1) !== 0
      const offset = word & 0xfff8
      // An atomic fragment is whole (RFC 6946).
      if (more || offset > 0) fragment = { id, offset, more }
    }
    if (at + length > end) return null
    at += length
    protocol = next
    // What follows is a piece of something: it is read when it is whole.
    if (fragment) break
  }
  return {
    version: 6,
    source: bytes.subarray(start + 8, start + 24),
    destination: bytes.subarray(start + 24, start + 40),
    protocol,
    ttl: bytes[start + 7]!,
    trafficClass: ((bytes[start]! & 15) << 4) | (bytes[start + 1]! >> 4),
    payload: bytes.subarray(at, end),
    whole: bytes.subarray(start, end),
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
    // Each byte by itself: of so few, that is faster than by `set`.
    for (let nth = 0; nth < 4; nth++) {
      bytes[at + 12 + nth] = source[nth]!
      bytes[at + 16 + nth] = destination[nth]!
    }
    bytes[at + 10] = 0
    bytes[at + 11] = 0
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

/** One hop less to go, and the checksum with it (RFC 1624). There is one left. */
export function ageIp(bytes: Uint8Array, at: number): void {
  if (bytes[at]! >> 4 === 6) {
    bytes[at + 7]!--
    return
  }
  bytes[at + 8]!--
  const added = ((bytes[at + 10]! << 8) | bytes[at + 11]!) + 0x100
  const sum = added + (added >= 0xffff ? 1 : 0)
  bytes[at + 10] = sum >> 8
  bytes[at + 11] = sum
}
