/** Telling a packet's sender by ICMP why it goes no further: what may be told (RFC 1122, 3.2.2; RFC 4443, 2.4), and in which words. */
import { ICMP, ICMPV6, ICMPV6_UNREACHABLE, ICMP_HEADER, ICMP_UNREACHABLE, type IcmpMessage } from '../codec/icmp.ts'
import { IPV4_HEADER, IPV6_HEADER, PROTOCOL, type IpPacket } from '../codec/ip.ts'
import type { Refusal } from '../ip-output.ts'
import { isMulticastIp, isZero } from './addresses.ts'

/** Bytes of the whole error, header included, at most (RFC 1812, 4.3.2.3; RFC 4443, 2.4 c). */
const MAX_ERROR = { 4: 576, 6: 1280 } as const
/** The error about a packet; null where none may be told. */
export function errorAbout(packet: IpPacket, why: Refusal | 'reassembly'): IcmpMessage | null {
  const { version, source, destination, protocol, fragment, payload } = packet
  if (isZero(source) || isMulticastIp(source) || (fragment && fragment.offset > 0)) return null
  const four = version === 4
  if (four && (source[0] === 127 || isBroadcast(source))) return null
  // Of packets to many only what is too big is told (RFC 4443, 2.4 e.3).
  if ((isMulticastIp(destination) || (four && isBroadcast(destination))) && (four || typeof why === 'string')) return null
  if (four && protocol === PROTOCOL.icmp && isError4(payload[0])) return null
  // Redirects, too (RFC 4443, 2.4 e.2).
  if (!four && protocol === PROTOCOL.icmpv6 && (payload.length === 0 || payload[0]! < 128 || payload[0] === 137)) return null
  const what = four ? inIcmp(why) : inIcmpv6(why, packet)
  return what && { ...what, body: packet.whole.slice(0, MAX_ERROR[version] - (four ? IPV4_HEADER : IPV6_HEADER) - ICMP_HEADER) }
}

function isBroadcast(address: Uint8Array): boolean {
  return address.every((byte) => byte === 255)
}

/** All but echo, time stamps, masks and router discovery: also what is not known. */
function isError4(type: number | undefined): boolean {
  return type === undefined || ![0, 8, 9, 10, 13, 14, 15, 16, 17, 18].includes(type)
}

type What = Omit<IcmpMessage, 'body'> | null

function inIcmp(why: Refusal | 'reassembly'): What {
  const unreachable = (code: number, rest = 0): What => ({ type: ICMP.unreachable, code, rest })
  // RFC 1191, 4.
  if (typeof why === 'object') return unreachable(ICMP_UNREACHABLE.fragmentationNeeded, why.tooBig)
  if (why === 'time-exceeded' || why === 'reassembly') return { type: ICMP.timeExceeded, code: why === 'reassembly' ? 1 : 0, rest: 0 }
  return unreachable(ICMP_UNREACHABLE[why])
}

const V6_CODES = { network: 'noRoute', host: 'address', port: 'port', prohibited: 'prohibited' } as const

function inIcmpv6(why: Refusal | 'reassembly', { whole, payload }: IpPacket): What {
  if (typeof why === 'object') return { type: ICMPV6.packetTooBig, code: 0, rest: why.tooBig }
  if (why === 'time-exceeded' || why === 'reassembly') return { type: ICMPV6.timeExceeded, code: why === 'reassembly' ? 1 : 0, rest: 0 }
  if (why !== 'protocol') return { type: ICMPV6.unreachable, code: ICMPV6_UNREACHABLE[V6_CODES[why]], rest: 0 }
  // Unknown next header (RFC 4443, 3.4); behind extension headers it would have to be looked for.
  return whole.length - payload.length === IPV6_HEADER ? { type: ICMPV6.parameterProblem, code: 1, rest: 6 } : null
}
