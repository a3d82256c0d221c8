/** What routers between the gateway and a machine say of segments that do not fit one of their networks (RFC 1191, 4; RFC 8201, 4). */
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import { ICMP, ICMP_UNREACHABLE, ICMPV6, parseIcmp } from '../../codec/icmp.ts'
import { IPV4_HEADER, IPV6_HEADER, PROTOCOL, type IpPacket } from '../../codec/ip.ts'
import { wordAt } from '../../codec/words.ts'

/** What of a segment is quoted at least: ports and number (RFC 792). */
const QUOTED = 8

/** A segment to a machine that did not fit. */
export interface TooBig {
  remote: IpAddress
  remotePort: number
  guest: IpAddress
  guestPort: number
  sequence: number
  /** Bytes of a packet that would. */
  mtu: number
}

/** Null: the packet says no such thing, or not of TCP. @param packet of ICMP */
export function tooBigOf(packet: IpPacket): TooBig | null {
  const message = parseIcmp(packet)
  if (!message) return null
  const { type, code, rest, body } = message
  const four = packet.version === 4
  const says = four ? type === ICMP.unreachable && code === ICMP_UNREACHABLE.fragmentationNeeded : type === ICMPV6.packetTooBig
  if (!says || body.length < (four ? IPV4_HEADER : IPV6_HEADER) || body[0]! >> 4 !== packet.version) return null
  const at = four ? (body[0]! & 15) * 4 : IPV6_HEADER
  if (body[four ? 9 : 6] !== PROTOCOL.tcp || at < IPV4_HEADER || body.length < at + QUOTED) return null
  const [from, length] = four ? [12, 4] : [8, 16]
  return {
    remote: body.slice(from, from + length),
    guest: body.slice(from + length, from + 2 * length),
    remotePort: (body[at]! << 8) | body[at + 1]!,
    guestPort: (body[at + 2]! << 8) | body[at + 3]!,
    sequence: wordAt(body, at + 4),
    mtu: four ? rest & 0xffff : rest,
  }
}
