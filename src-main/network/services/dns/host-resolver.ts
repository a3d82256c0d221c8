/** How this computer itself finds names: its DNS servers, and its system's look-up, which knows its hosts file and whatever else it is set up with. */
import { lookup } from 'node:dns/promises'
import { Resolver } from 'node:dns'
import { parseIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import type { DnsUpstream } from './exchange.ts'

const DNS_PORT = 53

/** As they are set up now: of resolv.conf, or what other systems have for it. Costs a file's reading. */
export function hostServers(): DnsUpstream[] {
  return new Resolver().getServers().flatMap((text) => parseServer(text) ?? [])
}

/** "192.0.2.1", "192.0.2.1:5353", "fe80::1%eth0", "[2001:db8::1]:5353"; null: none of these. */
export function parseServer(text: string): DnsUpstream | null {
  const [, bracketed, port] = /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? /^([\d.]+):(\d+)$/.exec(text) ?? []
  const address = bracketed ?? text
  return parseIp(address.replace(/%.*$/, '')) ? { address, port: Number(port ?? DNS_PORT) } : null
}

/**
 * Addresses of a name as this computer's programs find them; none where it has none. Those of its loopback are left out: they would mean the machine itself to who asks.
 * @param family 4 or 6
 */
export async function hostLookup(name: string, family: 4 | 6): Promise<IpAddress[]> {
  const found = await lookup(name, { family, all: true }).catch(() => [])
  return found
    .flatMap(({ address }) => parseIp(address.replace(/%.*$/, '')) ?? [])
    .filter((address) => (address.length === 4 ? address[0] !== 127 : address.some((byte, at) => byte !== (at === 15 ? 1 : 0))))
}
