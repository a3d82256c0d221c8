/** ICMP (RFC 792), ICMPv6 (RFC 4443) and neighbour discovery (RFC 4861). */
import { formatIp } from '../../../../src-shared/model/ip.ts'
import { ICMPV6, parseIcmp } from '../../codec/icmp.ts'
import type { IpPacket } from '../../codec/ip.ts'
import type { Dissection } from './dissection.ts'

const V4 = new Map([
  [0, 'Echo reply'],
  [3, 'Destination unreachable'],
  [5, 'Redirect'],
  [8, 'Echo request'],
  [11, 'Time exceeded'],
  [12, 'Parameter problem'],
])
const V6 = new Map<number, string>([
  [ICMPV6.unreachable, 'Destination unreachable'],
  [ICMPV6.packetTooBig, 'Packet too big'],
  [ICMPV6.timeExceeded, 'Time exceeded'],
  [4, 'Parameter problem'],
  [ICMPV6.echoRequest, 'Echo request'],
  [ICMPV6.echoReply, 'Echo reply'],
  [131, 'Multicast listener report'],
  [143, 'Multicast listener report'],
  [ICMPV6.routerSolicitation, 'Router solicitation'],
  [ICMPV6.routerAdvertisement, 'Router advertisement'],
  [ICMPV6.neighbourSolicitation, 'Neighbour solicitation'],
  [ICMPV6.neighbourAdvertisement, 'Neighbour advertisement'],
  [137, 'Redirect'],
])
const UNREACHABLE = ['network', 'host', 'protocol', 'port', 'too large', 'source route']
const UNREACHABLE_V6 = ['no route', 'prohibited', 'beyond scope', 'address', 'port']

export function dissectIcmp(found: Dissection, packet: IpPacket, at: number): void {
  const name = packet.version === 4 ? 'ICMP' : 'ICMPv6'
  const message = parseIcmp(packet)
  if (!message) {
    found.layer(name, at, packet.payload.length, [['Checksum', 'wrong, or cut off']], 'icmp', 'malformed')
    return found.say(`${name} with a wrong checksum`)
  }
  const { type, code, rest, body } = message
  const kind = (packet.version === 4 ? V4 : V6).get(type) ?? `Type ${type}`
  const fields: [string, string | number][] = [
    ['Type', `${kind} (${type})`],
    ['Code', code],
  ]
  const isEcho = kind.startsWith('Echo')
  const target = isNeighbour(type, packet.version) && body.length >= 16 ? formatIp(body.subarray(0, 16)) : null
  if (isEcho) fields.push(['Identifier', rest >>> 16], ['Sequence number', rest & 0xffff])
  if (target !== null) fields.push(['Target', target])
  found.layer(name, at, packet.payload.length, fields, 'icmp', ...(isEcho ? ['ping'] : []))
  if (isEcho) found.say(`${kind}, id ${rest >>> 16}, number ${rest & 0xffff}, ${body.length} bytes`)
  else if (target !== null) found.say(type === ICMPV6.neighbourSolicitation ? `Who has ${target}?` : `${target} is here`)
  else if (kind === 'Destination unreachable')
    found.say(`${kind}: ${(packet.version === 4 ? UNREACHABLE : UNREACHABLE_V6)[code] ?? `code ${code}`}`)
  else found.say(kind)
}

function isNeighbour(type: number, version: number): boolean {
  return version === 6 && (type === ICMPV6.neighbourSolicitation || type === ICMPV6.neighbourAdvertisement)
}
