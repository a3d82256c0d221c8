/** UDP (RFC 768), and what is in it by its ports. */
import type { IpPacket } from '../../codec/ip.ts'
import { parseUdp, UDP_HEADER } from '../../codec/udp.ts'
import { dissectDhcp } from './dhcp.ts'
import { dissectDns } from './dns.ts'
import type { Dissection } from './dissection.ts'

const NAMES = new Map([
  [69, 'TFTP'],
  [123, 'NTP'],
  [443, 'QUIC'],
  [546, 'DHCPv6'],
  [547, 'DHCPv6'],
  [1900, 'SSDP'],
])
const DNS_PORTS = new Set([53, 5353, 5355])

export function dissectUdp(found: Dissection, packet: IpPacket, at: number): void {
  // A first fragment has not all that its checksum is of.
  if (packet.fragment) return found.say('The first part of a UDP datagram')
  const datagram = parseUdp(packet)
  if (!datagram) {
    found.layer('UDP', at, packet.payload.length, [['Checksum', 'wrong, or cut off']], 'malformed')
    return found.say('UDP with a wrong checksum')
  }
  const { sourcePort, destinationPort, payload } = datagram
  found.ports.push(sourcePort, destinationPort)
  found.layer('UDP', at, UDP_HEADER, [
    ['Source port', sourcePort],
    ['Destination port', destinationPort],
    ['Payload', `${payload.length} bytes`],
  ])
  found.say(`${sourcePort} → ${destinationPort}, ${payload.length} bytes`)
  const start = at + UDP_HEADER
  const ports = [destinationPort, sourcePort]
  if (ports.includes(67) && ports.some((port) => port === 67 || port === 68)) return dissectDhcp(found, payload, start)
  if (ports.some((port) => DNS_PORTS.has(port))) return dissectDns(found, payload, start)
  const name = ports.map((port) => NAMES.get(port)).find((known) => known !== undefined)
  if (name !== undefined) found.layer(name, start, payload.length, [['Length', `${payload.length} bytes`]])
}
