/** Who says that another’s address is its own, by ARP (RFC 826) or a neighbour advertisement (RFC 4861, 4.4): to have what is meant for the other. */
import { formatIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { formatMac } from '../../codec/ethernet.ts'
import { ICMPV6 } from '../../codec/icmp.ts'
import { PROTOCOL } from '../../codec/ip.ts'
import { TtlMap } from '../../policy/ttl-map.ts'
import type { Clock } from '../../clock.ts'
import type { Detector, Seen } from '../seen.ts'

const MAX_KNOWN = 4096
/** ms for which an address is its last owner’s. */
const OWNED = 120_000
/** An answer to nobody in particular, or one that was asked for: both change what others know. */
const TARGET = { at: 8, length: 16 } as const

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
    if (mac !== seen.source && seen.arp)
      return { about: `${text} for another`, message: `{name} says for another card (${formatMac(mac)}) that it has the address ${text}.` }
    known.set(text, { mac, port: seen.port }, OWNED)
    return null
  }
}

function claimOf({ arp, ip, source }: Seen): { address: IpAddress; mac: number } | null {
  // A sender without an address asks whether one is free (RFC 5227).
  if (arp) return arp.senderIp.every((byte) => byte === 0) ? null : { address: arp.senderIp, mac: arp.senderMac }
  if (ip?.protocol !== PROTOCOL.icmpv6 || ip.payload[0] !== ICMPV6.neighbourAdvertisement) return null
  if (ip.payload.length < TARGET.at + TARGET.length) return null
  return { address: ip.payload.slice(TARGET.at, TARGET.at + TARGET.length), mac: source }
}
