/** Who says that another’s address is its own, by ARP (RFC 826) or by neighbour discovery (RFC 4861, 4.1, 4.3 and 4.4): to have what is meant for the other. */
import { formatIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { formatMac } from '../../codec/ethernet.ts'
import { parseIcmp } from '../../codec/icmp.ts'
import { PROTOCOL } from '../../codec/ip.ts'
import { macIn, parseNeighbour } from '../../codec/neighbour.ts'
import { isZero } from '../../gateway/addresses.ts'
import { TtlMap } from '../../policy/ttl-map.ts'
import type { Clock } from '../../clock.ts'
import type { Detector, Seen } from '../seen.ts'

const MAX_KNOWN = 4096
/** ms for which an address is its last owner’s. */
const OWNED = 120_000

/** @param ownerOf the card that has an address by right: the gateway’s, or by a lease; null: nobody is known to */
export function arpSpoofing(clock: Clock, ownerOf: (address: IpAddress) => number | null): Detector {
  const known = new TtlMap<string, { mac: number; port: string }>(MAX_KNOWN, clock)
  return (seen) => {
    const claim = claimOf(seen)
    if (!claim) return null
    const { address, mac } = claim
    const text = formatIp(address)
    const rightful = ownerOf(address)
    const before = known.touch(text, OWNED)
    const other = rightful ?? (before && before.port !== seen.port ? before.mac : null)
    if (other !== null && other !== mac)
      return { about: text, message: `{name} says that it is ${text}, which is the address of ${formatMac(other)}.` }
    if (mac !== seen.source)
      return { about: `${text} for another`, message: `{name} says for another card (${formatMac(mac)}) that it has the address ${text}.` }
    known.set(text, { mac, port: seen.port }, OWNED)
    return null
  }
}

function claimOf({ arp, ip, source }: Seen): { address: IpAddress; mac: number } | null {
  // A sender without an address asks whether one is free (RFC 5227; RFC 4862, 5.4).
  if (arp) return isZero(arp.senderIp) ? null : { address: arp.senderIp, mac: arp.senderMac }
  if (ip?.protocol !== PROTOCOL.icmpv6 || ip.fragment) return null
  const icmp = parseIcmp(ip)
  const message = icmp && parseNeighbour(icmp)
  if (!message) return null
  // What stands in the message counts with those who hear it, before what the frame says.
  if (message.kind === 'neighbour-advertisement') return { address: message.target, mac: macIn(message.options, 'target-mac') ?? source }
  const mac = macIn(message.options, 'source-mac')
  return mac === null || isZero(ip.source) ? null : { address: ip.source.slice(), mac }
}
