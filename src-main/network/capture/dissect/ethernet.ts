/** Ethernet II, 802.1Q tags and 802.3 lengths (IEEE 802.3, 3.1.1; IEEE 802.1Q, 9.6). */
import { destinationOf, ETHERNET_HEADER, ETHERTYPE, formatMac, isMulticast, sourceOf } from '../../codec/ethernet.ts'
import { dissectArp } from './arp.ts'
import { hex, type Dissection } from './dissection.ts'
import { dissectIp } from './ip.ts'

const NAMES = new Map<number, string>([
  [ETHERTYPE.ipv4, 'IPv4'],
  [ETHERTYPE.arp, 'ARP'],
  [ETHERTYPE.ipv6, 'IPv6'],
  [ETHERTYPE.vlan, '802.1Q'],
  [0x88cc, 'LLDP'],
  [0x888e, '802.1X'],
])
/** Smaller values are lengths (IEEE 802.3, 3.2.6). */
const FIRST_TYPE = 0x600
/** Tags in tags. */
const MAX_TAGS = 4

export function dissectEthernet(found: Dissection): void {
  const { frame } = found
  if (frame.length < ETHERNET_HEADER) {
    found.say(`A frame of ${frame.length} bytes, shorter than its header.`)
    return
  }
  const [destination, source] = [destinationOf(frame), sourceOf(frame)]
  found.macs.push(source, destination)
  found.source = formatMac(source)
  found.destination = formatMac(destination)
  let at = 12
  let type = typeAt(frame, at)
  const fields: [string, string][] = [
    ['Destination', `${formatMac(destination)}${isMulticast(destination) ? ' (group)' : ''}`],
    ['Source', formatMac(source)],
    ['Type', nameOf(type)],
  ]
  found.layer(
    'Ethernet',
    0,
    ETHERNET_HEADER,
    fields,
    ...(destination === 0xffff_ffff_ffff ? ['broadcast'] : isMulticast(destination) ? ['multicast'] : []),
  )
  for (let tags = 0; type === ETHERTYPE.vlan && tags < MAX_TAGS && at + 6 <= frame.length; tags++) {
    const tag = typeAt(frame, at + 2)
    at += 4
    type = typeAt(frame, at)
    found.layer(
      '802.1Q',
      at,
      4,
      [
        ['VLAN', tag & 0xfff],
        ['Priority', tag >> 13],
        ['Type', nameOf(type)],
      ],
      'vlan',
    )
  }
  at += 2
  if (type === ETHERTYPE.arp) return dissectArp(found, at)
  if (type === ETHERTYPE.ipv4 || type === ETHERTYPE.ipv6) return dissectIp(found, at)
  found.say(`${nameOf(type)}, ${frame.length - at} bytes`)
}

function typeAt(frame: Uint8Array, at: number): number {
  return (frame[at]! << 8) | frame[at + 1]!
}

function nameOf(type: number): string {
  if (type < FIRST_TYPE) return `802.3, ${type} bytes`
  const name = NAMES.get(type)
  return name === undefined ? `Type ${hex(type, 4)}` : `${name} (${hex(type, 4)})`
}
