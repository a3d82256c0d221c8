/** What stands in DHCP options (RFC 2132; others are named where they are written). */
import { utf8 } from '../../../../src-shared/base/bytes.ts'
import type { IpAddress, Subnet } from '../../../../src-shared/model/ip.ts'
import { wordAt } from '../../codec/words.ts'

export const OPTION = {
  mask: 1,
  router: 3,
  dns: 6,
  hostName: 12,
  domain: 15,
  mtu: 26,
  broadcast: 28,
  ntp: 42,
  requestedAddress: 50,
  leaseTime: 51,
  serverId: 54,
  parameters: 55,
  maxSize: 57,
  renewal: 58,
  rebinding: 59,
  clientId: 61,
  bootServer: 66,
  bootFile: 67,
  /** RFC 4702. */
  fullName: 81,
  /** RFC 3442. */
  routes: 121,
} as const

/** Addresses in a row. */
export function addresses(list: readonly IpAddress[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(list.length * 4)
  list.forEach((address, at) => bytes.set(address, at * 4))
  return bytes
}

/** Seconds: 32 bits. */
export function seconds(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
}

export function word(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(value >>> 8, value)
}

export function text(value: string): Uint8Array<ArrayBuffer> {
  return utf8(value)
}

/** 4 bytes; null: absent or of another length. */
export function addressOf(option: Uint8Array | undefined): Uint8Array | null {
  return option?.length === 4 ? option : null
}

/** Seconds; null: absent or of another length. */
export function secondsOf(option: Uint8Array | undefined): number | null {
  return option?.length === 4 ? wordAt(option, 0) : null
}

export function wordOf(option: Uint8Array | undefined): number | null {
  return option?.length === 2 ? (option[0]! << 8) | option[1]! : null
}

/** The mask of a subnet (3.3). */
export function maskOf({ prefix }: Subnet): Uint8Array<ArrayBuffer> {
  return seconds(prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0)
}

export interface StaticRoute {
  to: Subnet
  via: IpAddress
}

/** RFC 3442: the prefix, as many bytes of the subnet as it covers, the router. */
export function classlessRoutes(routes: readonly StaticRoute[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    routes.flatMap(({ to, via }) => [to.prefix, ...to.address.subarray(0, Math.ceil(to.prefix / 8)), ...via.subarray(0, 4)]),
  )
}

/**
 * As the machine calls itself: option 12, or the name of option 81 (RFC 4702, 2: flags, two codes, then text, or labels as in DNS where the flag E is set). Null: it does
 * not say. Control characters are taken out; nothing else of it may be trusted.
 */
export function hostNameOf(options: ReadonlyMap<number, Uint8Array>): string | null {
  const plain = printable(options.get(OPTION.hostName))
  if (plain !== null) return plain
  const full = options.get(OPTION.fullName)
  if (full === undefined || full.length < 4) return null
  const name = full.subarray(3)
  if ((full[0]! & 4) === 0) return printable(name)
  const labels: string[] = []
  for (let at = 0; at < name.length && name[at]! > 0 && name[at]! < 64 && at + name[at]! < name.length; at += name[at]! + 1)
    labels.push(printable(name.subarray(at + 1, at + 1 + name[at]!)) ?? '')
  return labels.length === 0 ? null : labels.join('.')
}

const decoder = new TextDecoder('utf-8')

function printable(option: Uint8Array | undefined): string | null {
  if (option === undefined) return null
  // eslint-disable-next-line no-control-regex -- they are what is taken out
  const name = decoder.decode(option).replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g, '')
  return name === '' ? null : name.slice(0, 255)
}
