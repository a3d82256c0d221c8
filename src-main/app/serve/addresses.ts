/**
 * Under which names a served host answers. A page of an attacker can point its own name at 127.0.0.1 (DNS rebinding); the browser then sends that
 * name as Host, so a Host that is none of ours is refused before anything else is looked at.
 */
import { isIP } from 'node:net'
import { hostname, networkInterfaces } from 'node:os'

const WILDCARDS = ['0.0.0.0', '::']

/** True when only programs on this computer can reach the address. */
export function isLoopback(listen: string): boolean {
  return listen === 'localhost' || listen === '::1' || /^127\.\d+\.\d+\.\d+$/.test(listen)
}

/** An address as it stands in a URL: IPv6 in brackets (RFC 3986 section 3.2.2). */
export function urlHost(address: string): string {
  return isIP(address) === 6 ? `[${address}]` : address
}

/** This computer's own addresses, loopback left out. */
function ownAddresses(): string[] {
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal && !address.address.startsWith('fe80:'))
    .map((address) => address.address)
}

/** The Host headers that are ours, in lower case. */
export function acceptedHosts(listen: string, port: number, own: readonly string[] = ownAddresses()): ReadonlySet<string> {
  const names = new Set<string>()
  const add = (name: string): void => {
    names.add(`${urlHost(name).toLowerCase()}:${port}`)
    if (port === 80) names.add(urlHost(name).toLowerCase())
  }
  const wildcard = WILDCARDS.includes(listen)
  add(listen)
  if (wildcard || isLoopback(listen)) for (const name of ['localhost', '127.0.0.1', '::1']) add(name)
  if (wildcard) for (const name of [hostname(), ...own]) add(name)
  return names
}

/** The name to print: what was asked for, or for "everywhere" the first address that others can reach. */
export function shownHost(listen: string, own: readonly string[] = ownAddresses()): string {
  if (!WILDCARDS.includes(listen)) return urlHost(listen)
  return urlHost(own.find((address) => isIP(address) === 4) ?? '127.0.0.1')
}

export function isOwnHost(header: string | undefined, accepted: ReadonlySet<string>): boolean {
  return header !== undefined && accepted.has(header.toLowerCase())
}

/** An Origin header (RFC 6454 section 7) is ours when it is plain HTTP to an accepted host. Absent or "null" is not ours. */
export function isOwnOrigin(header: string | undefined, accepted: ReadonlySet<string>): boolean {
  const match = /^http:\/\/([^/?#@\s]+)$/.exec(header?.toLowerCase() ?? '')
  return match !== null && accepted.has(match[1]!)
}
