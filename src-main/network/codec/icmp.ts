/** ICMP (RFC 792) and ICMPv6 (RFC 4443): the header, echo and errors. Neighbour discovery is in neighbour.ts. */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { foldSum, pseudoSum, sumWords } from './checksum.ts'
import { PROTOCOL, type IpPacket } from './ip.ts'
import { wordAt } from './words.ts'

export const ICMP_HEADER = 8
export const ICMP = { echoReply: 0, unreachable: 3, echoRequest: 8, timeExceeded: 11 } as const
export const ICMP_UNREACHABLE = { network: 0, host: 1, protocol: 2, port: 3, fragmentationNeeded: 4, prohibited: 13 } as const
export const ICMPV6 = {
  ...{ unreachable: 1, packetTooBig: 2, timeExceeded: 3, parameterProblem: 4, echoRequest: 128, echoReply: 129 },
  ...{ routerSolicitation: 133, routerAdvertisement: 134, neighbourSolicitation: 135, neighbourAdvertisement: 136, redirect: 137 },
} as const
export const ICMPV6_UNREACHABLE = { noRoute: 0, prohibited: 1, address: 3, port: 4 } as const

export interface IcmpMessage {
  type: number
  code: number
  /** The four bytes behind the checksum: identifier and sequence number of an echo, MTU of an error. */
  rest: number
  /** Behind the eight bytes of the header. */
  body: Uint8Array
}

/** Null: too short, or a wrong checksum. */
export function parseIcmp({
  version,
  source,
  destination,
  payload,
}: Pick<IpPacket, 'version' | 'source' | 'destination' | 'payload'>): IcmpMessage | null {
  if (payload.length < ICMP_HEADER) return null
  const sum = version === 4 ? 0 : pseudoSum(source, destination, PROTOCOL.icmpv6, payload.length)
  if (foldSum(sumWords(payload, 0, payload.length, sum)) !== 0) return null
  const rest = wordAt(payload, 4)
  return { type: payload[0]!, code: payload[1]!, rest, body: payload.subarray(ICMP_HEADER) }
}

/** To follow an IP header with these addresses. */
export function buildIcmp(source: IpAddress, destination: IpAddress, { type, code, rest, body }: IcmpMessage): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ICMP_HEADER + body.length)
  bytes.set([type, code, 0, 0, rest >>> 24, rest >>> 16, rest >>> 8, rest])
  bytes.set(body, ICMP_HEADER)
  const start = source.length === 4 ? 0 : pseudoSum(source, destination, PROTOCOL.icmpv6, bytes.length)
  const sum = foldSum(sumWords(bytes, 0, bytes.length, start))
  bytes[2] = sum >> 8
  bytes[3] = sum
  return bytes
}
