/** What a network's document says of DHCP, as its server takes it. */
import { addressIn, parseIpv4, parseSubnet, type IpAddress, type Subnet } from '../../../../src-shared/model/ip.ts'
import { domainOf, type Network } from '../../../../src-shared/model/network.ts'
import { parseMac } from '../../codec/ethernet.ts'
import type { PoolSettings } from './leases.ts'
import type { StaticRoute } from './options.ts'

export interface DhcpSettings {
  pool: PoolSettings
  /** The server's own address. */
  gateway: IpAddress
  subnet: Subnet
  /** Seconds. */
  leaseTime: number
  /** Seconds after which machines ask again, where half of the lease is more. */
  renewAfter: number
  /** Null: machines are told of no way out. */
  router: IpAddress | null
  dns: readonly IpAddress[]
  domain: string
  /** Bytes. */
  mtu: number
  ntp: readonly IpAddress[]
  /** Ways to other networks, beside the router. */
  routes: readonly StaticRoute[]
  boot: { server: IpAddress; file: string } | null
  /** Names that machines are told to have. */
  names: ReadonlyMap<number, string>
}

/** Machines that are not told of a way to everything learn of other networks when they ask again. */
const LEARN_WITHIN = 300

/**
 * Null: the network leases no addresses. Machines of a host-only network are told of no router: there is nothing behind it, and their other networks may have one.
 * In a segment they are where there are routers. Ways to other networks lead through the gateway, which knows the routers as they are now: a lease lasts longer than a drawn line.
 * @param routers addresses in the network that routers have, and where they lead
 */
export function dhcpSettings(network: Network, routers: readonly { address: IpAddress; to: readonly Subnet[] }[]): DhcpSettings | null {
  const subnet = network.ipv4 === null ? null : parseSubnet(network.ipv4)
  const { dhcp } = network
  if (!subnet || !dhcp.enabled) return null
  const gateway = addressIn(subnet, 1)
  const reservations = dhcp.reservations.map(({ mac, address }) => ({ mac: parseMac(mac), address: parseIpv4(address)! }))
  const optional = (text: string | null): IpAddress | null => (text === null ? null : parseIpv4(text))
  const wayOut = { nat: gateway, 'host-only': null, segment: routers.length > 0 ? gateway : null, bridged: null }
  return {
    pool: {
      subnet,
      from: optional(dhcp.from),
      to: optional(dhcp.to),
      taken: [gateway, ...routers.map(({ address }) => address)],
      reservations,
    },
    gateway,
    subnet,
    leaseTime: dhcp.leaseTime,
    renewAfter: network.kind === 'nat' ? Infinity : LEARN_WITHIN,
    router: optional(dhcp.router) ?? wayOut[network.kind],
    dns: dhcp.dns.length > 0 ? dhcp.dns.map((text) => parseIpv4(text)!) : network.dns.enabled ? [gateway] : [],
    domain: domainOf(network),
    mtu: network.mtu,
    ntp: network.ntp ? [gateway] : [],
    routes: routers.flatMap(({ to }) => to.map((one) => ({ to: one, via: gateway }))),
    boot: dhcp.bootFile === null ? null : { server: optional(dhcp.bootServer) ?? gateway, file: dhcp.bootFile },
    names: new Map(dhcp.reservations.flatMap(({ mac, name }) => (name === null ? [] : [[parseMac(mac), name] as const]))),
  }
}
