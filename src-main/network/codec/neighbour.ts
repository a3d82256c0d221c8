/**
 * Neighbour discovery of IPv6: the four messages by which machines and routers find each other (RFC 4861, 4), and the options in them, of RFC 4191 (routes) and RFC 8106
 * (name servers, search domains) too. Redirects are neither sent nor believed.
 */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { macAt, writeMac } from './ethernet.ts'
import { ICMPV6, type IcmpMessage } from './icmp.ts'
import { wordAt, writeWord } from './words.ts'

/** Seconds; for ever. */
export const FOR_EVER = 0xffff_ffff

/** Of a router or a route among others that lead to the same place (RFC 4191, 2.1). */
export type RoutePreference = 'high' | 'medium' | 'low'

export type NeighbourOption =
  | { kind: 'source-mac' | 'target-mac'; mac: number }
  | { kind: 'prefix'; address: IpAddress; prefix: number; onLink: boolean; autonomous: boolean; valid: number; preferred: number }
  | { kind: 'mtu'; mtu: number }
  | { kind: 'route'; address: IpAddress; prefix: number; preference: RoutePreference; lifetime: number }
  | { kind: 'servers'; lifetime: number; addresses: IpAddress[] }
  | { kind: 'domains'; lifetime: number; names: string[] }

export type NeighbourMessage =
  | { kind: 'neighbour-solicitation'; target: IpAddress; options: NeighbourOption[] }
  | {
      kind: 'neighbour-advertisement'
      target: IpAddress
      router: boolean
      solicited: boolean
      override: boolean
      options: NeighbourOption[]
    }
  | { kind: 'router-solicitation'; options: NeighbourOption[] }
  | {
      kind: 'router-advertisement'
      /** What machines set in their packets; 0: not said. */
      hopLimit: number
      /** Addresses, and everything else, are had by DHCPv6. */
      managed: boolean
      other: boolean
      /** Of it as a router for everything. */
      preference: RoutePreference
      /** Seconds for which it is a router for everything; 0: it is none. */
      lifetime: number
      /** ms; 0: not said. */
      reachable: number
      retransmit: number
      options: NeighbourOption[]
    }

const OPTION = { sourceMac: 1, targetMac: 2, prefix: 3, mtu: 5, route: 24, servers: 25, domains: 31 } as const
const MAX_OPTIONS = 64
const PREFERENCE = { high: 0x08, medium: 0, low: 0x18 } as const

/** Null: none of the four, or broken (RFC 4861, 6.1 and 7.1). Options that are not known are passed over. */
export function parseNeighbour({ type, code, rest, body }: IcmpMessage): NeighbourMessage | null {
  if (code !== 0) return null
  if (type === ICMPV6.routerSolicitation) {
    const options = parseOptions(body, 0)
    return options && { kind: 'router-solicitation', options }
  }
  if (type === ICMPV6.routerAdvertisement) {
    const options = body.length < 8 ? null : parseOptions(body, 8)
    if (!options) return null
    return {
      ...{ kind: 'router-advertisement', hopLimit: rest >>> 24, managed: (rest & 0x80_0000) !== 0, other: (rest & 0x40_0000) !== 0 },
      ...{
        preference: preferenceOf(rest >>> 16),
        lifetime: rest & 0xffff,
        reachable: wordAt(body, 0),
        retransmit: wordAt(body, 4),
        options,
      },
    }
  }
  if (type !== ICMPV6.neighbourSolicitation && type !== ICMPV6.neighbourAdvertisement) return null
  const options = body.length < 16 ? null : parseOptions(body, 16)
  if (!options || body[0] === 0xff) return null
  const target = body.slice(0, 16)
  if (type === ICMPV6.neighbourSolicitation) return { kind: 'neighbour-solicitation', target, options }
  const [router, solicited, override] = [31, 30, 29].map((bit) => ((rest >>> bit) & 1) === 1) as [boolean, boolean, boolean]
  return { kind: 'neighbour-advertisement', target, router, solicited, override, options }
}

/** @param message with numbers and names that fit their fields */
export function buildNeighbour(message: NeighbourMessage): IcmpMessage {
  const options = buildOptions(message.options)
  switch (message.kind) {
    case 'router-solicitation':
      return { type: ICMPV6.routerSolicitation, code: 0, rest: 0, body: options }
    case 'router-advertisement': {
      const { hopLimit, managed, other, preference, lifetime } = message
      const flags = (managed ? 0x80 : 0) | (other ? 0x40 : 0) | PREFERENCE[preference]
      const rest = ((hopLimit << 24) | (flags << 16) | lifetime) >>> 0
      const times = new Uint8Array(8)
      writeWord(times, 0, message.reachable)
      writeWord(times, 4, message.retransmit)
      return { type: ICMPV6.routerAdvertisement, code: 0, rest, body: join([times, options]) }
    }
    case 'neighbour-solicitation':
      return { type: ICMPV6.neighbourSolicitation, code: 0, rest: 0, body: join([message.target, options]) }
    case 'neighbour-advertisement': {
      const flags = (message.router ? 4 : 0) | (message.solicited ? 2 : 0) | (message.override ? 1 : 0)
      return { type: ICMPV6.neighbourAdvertisement, code: 0, rest: (flags << 29) >>> 0, body: join([message.target, options]) }
    }
    default:
      return message satisfies never
  }
}

/** The card's address that a message tells. */
export function macIn(options: readonly NeighbourOption[], kind: 'source-mac' | 'target-mac'): number | null {
  for (const option of options) if (option.kind === kind) return (option as { mac: number }).mac
  return null
}

function parseOptions(body: Uint8Array, from: number): NeighbourOption[] | null {
  const options: NeighbourOption[] = []
  for (let at = from; at < body.length;) {
    const length = (body[at + 1] ?? 0) * 8
    if (length === 0 || at + length > body.length || options.length === MAX_OPTIONS) return null
    const option = parseOption(body.subarray(at, at + length))
    if (option) options.push(option)
    at += length
  }
  return options
}

function parseOption(bytes: Uint8Array): NeighbourOption | null {
  const { length } = bytes
  switch (bytes[0]!) {
    case OPTION.sourceMac:
    case OPTION.targetMac:
      return length === 8 ? { kind: bytes[0] === OPTION.sourceMac ? 'source-mac' : 'target-mac', mac: macAt(bytes, 2) } : null
    case OPTION.prefix: {
      if (length !== 32 || bytes[2]! > 128) return null
      const [onLink, autonomous] = [(bytes[3]! & 0x80) !== 0, (bytes[3]! & 0x40) !== 0]
      const address = bytes.slice(16, 32)
      return { kind: 'prefix', address, prefix: bytes[2]!, onLink, autonomous, valid: wordAt(bytes, 4), preferred: wordAt(bytes, 8) }
    }
    case OPTION.mtu:
      return length === 8 ? { kind: 'mtu', mtu: wordAt(bytes, 4) } : null
    case OPTION.route: {
      const prefix = bytes[2]!
      if (length > 24 || prefix > 128 || length < routeBytes(prefix)) return null
      const address = new Uint8Array(16)
      address.set(bytes.subarray(8))
      return { kind: 'route', address, prefix, preference: preferenceOf(bytes[3]!), lifetime: wordAt(bytes, 4) }
    }
    case OPTION.servers: {
      if (length < 24 || length % 16 !== 8) return null
      const addresses = Array.from({ length: (length - 8) / 16 }, (_, nth) => bytes.slice(8 + nth * 16, 24 + nth * 16))
      return { kind: 'servers', lifetime: wordAt(bytes, 4), addresses }
    }
    case OPTION.domains: {
      const names = length < 16 ? null : parseNames(bytes.subarray(8))
      return names && { kind: 'domains', lifetime: wordAt(bytes, 4), names }
    }
    default:
      return null
  }
}

/** Two bits among the flags; the one of four that is not used means medium. */
function preferenceOf(flags: number): RoutePreference {
  const bits = flags & 0x18
  return bits === PREFERENCE.high ? 'high' : bits === PREFERENCE.low ? 'low' : 'medium'
}

/** RFC 4191, 2.3: as many bytes of the prefix as it needs, in eights. */
function routeBytes(prefix: number): number {
  return prefix === 0 ? 8 : prefix <= 64 ? 16 : 24
}

/** Names of labels (RFC 1035, 3.1), without compression; behind the last one zeroes (RFC 8106, 5.2). */
function parseNames(bytes: Uint8Array): string[] | null {
  const names: string[] = []
  for (let at = 0; at < bytes.length && bytes[at] !== 0;) {
    const labels: string[] = []
    for (;;) {
      const length = bytes[at]
      if (length === undefined || length > 63 || at + 1 + length > bytes.length) return null
      at += 1
      if (length === 0) break
      labels.push(String.fromCharCode(...bytes.subarray(at, at + length)))
      at += length
    }
    names.push(labels.join('.'))
  }
  return names
}

function buildOptions(options: readonly NeighbourOption[]): Uint8Array<ArrayBuffer> {
  return join(options.map(buildOption))
}

function buildOption(option: NeighbourOption): Uint8Array {
  switch (option.kind) {
    case 'source-mac':
    case 'target-mac': {
      const bytes = optionOf(option.kind === 'source-mac' ? OPTION.sourceMac : OPTION.targetMac, 8)
      writeMac(bytes, 2, option.mac)
      return bytes
    }
    case 'prefix': {
      const bytes = optionOf(OPTION.prefix, 32)
      bytes[2] = option.prefix
      bytes[3] = (option.onLink ? 0x80 : 0) | (option.autonomous ? 0x40 : 0)
      writeWord(bytes, 4, option.valid)
      writeWord(bytes, 8, option.preferred)
      bytes.set(option.address, 16)
      return bytes
    }
    case 'mtu': {
      const bytes = optionOf(OPTION.mtu, 8)
      writeWord(bytes, 4, option.mtu)
      return bytes
    }
    case 'route': {
      const bytes = optionOf(OPTION.route, routeBytes(option.prefix))
      bytes[2] = option.prefix
      bytes[3] = PREFERENCE[option.preference]
      writeWord(bytes, 4, option.lifetime)
      bytes.set(option.address.subarray(0, bytes.length - 8), 8)
      return bytes
    }
    case 'servers': {
      const bytes = optionOf(OPTION.servers, 8 + option.addresses.length * 16)
      writeWord(bytes, 4, option.lifetime)
      option.addresses.forEach((address, nth) => bytes.set(address, 8 + nth * 16))
      return bytes
    }
    case 'domains': {
      const names = join(option.names.map(buildName))
      const bytes = optionOf(OPTION.domains, 8 + Math.ceil(names.length / 8) * 8)
      writeWord(bytes, 4, option.lifetime)
      bytes.set(names, 8)
      return bytes
    }
    default:
      return option satisfies never
  }
}

function buildName(name: string): Uint8Array {
  const labels = name.split('.').map((label) => Uint8Array.from([label.length, ...[...label].map((letter) => letter.charCodeAt(0))]))
  return join([...labels, new Uint8Array(1)])
}

/** @param length bytes, a multiple of 8 */
function optionOf(type: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  bytes[0] = type
  bytes[1] = length / 8
  return bytes
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}
