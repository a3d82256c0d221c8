/**
 * Router advertisements of one interface (RFC 4861, 6.2): to who solicits one at once, to that card alone, as often as it asks; and to all when somebody is
 * heard after a silence, and every few minutes from then on as long as somebody is. Where nobody is, nothing is sent, and no timer runs.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { formatSubnet, type Subnet } from '../../../src-shared/model/ip.ts'
import type { Clock } from '../clock.ts'
import type { NeighbourMessage, NeighbourOption } from '../codec/neighbour.ts'
import { ALL_NODES } from './addresses.ts'
import type { IpInterface } from './ip-interface.ts'
import { sendDiscovery } from './neighbour-discovery.ts'

/** Between advertisements to all; RFC 4861, 6.2.1 has 200 to 600 s. */
const INTERVAL_MS = 300_000
/** Seconds for which a router is believed in, the most that RFC 4861, 6.2.1 has: a machine may be silent for long. */
const LIFETIME = 9000
/** Routes that are told one by one: the advertisement must fit in one packet (RFC 6980). To what is left out, machines find it as their default router. */
const MAX_ROUTES = 32
/** Seconds of addresses that machines make up. */
const VALID = 86_400
const PREFERRED = 14_400

export interface Advertisement {
  mtu: number
  /**
   * Where it leads; ::/0: everywhere. Some machines read no routes from advertisements (RFC 4191, 2) and know default routers alone. So a router that leads only to some subnets
   * offers itself as a default router, too, with low preference: machines choose it where there is no other.
   */
  routes: readonly Subnet[]
  /** More is had by DHCPv6 without state. */
  dhcp: boolean
  /** Where DNS is had, and what is searched there. */
  servers: Uint8Array[]
  domains: string[]
}

export class Advertiser implements Disposable {
  readonly #card: IpInterface
  readonly #clock: Clock
  #what: Advertisement
  #timer: Disposable | null = null
  /** Somebody was there since the last advertisement to all. */
  #heard = false

  constructor(card: IpInterface, clock: Clock, what: Advertisement) {
    this.#card = card
    this.#clock = clock
    this.#what = what
  }

  /** Told to all at once, where it is not what they know: also to those that are silent. */
  update(what: Advertisement): void {
    if (JSON.stringify(what) === JSON.stringify(this.#what)) return
    const gone = this.#what.routes.filter((was) => !what.routes.some((now) => formatSubnet(now) === formatSubnet(was)))
    this.#what = what
    this.#send({ gone })
  }

  /** A frame came. */
  heard(): void {
    this.#heard = true
    if (!this.#timer) this.announce()
  }

  announce(): void {
    this.#timer?.dispose()
    this.#timer = this.#clock.after(INTERVAL_MS, () => this.#due())
    this.#send()
  }

  /** @param mac of who asks: frames to all go to one card alone, too (RFC 6085) */
  solicited(mac: number): void {
    this.#send({ mac })
  }

  /** Machines look for another router (RFC 4861, 6.2.5). */
  dispose(): void {
    this.#timer?.dispose()
    this.#timer = null
    const { routes } = this.#what
    if (routes.length === 0) return
    this.#what = { ...this.#what, routes: [] }
    this.#send({ gone: routes })
  }

  #due(): void {
    this.#timer = null
    if (!this.#heard) return
    this.#heard = false
    this.announce()
  }

  /** @param mac to this card alone @param gone ways that are no more */
  #send({ mac, gone = [] }: { mac?: number; gone?: readonly Subnet[] } = {}): void {
    const { mac: own } = this.#card
    const { ipv6, linkLocal } = this.#card.own
    if (!ipv6 || !linkLocal) return
    const { mtu, routes, dhcp, servers, domains } = this.#what
    const { address, prefix } = ipv6.subnet
    const options: NeighbourOption[] = [
      { kind: 'source-mac', mac: own },
      { kind: 'mtu', mtu },
      { kind: 'prefix', address, prefix, onLink: true, autonomous: true, valid: VALID, preferred: PREFERRED },
    ]
    const ways = [...gone.map((subnet) => ({ ...subnet, lifetime: 0 })), ...routes.map((subnet) => ({ ...subnet, lifetime: LIFETIME }))]
    for (const { address: to, prefix: bits, lifetime } of ways.filter((way) => way.prefix > 0).slice(0, MAX_ROUTES))
      options.push({ kind: 'route', address: to, prefix: bits, preference: 'medium', lifetime })
    if (servers.length > 0) options.push({ kind: 'servers', lifetime: LIFETIME, addresses: servers })
    if (domains.length > 0) options.push({ kind: 'domains', lifetime: LIFETIME, names: domains })
    const everywhere = routes.length === 0 || routes.some((way) => way.prefix === 0)
    const message: NeighbourMessage = {
      ...{ kind: 'router-advertisement', hopLimit: 64, managed: false, other: dhcp, preference: everywhere ? 'medium' : 'low' },
      ...{ lifetime: routes.length > 0 ? LIFETIME : 0, reachable: 0, retransmit: 0, options },
    }
    sendDiscovery(this.#card, linkLocal, ALL_NODES, message, mac)
  }
}
