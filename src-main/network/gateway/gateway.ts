/**
 * The gateway of one network: the first address of its subnets. It is the neighbour that everything outside is reached through, and has the network's services.
 *
 *   frame → IpInterface (ARP, neighbour discovery, echo, sources that cannot be)
 *     to its own addresses, or to all → service of the UDP port, else `outside`
 *     to a subnet behind a router     → that router, at once as it is there, whatever a machine's lease says of it
 *     to anywhere else                → put together from its pieces → `outside` (NAT)
 *
 * It does not redirect machines to the router (RFC 1812, 5.2.7.2; RFC 4861, 8.2): they would go on sending there when it is gone, and the way saved is one hop in this process.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { gatewayMac } from '../../../src-shared/model/mac.ts'
import { domainOf, type Network } from '../../../src-shared/model/network.ts'
import { addressIn, parseSubnet, type IpAddress } from '../../../src-shared/model/ip.ts'
import type { Clock } from '../clock.ts'
import { parseMac } from '../codec/ethernet.ts'
import { PROTOCOL } from '../codec/ip.ts'
import type { IncomingPacket, IpOutput } from '../ip-output.ts'
import type { Plugboard, Port } from '../port.ts'
import { isLinkLocal } from './addresses.ts'
import { Advertiser, type Advertisement } from './advertiser.ts'
import type { InterfaceDrops, InterfaceOwner, OwnAddress } from './interface-owner.ts'
import { IpInterface } from './ip-interface.ts'
import { UdpPorts } from './udp-ports.ts'
import type { UdpServices } from './udp-service.ts'
import type { NetworkRoutes } from '../routers/plan-routes.ts'
import { routeTo, type Route } from '../routers/routes.ts'

const EVERYWHERE = parseSubnet('::/0')!

/** Of its port. */
export const GATEWAY_PORT = 'gateway'

/** What lies behind a gateway: NAT. */
export interface Outside {
  /** A whole packet for none of the gateway's services; lent. */
  receive(packet: IncomingPacket): void
}

export interface GatewayOptions {
  network: Network
  board: Plugboard
  clock: Clock
  /** The card that has an address by right; null or absent: nobody is known to. */
  ownerOf?: (address: IpAddress) => number | null
  /** For the log. */
  warn: (message: string) => void
}

export class Gateway implements Disposable {
  readonly mac: number
  readonly addresses: { ipv4: IpAddress | null; ipv6: IpAddress | null; linkLocal: IpAddress | null }
  readonly port: Port
  readonly output: IpOutput
  readonly udp: UdpServices
  readonly drops: Readonly<InterfaceDrops>
  /** Null: nothing; all but services is refused. */
  outside: Outside | null = null
  /** A machine was heard of under an address that was not known: see `addressesOf`. */
  onNeighbour: (() => void) | null = null

  readonly #card: IpInterface
  readonly #ports: UdpPorts
  readonly #advertiser: Advertiser | null
  #network: Network
  #routes: readonly Route[] = []
  #relays: ReadonlySet<number> = new Set()

  constructor({ network, board, clock, ownerOf, warn }: GatewayOptions) {
    this.#network = network
    this.mac = parseMac(gatewayMac(network.name))
    const owner: InterfaceOwner = {
      local: (packet) => this.#local(packet),
      transit: (packet) => this.#transit(packet),
      nextHop: (address) => routeTo(this.#routes, address),
      relays: (mac) => this.#relays.has(mac),
      mayHave: (address, mac) => (ownerOf?.(address) ?? mac) === mac,
      heard: () => this.#advertiser?.heard(),
      solicited: (mac) => this.#advertiser?.solicited(mac),
      learned: () => this.onNeighbour?.(),
      warn: (message) => warn(`Gateway of “${network.name}”: ${message}`),
    }
    const { mtu } = network
    const own = { ipv4: ownOf(network.ipv4), ipv6: ownOf(network.ipv6) }
    this.#card = new IpInterface({ id: GATEWAY_PORT, board, clock, mac: this.mac, mtu, ...own }, owner)
    this.output = this.#card
    this.port = this.#card.port
    this.drops = this.#card.drops
    this.addresses = { ipv4: own.ipv4?.address ?? null, ipv6: own.ipv6?.address ?? null, linkLocal: this.#card.own.linkLocal }
    this.udp = this.#ports = new UdpPorts(this.#card)
    this.#advertiser = own.ipv6 && new Advertiser(this.#card, clock, this.#advertisement())
    this.announce()
  }

  /** Tells machines that it is there: those that were away (suspended, on another network) may have forgotten. */
  announce(): void {
    this.#card.announce()
    this.#advertiser?.announce()
  }

  /** What may change while it is there: all but name, kind and subnets. */
  update(network: Network): void {
    this.#network = network
    this.#card.mtu = network.mtu
    this.#advertiser?.update(this.#advertisement())
  }

  /** Who else hands packets on, and which. */
  setRoutes({ routes, relays }: Pick<NetworkRoutes, 'routes' | 'relays'>): void {
    this.#routes = routes
    this.#relays = new Set(relays)
    this.#advertiser?.update(this.#advertisement())
  }

  /** Addresses that a card was seen to have, of both families. */
  addressesOf(mac: number): IpAddress[] {
    return this.#card.neighbours.addressesOf(mac)
  }

  /** Whether another card than `except` answers for an IPv4 address of the network, known in a tenth of a second. */
  isUsed(address: IpAddress, except: number): Promise<boolean> {
    return this.#card.isUsed(address, except)
  }

  dispose(): void {
    this.#advertiser?.dispose()
    this.#card.dispose()
  }

  #local(packet: IncomingPacket): void {
    const { destination, version, protocol } = packet
    if (protocol === PROTOCOL.udp && this.#ports.receive(packet)) return
    if (!this.#card.own.has(destination)) return
    const icmp = protocol === (version === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6)
    if (protocol !== PROTOCOL.tcp && protocol !== PROTOCOL.udp && !icmp) this.#card.refuse(packet, 'protocol')
    else if (this.outside) this.outside.receive(packet)
    else if (!icmp) this.#card.refuse(packet, 'port')
  }

  #transit(packet: IncomingPacket): void {
    const { source, destination, ttl, fragment, sourceMac } = packet
    if (isLinkLocal(source) || isLinkLocal(destination)) this.#card.drops.unroutable++
    else if (ttl <= 1) this.#card.refuse(packet, 'time-exceeded')
    // Neighbours reach each other without the gateway, and past the policy not through it either.
    else if (this.#card.own.isOnLink(destination)) this.#card.refuse(packet, 'prohibited')
    else {
      const route = routeTo(this.#routes, destination)
      if (route) return this.#card.forward(packet, route, (why, lost) => this.#card.refuseLater(lost, sourceMac, why))
      const complete = fragment ? this.#card.reassembly.add(packet) : packet
      if (!complete) return
      if (this.outside) this.outside.receive(complete)
      else this.#card.refuse(complete, 'network')
    }
  }

  #advertisement(): Advertisement {
    const { kind, dns, mtu } = this.#network
    const { ipv6 } = this.addresses
    return {
      mtu,
      // What is reached through routers is reached through it, too.
      routes: [
        ...(kind === 'nat' ? [EVERYWHERE] : []),
        ...this.#routes.flatMap(({ subnet }) => (subnet.address.length === 16 ? subnet : [])),
      ],
      dhcp: dns.enabled,
      servers: dns.enabled && ipv6 ? [ipv6] : [],
      domains: dns.enabled ? [domainOf(this.#network)] : [],
    }
  }
}

function ownOf(text: string | null): OwnAddress | null {
  const subnet = text === null ? null : parseSubnet(text)
  return subnet && { address: addressIn(subnet, 1), subnet }
}
