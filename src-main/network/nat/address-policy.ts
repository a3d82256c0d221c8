/**
 * Which addresses a machine may reach through the host's sockets. Judged by the bytes of the destination that goes into the socket, so names and how they resolve do not
 * matter. The loopback of the host is never reached but by the gateway's own address; nor is what systems take for it (0.0.0.0, ::). Other addresses of the host's cards are
 * as good as those of any computer beside it.
 *
 * Ranges are of the IANA special-purpose address registries (RFC 6890) and the clouds' manuals.
 */
import { inSubnet, parseSubnet, sameIp, type IpAddress, type Subnet } from '../../../src-shared/model/ip.ts'
import type { NatOptions } from './nat.ts'

export type Verdict =
  /** As it is. */
  | 'outside'
  /** The gateway itself: the host's loopback is meant. */
  | 'host'
  /** The gateway, whose loopback is closed: refused as a closed port is. */
  | 'refused'
  | 'prohibited'

/** This host and its loopback (RFC 1122, 3.2.1.3; RFC 4291, 2.5), and IPv4 in other clothes that a socket would take off (RFC 4291, 2.5.5). */
const NEVER = subnets('0.0.0.0/8', '127.0.0.0/8', '::/96', '::ffff:0:0/96', '::ffff:0:0:0/96')
/** Link-local (RFC 3927, RFC 4291), multicast (RFC 5771), what is reserved and broadcast (RFC 1112), site-local (RFC 3879), and where clouds give secrets away. */
const LOCAL = subnets(
  ...['169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4', '100.100.100.200/32', '192.0.0.192/32', '168.63.129.16/32'],
  ...['fe80::/10', 'fec0::/10', 'ff00::/8', 'fd00:ec2::254/128', 'fd20:ce::254/128'],
)
/** IPv6 addresses with an IPv4 address in them, which translators on the way take out: where it begins. NAT64 (RFC 6052) and 6to4 (RFC 3056). */
const CARRIERS: readonly { subnet: Subnet; at: number }[] = [
  { subnet: parseSubnet('64:ff9b::/96')!, at: 12 },
  { subnet: parseSubnet('2002::/16')!, at: 2 },
]

export function judge(destination: IpAddress, options: NatOptions): Verdict {
  const { gateway } = options
  if ((gateway.ipv4 && sameIp(destination, gateway.ipv4)) || (gateway.ipv6 && sameIp(destination, gateway.ipv6)))
    return options.hostAccess ? 'host' : 'refused'
  return options.kind === 'nat' && isOutside(destination, options) ? 'outside' : 'prohibited'
}

function isOutside(destination: IpAddress, options: NatOptions): boolean {
  if (isIn(destination, NEVER) || isIn(destination, options.subnets)) return false
  if (!options.linkLocalAccess && isIn(destination, LOCAL)) return false
  return CARRIERS.every(({ subnet, at }) => !inSubnet(destination, subnet) || isOutside(destination.subarray(at, at + 4), options))
}

function isIn(address: IpAddress, ranges: readonly Subnet[]): boolean {
  return ranges.some((range) => inSubnet(address, range))
}

function subnets(...texts: string[]): Subnet[] {
  return texts.map((text) => parseSubnet(text)!)
}
