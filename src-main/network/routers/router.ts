/** A router: a card in each of its networks, and packets handed from one to the other (RFC 1812, 5; RFC 8200). What it is not asked to hand on, it refuses by ICMP. */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { sameIp, type IpAddress, type Subnet } from '../../../src-shared/model/ip.ts'
import type { Clock } from '../clock.ts'
import { PROTOCOL } from '../codec/ip.ts'
import { isLinkLocal } from '../gateway/addresses.ts'
import { Advertiser } from '../gateway/advertiser.ts'
import type { InterfaceOwner, NextHop } from '../gateway/interface-owner.ts'
import { IpInterface } from '../gateway/ip-interface.ts'
import type { IncomingPacket } from '../ip-output.ts'
import type { Plugboard } from '../port.ts'
import type { RouterPlan } from './plan-routes.ts'
import { routeTo, type Destination } from './routes.ts'

export interface RouterOptions {
  plan: RouterPlan
  /** Of each network that the plan has an interface in. */
  board: (network: string) => Plugboard
  clock: Clock
  /** For the log. */
  warn: (message: string) => void
}

/** Where a packet goes: out of a card, to a neighbour there (null: its destination is one). */
interface Way extends Destination {
  card: IpInterface
  hop: NextHop | null
}

/** Of a router's port in each of its networks. */
export function routerPort(name: string): string {
  return `router/${name}`
}

export class Router implements Disposable {
  #cards = new Map<string, IpInterface>()
  #advertisers: Advertiser[] = []
  #ways: Way[] = []
  #owns: IpAddress[]

  constructor({ plan, board, clock, warn }: RouterOptions) {
    this.#owns = plan.interfaces.flatMap(({ ipv4, ipv6 }) => [ipv4, ipv6].flatMap((own) => own?.address ?? []))
    for (const { network, mac, mtu, ipv4, ipv6, relays, advertise } of plan.interfaces) {
      const macs = new Set(relays)
      let advertiser: Advertiser | null = null
      const owner: InterfaceOwner = {
        local: (packet) => this.#local(card, packet),
        transit: (packet) => this.#transit(card, packet),
        nextHop: (address) => this.#nextHop(card, address),
        isOwn: (address) => this.#isOwn(address),
        relays: (relay) => macs.has(relay),
        heard: () => advertiser?.heard(),
        solicited: (to) => advertiser?.solicited(to),
        warn: (message) => warn(`Router “${plan.name}” in “${network}”: ${message}`),
      }
      const card: IpInterface = new IpInterface({ id: routerPort(plan.name), board: board(network), clock, mac, mtu, ipv4, ipv6 }, owner)
      this.#cards.set(network, card)
      for (const own of [ipv4, ipv6]) if (own) this.#ways.push({ subnet: own.subnet, card, hop: null })
      if (advertise && ipv6) {
        const routes = leadsTo(plan, network)
        advertiser = new Advertiser(card, clock, { mtu, routes, dhcp: false, servers: [], domains: [] })
        this.#advertisers.push(advertiser)
      }
    }
    for (const { subnet, network, address, mac } of plan.routes) {
      const card = this.#cards.get(network)
      if (card) this.#ways.push({ subnet, card, hop: { address, mac } })
    }
    for (const card of this.#cards.values()) card.announce()
    // Machines that are silent learn of it, too; and those that another one, whose place it takes, has just left.
    for (const advertiser of this.#advertisers) advertiser.announce()
  }

  dispose(): void {
    for (const advertiser of this.#advertisers) advertiser.dispose()
    for (const card of this.#cards.values()) card.dispose()
  }

  #transit(from: IpInterface, packet: IncomingPacket): void {
    const { source, destination, ttl, sourceMac } = packet
    if (isLinkLocal(source) || isLinkLocal(destination)) {
      from.drops.unroutable++
      return
    }
    if (ttl <= 1) return from.refuse(packet, 'time-exceeded')
    const way = routeTo(this.#ways, destination)
    if (!way) return from.refuse(packet, 'network')
    // Neighbours reach each other without a router, and past the policy not through it either.
    if (way.card === from && !way.hop) return from.refuse(packet, 'prohibited')
    way.card.forward(packet, way.hop, (why, lost) => from.refuseLater(lost, sourceMac, why))
  }

  /** An address of any of its cards (RFC 1812, 5.2.3); of those of the link alone, each has its own. */
  #isOwn(address: IpAddress): boolean {
    return this.#owns.some((own) => sameIp(own, address))
  }

  #local(card: IpInterface, packet: IncomingPacket): void {
    const { destination, protocol, version } = packet
    if (!card.own.has(destination) || protocol === (version === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6)) return
    card.refuse(packet, protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp ? 'port' : 'protocol')
  }

  #nextHop(card: IpInterface, address: IpAddress): NextHop | null {
    const way = routeTo(this.#ways, address)
    return way?.card === card ? way.hop : null
  }
}

/** Where a router leads machines of a network, of IPv6: not back to other routers in it. */
function leadsTo({ interfaces, routes }: RouterPlan, from: string): Subnet[] {
  const ways = [...interfaces.map(({ network, ipv6 }) => ({ network, subnet: ipv6?.subnet })), ...routes]
  return ways.flatMap(({ network, subnet }) => (network !== from && subnet?.address.length === 16 ? subnet : []))
}
