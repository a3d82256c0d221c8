/** IPv4 (RFC 791, 3.1) and IPv6 (RFC 8200, 3 and 4). */
import { formatIp } from '../../../../src-shared/model/ip.ts'
import { parseIp, PROTOCOL } from '../../codec/ip.ts'
import { type Dissection } from './dissection.ts'
import { dissectIcmp } from './icmp.ts'
import { dissectTcp } from './tcp.ts'
import { dissectUdp } from './udp.ts'

const NAMES = new Map<number, string>([
  [PROTOCOL.icmp, 'ICMP'],
  [2, 'IGMP'],
  [PROTOCOL.tcp, 'TCP'],
  [PROTOCOL.udp, 'UDP'],
  [47, 'GRE'],
  [50, 'ESP'],
  [PROTOCOL.icmpv6, 'ICMPv6'],
  [89, 'OSPF'],
  [132, 'SCTP'],
])

export function dissectIp(found: Dissection, at: number): void {
  const packet = parseIp(found.frame.subarray(at))
  if (!packet) {
    found.say('An IP packet that is cut off, or whose header is damaged')
    return
  }
  const { source, destination, protocol, fragment, payload, whole, version } = packet
  const name = NAMES.get(protocol) ?? `Protocol ${protocol}`
  const header = whole.length - payload.length
  found.addresses.push(source, destination)
  found.source = formatIp(source)
  found.destination = formatIp(destination)
  found.layer(
    version === 4 ? 'IPv4' : 'IPv6',
    at,
    header,
    [
      ['Source', found.source],
      ['Destination', found.destination],
      ['Protocol', `${name} (${protocol})`],
      [version === 4 ? 'Time to live' : 'Hop limit', packet.ttl],
      ['Length', `${whole.length} bytes`],
      ...(packet.trafficClass ? [['Traffic class', packet.trafficClass] as [string, number]] : []),
      ...(version === 4 && packet.dontFragment ? [['Flags', 'do not fragment'] as [string, string]] : []),
      ...(fragment
        ? [
            ['Fragment', `${fragment.id}, from byte ${fragment.offset} on${fragment.more ? ', more follow' : ', the last'}`] as [
              string,
              string,
            ],
          ]
        : []),
    ],
    ...(version === 4 ? ['ip'] : ['ip6']),
    ...(fragment ? ['fragment'] : []),
  )
  const start = at + header
  if (fragment && fragment.offset > 0) return found.say(`A part of a ${name} packet, from byte ${fragment.offset} on`)
  if (protocol === PROTOCOL.tcp) return dissectTcp(found, packet, start)
  if (protocol === PROTOCOL.udp) return dissectUdp(found, packet, start)
  if (protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6) return dissectIcmp(found, packet, start)
  found.say(`${name}, ${payload.length} bytes`)
}
