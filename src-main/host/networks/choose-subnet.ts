/** Subnets for new networks, such that they meet none that is in use. Pure but for `subnetsOfComputer`. */
import { networkInterfaces } from 'node:os'
import { formatSubnet, maskIp, parseIp, parseSubnet, sameIp, type Subnet } from '../../../src-shared/model/ip.ts'

/** Whether an address can be in both. Subnets of the two families never meet. */
export function subnetsMeet(a: Subnet, b: Subnet): boolean {
  if (a.address.length !== b.address.length) return false
  const prefix = Math.min(a.prefix, b.prefix)
  return sameIp(maskIp(a.address, prefix), maskIp(b.address, prefix))
}

/** What systems take for themselves, for neighbours without a network, or for many at once (IANA's special-purpose address registries, RFC 6890). */
const UNUSABLE: readonly (readonly [string, string])[] = [
  ['0.0.0.0/8', 'this computer itself'],
  ['127.0.0.0/8', 'each computer itself'],
  ['169.254.0.0/16', 'computers that got none'],
  ['224.0.0.0/4', 'many computers at once'],
  ['240.0.0.0/4', 'nobody yet'],
  ['::/64', 'each computer itself'],
  ['64:ff9b::/64', 'translators to IPv4'],
  ['fe80::/10', 'what every card has by itself'],
  ['ff00::/8', 'many computers at once'],
]

/** Why machines could not use addresses of this subnet, in a sentence; null: they can. */
export function unusableAs(subnet: Subnet): string | null {
  const met = UNUSABLE.find(([text]) => subnetsMeet(parseSubnet(text)!, subnet))
  if (!met) return null
  const [range, meant] = met
  return `Addresses in ${range} are for ${meant}, and not for networks. Choose others, as in ${range.includes(':') ? 'fd00:5::/64' : '10.0.5.0/24'}.`
}

/** Those of private addresses (RFC 1918), the customary ones of virtual machines first. */
function* privateSubnets(): IterableIterator<string> {
  for (let third = 2; third < 256; third++) yield `10.0.${third}.0/24`
  for (let third = 0; third < 256; third++) yield `172.30.${third}.0/24`
  for (let third = 100; third < 256; third++) yield `192.168.${third}.0/24`
}

/** @returns the first of RFC 1918's that meets none of `taken`; null where each does */
export function freeIpv4(taken: readonly Subnet[]): string | null {
  for (const text of privateSubnets()) {
    const subnet = parseSubnet(text)!
    if (!taken.some((other) => subnetsMeet(subnet, other))) return text
  }
  return null
}

/**
 * A unique local subnet (RFC 4193, 3.2: fd, 40 random bits, subnet 0).
 * @param random fills bytes
 */
export function freeIpv6(
  taken: readonly Subnet[],
  random: (bytes: Uint8Array<ArrayBuffer>) => void = (bytes) => void crypto.getRandomValues(bytes),
): string {
  for (;;) {
    const address = new Uint8Array(16)
    random(address.subarray(1, 6))
    address[0] = 0xfd
    const subnet: Subnet = { address, prefix: 64 }
    if (!taken.some((other) => subnetsMeet(subnet, other))) return formatSubnet(subnet)
  }
}

/** Those that this computer is in now, its loopback and link-local ones aside. */
export function subnetsOfComputer(): Subnet[] {
  return Object.values(networkInterfaces()).flatMap((cards) =>
    (cards ?? []).flatMap(({ internal, cidr, address }) => {
      const bits = Number(cidr?.split('/')[1])
      const bytes = parseIp(address.split('%')[0]!)
      if (internal || !bytes || !Number.isInteger(bits) || /^(fe80:|169\.254\.)/i.test(address)) return []
      return [{ address: maskIp(bytes, bits), prefix: bits }]
    }),
  )
}
