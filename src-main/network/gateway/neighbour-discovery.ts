/** Neighbour discovery of one interface (RFC 4861, 7): it answers who asks for its addresses, asks for others', and defends its own (RFC 4862, 5.4). */
import { formatIp, inSubnet, sameIp, type IpAddress } from '../../../src-shared/model/ip.ts'
import type { Clock } from '../clock.ts'
import { formatMac, isMulticast } from '../codec/ethernet.ts'
import { buildIcmp, parseIcmp } from '../codec/icmp.ts'
import { PROTOCOL } from '../codec/ip.ts'
import { buildNeighbour, macIn, parseNeighbour, type NeighbourMessage } from '../codec/neighbour.ts'
import type { IncomingPacket, IpOutput } from '../ip-output.ts'
import { ALL_NODES, isLinkLocal, isMulticastIp, isZero, multicastMac, solicitedNodeOf } from './addresses.ts'
import { DEFEND_MS } from './address-resolution.ts'
import type { InterfaceDrops, OwnAddress } from './interface-owner.ts'
import type { Neighbours } from './neighbours.ts'

/** Nothing of it comes from another network: no router lets it past with all hops left (RFC 4861, 3.1). */
export const DISCOVERY_HOPS = 255

export interface NeighbourDiscoveryParts {
  mac: number
  clock: Clock
  own: OwnAddress
  linkLocal: IpAddress
  neighbours: Neighbours
  drops: InterfaceDrops
  output: IpOutput
  warn: (message: string) => void
}

/** Sends a message of neighbour discovery. @param to the card; absent: who has the address */
export function sendDiscovery(output: IpOutput, source: IpAddress, destination: IpAddress, message: NeighbourMessage, to?: number): void {
  const payload = buildIcmp(source, destination, buildNeighbour(message))
  output.send({ source, destination, protocol: PROTOCOL.icmpv6, ttl: DISCOVERY_HOPS }, payload, to)
}

export class NeighbourDiscovery {
  readonly #parts: NeighbourDiscoveryParts
  #defended = -Infinity

  constructor(parts: NeighbourDiscoveryParts) {
    this.#parts = parts
  }

  /** @param mac null: the address's group is asked */
  ask(address: IpAddress, mac: number | null): void {
    const { mac: own, linkLocal, output } = this.#parts
    const options = [{ kind: 'source-mac', mac: own } as const]
    const group = solicitedNodeOf(address)
    const message = { kind: 'neighbour-solicitation', target: address, options } as const
    if (mac === null) sendDiscovery(output, linkLocal, group, message, multicastMac(group))
    else sendDiscovery(output, linkLocal, address, message, mac)
  }

  announce(): void {
    this.#advertise(this.#parts.own.address, null, 0)
    this.#advertise(this.#parts.linkLocal, null, 0)
  }

  /** @returns the card that asks for a router advertisement; null: none does */
  receive(packet: IncomingPacket): number | null {
    const { drops, neighbours } = this.#parts
    const icmp = packet.ttl === DISCOVERY_HOPS ? parseIcmp(packet) : null
    const message = icmp && parseNeighbour(icmp)
    if (!message) {
      drops.malformed++
      return null
    }
    const { source, sourceMac } = packet
    const nobody = isZero(source)
    switch (message.kind) {
      case 'router-solicitation':
      case 'neighbour-solicitation': {
        const mac = macIn(message.options, 'source-mac')
        // RFC 4861, 6.1.1 and 7.1.1; and nobody but a card itself says what it is.
        if (mac !== null && (nobody || mac !== sourceMac)) {
          drops.spoofed++
          return null
        }
        if (mac !== null) neighbours.learn(source, mac)
        if (message.kind === 'router-solicitation') return sourceMac
        this.#asked(message.target, packet, nobody)
        return null
      }
      case 'neighbour-advertisement':
        this.#told(message, packet)
        return null
      // From another router: what it says is for machines.
      default:
        return null
    }
  }

  #asked(target: IpAddress, { source, sourceMac }: IncomingPacket, nobody: boolean): void {
    const { own, linkLocal } = this.#parts
    if (!sameIp(target, own.address) && !sameIp(target, linkLocal)) return
    this.#advertise(target, nobody ? null : source, sourceMac)
  }

  #told(message: NeighbourMessage & { kind: 'neighbour-advertisement' }, { destination, sourceMac }: IncomingPacket): void {
    const { own, linkLocal, neighbours, drops, clock, warn } = this.#parts
    const { target, solicited, override, options } = message
    const mac = macIn(options, 'target-mac') ?? sourceMac
    if (
      (solicited && isMulticastIp(destination)) ||
      mac !== sourceMac ||
      isMulticast(mac) ||
      !(inSubnet(target, own.subnet) || isLinkLocal(target))
    ) {
      drops.spoofed++
      return
    }
    if (!sameIp(target, own.address) && !sameIp(target, linkLocal)) return neighbours.update(target, mac, override)
    if (clock.now() - this.#defended < DEFEND_MS) return
    this.#defended = clock.now()
    warn(`The card ${formatMac(mac)} uses the address ${formatIp(target)} as well.`)
    this.#advertise(target, null, 0)
  }

  /** @param to null: everybody, as nobody asked or who did has no address yet (RFC 4861, 7.2.4) */
  #advertise(target: IpAddress, to: IpAddress | null, mac: number): void {
    const { mac: own, output } = this.#parts
    const options = [{ kind: 'target-mac', mac: own } as const]
    const message = { kind: 'neighbour-advertisement', target, router: true, solicited: to !== null, override: true, options } as const
    if (to) sendDiscovery(output, target, to, message, mac)
    else sendDiscovery(output, target, ALL_NODES, message, multicastMac(ALL_NODES))
  }
}
