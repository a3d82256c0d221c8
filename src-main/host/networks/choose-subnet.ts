/** Subnets for new networks, such that they meet none that is in use. Pure but for `subnetsOfComputer`. */
import { networkInterfaces } from 'node:os'
import { formatSubnet, maskIp, parseIp, parseSubnet, sameIp, type Subnet } from '../../../src-shared/model/ip.ts'

/** Whether an address can be in both. Subnets of the two families never meet. */
export function subnetsMeet(a: Subnet, b: Subnet): boolean {
  if (a.address.length !== b.address.length) return false
  const prefix = Math.min(a.prefix, b.prefix)
  return sameIp(maskIp(a.address, prefix), maskIp(b.address, prefix))
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
