/**
 * Which way packets go between networks: from every gateway and every router, the way over the fewest routers to each subnet, and of routers and segments the way to the
 * nearest gateway that leads outside. Worked out anew when a network or a router changes; there is no protocol. Between ways that are equally short, the router that stands
 * first in the document counts.
 */
import { gatewayMac, routerMac } from '../../../src-shared/model/mac.ts'
import { gatewayOf, hasGateway, type Network, type Router } from '../../../src-shared/model/network.ts'
import { formatIp, parseIp, parseSubnet, type IpAddress, type Subnet } from '../../../src-shared/model/ip.ts'
import { interfacesOf, type RouterInterface } from '../../../src-shared/model/router-interfaces.ts'
import { parseMac } from '../codec/ethernet.ts'
import type { Route } from './routes.ts'

/** A network's routers, for its gateway and its services. */
export interface NetworkRoutes {
  /** Of the gateway. */
  routes: Route[]
  /** Cards of routers: packets from everywhere come from them. */
  relays: number[]
  /** Addresses of IPv4 that routers have here, and the subnets that they lead to (the shortest way), for DHCP. First the one that leads outside. */
  routers: { address: IpAddress; to: Subnet[] }[]
}

export interface RouterPlan {
  name: string
  interfaces: (RouterInterface & {
    mac: number
    mtu: number
    relays: number[]
    /** It advertises itself here: no gateway does. */
    advertise: boolean
  })[]
  /** To what is not in the subnet of an interface. */
  routes: Route[]
}

export interface RoutePlan {
  networks: Map<string, NetworkRoutes>
  routers: RouterPlan[]
}

type Family = 'ipv4' | 'ipv6'
const FAMILIES = ['ipv4', 'ipv6'] as const
const EVERYTHING = { ipv4: parseSubnet('0.0.0.0/0')!, ipv6: parseSubnet('::/0')! }

interface Node {
  name: string
  interfaces: RouterInterface[]
}

export function planRoutes(networks: readonly Network[], routers: readonly Router[]): RoutePlan {
  const map = new Paths(networks, routers)
  const plans = map.nodes.map((node) => ({
    name: node.name,
    interfaces: node.interfaces
      .filter(({ ipv4, ipv6 }) => ipv4 ?? ipv6)
      .map((one) => {
        const network = map.network(one.network)
        const relays = map.relaysIn(one.network).filter((mac) => mac !== map.macOf(node, one.network))
        if (hasGateway(network)) relays.push(parseMac(gatewayMac(network.name)))
        return { ...one, mac: map.macOf(node, one.network), mtu: network.mtu, relays, advertise: !hasGateway(network) }
      }),
    routes: FAMILIES.flatMap((family) => map.routesOfRouter(node, family)),
  }))
  return { networks: new Map(networks.map(({ name }) => [name, map.routesOfNetwork(name)])), routers: plans }
}

/** The networks as a graph, whose edges are routers' interfaces. */
class Paths {
  readonly nodes: readonly Node[]
  #networks: Map<string, Network>

  constructor(networks: readonly Network[], routers: readonly Router[]) {
    this.#networks = new Map(networks.map((network) => [network.name, network]))
    const taken = new Set<string>()
    this.nodes = routers.map((router) => ({
      name: router.name,
      // An address that two routers have is the first one's.
      interfaces: interfacesOf(router, networks).map((one) => {
        const own = (address: RouterInterface['ipv4']): RouterInterface['ipv4'] => {
          const key = `${one.network} ${address ? formatIp(address.address) : ''}`
          return address && !taken.has(key) && taken.add(key) ? address : null
        }
        return { ...one, ipv4: own(one.ipv4), ipv6: own(one.ipv6) }
      }),
    }))
  }

  network(name: string): Network {
    return this.#networks.get(name)!
  }

  macOf({ name }: Node, network: string): number {
    return parseMac(routerMac(name, network))
  }

  relaysIn(network: string): number[] {
    return this.nodes
      .filter(({ interfaces }) => interfaces.some((one) => one.network === network && (one.ipv4 ?? one.ipv6)))
      .map((node) => this.macOf(node, network))
  }

  routesOfNetwork(name: string): NetworkRoutes {
    const network = this.network(name)
    const routes = FAMILIES.flatMap((family) => this.#routesFrom(name, family, null, network.kind === 'segment'))
    const four = routes.filter(({ address }) => address.length === 4)
    const out = four.find(({ subnet }) => subnet.prefix === 0)?.mac
    const routers = this.nodes.flatMap((node) => {
      const own = node.interfaces.find((one) => one.network === name)?.ipv4
      const mac = this.macOf(node, name)
      const to = four.filter((route) => route.mac === mac && route.subnet.prefix > 0).map(({ subnet }) => subnet)
      return own ? [{ address: own.address, to, mac }] : []
    })
    routers.sort((a, b) => Number(b.mac === out) - Number(a.mac === out))
    return { routes, relays: this.relaysIn(name), routers: routers.map(({ address, to }) => ({ address, to })) }
  }

  routesOfRouter(router: Node, family: Family): Route[] {
    const found: Route[] = []
    const own = router.interfaces.filter((one) => one[family])
    const gateway = own.map(({ network }) => this.#outside(network, family)).find((route) => route !== null)
    if (gateway) found.push(gateway)
    // The shortest ways of all interfaces: those that begin on one and end in a subnet that is nearer by another are left out.
    const ways = own.map(({ network }) => this.#routesFrom(network, family, router, !gateway)).flat()
    for (const way of ways.sort((a, b) => a.hops - b.hops))
      if (!found.some(({ subnet }) => same(subnet, way.subnet)) && !own.some((one) => same(one[family]!.subnet, way.subnet)))
        found.push(way)
    return found
  }

  /** Ways from a network over its routers. @param but a router that is left out @param outside also to what is outside */
  #routesFrom(from: string, family: Family, but: Node | null, outside: boolean): (Route & { hops: number })[] {
    const routes: (Route & { hops: number })[] = []
    const seen = new Set([from])
    const used = new Set(but ? [but] : [])
    let out = !outside
    let edge: { network: string; first: Omit<Route, 'subnet'> | null }[] = [{ network: from, first: null }]
    for (let hops = 1; edge.length > 0; hops++) {
      const next: typeof edge = []
      for (const { network, first } of edge)
        for (const node of this.nodes) {
          const here = node.interfaces.find((one) => one.network === network)?.[family]
          if (!here || used.has(node)) continue
          used.add(node)
          const via = first ?? { network: from, address: here.address, mac: this.macOf(node, from) }
          for (const one of node.interfaces) {
            if (!one[family] || seen.has(one.network)) continue
            seen.add(one.network)
            routes.push({ ...via, subnet: one[family].subnet, hops })
            if (!out && this.#outside(one.network, family)) {
              routes.push({ ...via, subnet: EVERYTHING[family], hops })
              out = true
            }
            next.push({ network: one.network, first: via })
          }
        }
      edge = next
    }
    return routes
  }

  /** The network's own way outside. */
  #outside(name: string, family: Family): Route | null {
    const network = this.network(name)
    if (network.kind !== 'nat' || network[family] === null) return null
    return { subnet: EVERYTHING[family], network: name, address: parseIp(gatewayOf(network[family]))!, mac: parseMac(gatewayMac(name)) }
  }
}

function same(a: Subnet, b: Subnet): boolean {
  return a.prefix === b.prefix && a.address.length === b.address.length && formatIp(a.address) === formatIp(b.address)
}
