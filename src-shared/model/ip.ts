/** IP addresses and subnets as text and as bytes: 4 of IPv4, 16 of IPv6, in network order. All reading is total: null where the text is none. */
import { z } from 'zod'

/** 4 or 16 bytes. */
export type IpAddress = Uint8Array

/** "10.0.2.1" (RFC 6943, 3.1.1: strict, four decimal numbers without leading zeroes). */
export function parseIpv4(text: string): IpAddress | null {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) return null
  return Uint8Array.from(parts, Number)
}

/** RFC 4291, 2.2, with an IPv4 address as the last two groups where it has one; without a zone. */
export function parseIpv6(text: string): IpAddress | null {
  if (text.length > 45 || !/^[0-9a-f:.]+$/i.test(text)) return null
  let head = text
  const tail: number[] = []
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted) {
    const last = parseIpv4(dotted[2]!)
    if (!last) return null
    tail.push(last[0]! * 256 + last[1]!, last[2]! * 256 + last[3]!)
    // What stands before is complete without its last colon, unless that is half of "::".
    head = dotted[1]!.endsWith('::') ? dotted[1]! : dotted[1]!.slice(0, -1)
  }
  const halves = head.split('::')
  if (halves.length > 2) return null
  const groupsOf = (half: string): number[] | null => {
    if (half === '') return []
    const groups = half.split(':')
    return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) ? groups.map((group) => parseInt(group, 16)) : null
  }
  const before = groupsOf(halves[0]!)
  const after = halves.length === 2 ? groupsOf(halves[1]!) : []
  if (!before || !after) return null
  const given = before.length + after.length + tail.length
  if (halves.length === 2 ? given > 7 : given !== 8) return null
  const groups = [...before, ...new Array<number>(8 - given).fill(0), ...after, ...tail]
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]))
}

export function parseIp(text: string): IpAddress | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

/** IPv6 as RFC 5952 writes it. */
export function formatIp(address: IpAddress): string {
  if (address.length === 4) return address.join('.')
  const groups = Array.from({ length: 8 }, (_, at) => address[at * 2]! * 256 + address[at * 2 + 1]!)
  let best = { at: -1, length: 1 }
  for (let at = 0; at < 8; at++) {
    let length = 0
    while (at + length < 8 && groups[at + length] === 0) length++
    if (length > best.length) best = { at, length }
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':')
  if (best.at < 0) return hex(groups)
  return `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`
}

export function sameIp(a: IpAddress, b: IpAddress): boolean {
  if (a.length !== b.length) return false
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false
  return true
}

/** A subnet: `address` has no bits behind the prefix. */
export interface Subnet {
  address: IpAddress
  /** Bits. */
  prefix: number
}

/** "10.0.2.0/24", "fd00::/64". Null too where bits are set behind the prefix. */
export function parseSubnet(text: string): Subnet | null {
  const [, address, bits] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? []
  const bytes = address === undefined ? null : parseIp(address)
  const prefix = Number(bits)
  if (!bytes || prefix > bytes.length * 8) return null
  return sameIp(maskIp(bytes, prefix), bytes) ? { address: bytes, prefix } : null
}

export function formatSubnet({ address, prefix }: Subnet): string {
  return `${formatIp(address)}/${prefix}`
}

/** The address with all bits behind the prefix cleared. */
export function maskIp(address: IpAddress, prefix: number): IpAddress {
  return address.map((byte, at) => {
    const bits = Math.min(8, Math.max(0, prefix - at * 8))
    return byte & (0xff00 >> bits)
  })
}

export function inSubnet(address: IpAddress, { address: base, prefix }: Subnet): boolean {
  if (address.length !== base.length) return false
  const whole = prefix >> 3
  for (let at = 0; at < whole; at++) if (address[at] !== base[at]) return false
  return (prefix & 7) === 0 || ((address[whole]! ^ base[whole]!) & (0xff00 >> (prefix & 7)) & 0xff) === 0
}

/** The `nth` address of a subnet: 1 is the first host of an IPv4 one. @param nth below 2^32 */
export function addressIn({ address }: Subnet, nth: number): IpAddress {
  const found = address.slice()
  let carry = nth
  for (let at = found.length - 1; at >= 0 && carry > 0; at--) {
    const sum = found[at]! + (carry % 256)
    found[at] = sum & 255
    carry = Math.floor(carry / 256) + (sum >> 8)
  }
  return found
}

/** Where an IPv4 address stands in its subnet: the reverse of `addressIn`. */
export function ordinalIn({ address }: Subnet, of: IpAddress): number {
  let ordinal = 0
  for (let at = 0; at < of.length; at++) ordinal = ordinal * 256 + (of[at]! - address[at]!)
  return ordinal
}

export const ipv4Schema = z
  .string()
  .refine((text) => parseIpv4(text) !== null, 'An IPv4 address is four numbers below 256, as in 10.0.2.15.')
export const ipSchema = z.string().refine((text) => parseIp(text) !== null, 'This is no IP address. Write it as in 10.0.2.15 or fd00::15.')
export const ipv4SubnetSchema = z
  .string()
  .refine(
    (text) => (parseSubnet(text)?.address.length ?? 0) === 4,
    'A subnet is an address and how many of its bits belong to it, as in 10.0.2.0/24; the bits behind them are zero.',
  )
export const ipv6SubnetSchema = z
  .string()
  .refine(
    (text) => (parseSubnet(text)?.address.length ?? 0) === 16,
    'An IPv6 subnet is an address and how many of its bits belong to it, as in fd00:1::/64; the bits behind them are zero.',
  )
