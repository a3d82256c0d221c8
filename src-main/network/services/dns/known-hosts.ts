/**
 * What machines of a network are called. Names come from three sides: reservations and what people call their machines are trusted; what a machine says of itself by DHCP
 * is not, and comes after them.
 */
import { formatIp, parseIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import type { Reservation } from '../../../../src-shared/model/network.ts'
import type { Lease } from '../../../../src-shared/threads/network-thread.ts'

/** RFC 1035, 2.3.4. */
const MAX_LABEL = 63
/** Names that mean something to other machines, and that none gets by saying so (CERT VU#598349). */
const NOT_SAID = new Set(['wpad', 'isatap'])
/** Names of one spelling that are told apart by numbers. */
const MAX_DOUBLES = 1000

export interface KnownHost {
  /** The first is what its addresses are called. */
  names: readonly string[]
  /** As it calls itself. Hostile. */
  said: readonly string[]
  addresses: readonly IpAddress[]
}

/**
 * A label for DNS (RFC 1035, 2.3.1: letters, digits, hyphens within) from what people or machines write: "Müller’s PC" is muller-s-pc. Null: nothing is left of it.
 */
export function hostLabel(text: string): string | null {
  const label = text
    .slice(0, 255)
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '')
    .slice(0, MAX_LABEL)
    .replace(/-$/, '')
  return label === '' ? null : label
}

/**
 * @param machines with all their cards in this network
 * @param seen addresses that a card was seen to use, beside its lease: of IPv6, or set by hand
 */
export function knownHosts(
  machines: Iterable<{ name: string; macs: readonly string[] }>,
  reservations: readonly Reservation[],
  leases: readonly Lease[],
  seen: (mac: string) => readonly IpAddress[] = () => [],
): KnownHost[] {
  const reserved = new Map(reservations.map((one) => [one.mac, one]))
  const leased = new Map(leases.map((one) => [one.mac, one]))
  const hosts: KnownHost[] = []
  const add = (macs: readonly string[], names: string[]): void => {
    const said: string[] = []
    const addresses = new Map<string, IpAddress>()
    for (const mac of macs) {
      const reservation = reserved.get(mac)
      const lease = leased.get(mac)
      reserved.delete(mac)
      leased.delete(mac)
      if (reservation?.name) names.unshift(reservation.name)
      if (lease?.hostName) said.push(lease.hostName)
      const address = lease?.address ?? reservation?.address
      const bytes = address === undefined ? null : parseIp(address)
      for (const one of bytes ? [bytes, ...seen(mac)] : seen(mac)) addresses.set(formatIp(one), one)
    }
    // One that has no address yet has its name all the same: no other takes it by saying so.
    if (addresses.size > 0 || names.length > 0) hosts.push({ names, said, addresses: [...addresses.values()] })
  }
  for (const { name, macs } of machines) add(macs, [name])
  // Cards that are no machine's of ours: behind a bridge, or machines in machines.
  for (const mac of [...reserved.keys(), ...leased.keys()]) add([mac], [])
  return hosts
}

/** Names by label, each had once: doubles of trusted ones are numbered. @param taken labels that stand for something else */
export function labelHosts(hosts: readonly KnownHost[], taken: ReadonlySet<string>): Map<string, KnownHost> {
  const labels = new Map<string, KnownHost>()
  const claim = (host: KnownHost, text: string): void => {
    const label = hostLabel(text)
    if (label === null || labels.get(label) === host) return
    for (let number = 1; number <= MAX_DOUBLES; number++) {
      const tried = number === 1 ? label : `${label.slice(0, MAX_LABEL - 5)}-${number}`
      if (labels.has(tried) || taken.has(tried)) continue
      labels.set(tried, host)
      return
    }
  }
  for (const host of hosts) for (const name of host.names) claim(host, name)
  // A machine in a domain says its full name: the first part is its own.
  for (const host of hosts)
    for (const name of host.said) {
      const first = name.split('.')[0]!
      if (!NOT_SAID.has(hostLabel(first) ?? '')) claim(host, first)
    }
  return labels
}
