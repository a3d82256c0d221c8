/**
 * One card of this computer's own in a network, with its addresses: the part of the Internet's host and router requirements (RFC 1122, RFC 1812, RFC 4861) that a gateway
 * and a router have in common.
 *
 *   in:   a frame is ARP (AddressResolution) or IP; packets whose source cannot come from where they came (RFC 2827, RFC 3704) are dropped and counted; neighbour discovery, echo
 *         and reassembly of what is for its own addresses (OwnAddresses) are done here; all else goes to its owner (InterfaceOwner)
 *   out:  FrameOutput, with the cards that Neighbours knows
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { inSubnet, type IpAddress } from '../../../src-shared/model/ip.ts'
import { cardShare } from '../card-share.ts'
import { ETHERNET_HEADER, ETHERTYPE, ethertypeOf, isMulticast, macAt } from '../codec/ethernet.ts'
import { buildIcmp, ICMP, ICMPV6, parseIcmp } from '../codec/icmp.ts'
import { parseIp, PROTOCOL, type IpHeader } from '../codec/ip.ts'
import type { IncomingPacket, IpOutput, Refusal } from '../ip-output.ts'
import type { Port } from '../port.ts'
import { RateLimit } from '../rate-limit.ts'
import { isLinkLocal, isMulticastIp, isZero } from './addresses.ts'
import { AddressResolution } from './address-resolution.ts'
import { FrameOutput } from './frame-output.ts'
import { errorAbout } from './icmp-errors.ts'
import type { InterfaceDrops, InterfaceOptions, InterfaceOwner, NextHop } from './interface-owner.ts'
import { NeighbourDiscovery } from './neighbour-discovery.ts'
import { Neighbours } from './neighbours.ts'
import { OwnAddresses } from './own-addresses.ts'
import { Reassembly } from './reassembly.ts'

/** Errors that are told in a second, and at once (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f). */
const ERRORS = { rate: 200, burst: 100 } as const

export class IpInterface implements IpOutput, Disposable {
  readonly mac: number
  readonly own: OwnAddresses
  readonly port: Port
  readonly drops: InterfaceDrops = { malformed: 0, spoofed: 0, unresolved: 0, unroutable: 0 }
  readonly neighbours: Neighbours
  readonly reassembly: Reassembly

  readonly #owner: InterfaceOwner
  readonly #output: FrameOutput
  readonly #arp: AddressResolution | null
  readonly #discovery: NeighbourDiscovery | null
  readonly #errors: RateLimit

  constructor({ id, board, clock, mac, mtu, ipv4, ipv6 }: InterfaceOptions, owner: InterfaceOwner) {
    this.mac = mac
    this.#owner = owner
    const own = new OwnAddresses(mac, ipv4, ipv6, owner.isOwn ? (address) => owner.isOwn!(address) : null)
    this.own = own
    this.#errors = new RateLimit(clock, ERRORS)
    this.port = board.plug(id, (frame) => this.receive(frame))
    const shareOf = cardShare(board)
    this.neighbours = new Neighbours(clock, {
      ask: (address, to) => (address.length === 4 ? this.#arp?.ask(address, to) : this.#discovery?.ask(address, to)),
      transmit: (packet, to) => this.#output.transmit(packet, to),
      mayHave: (address, of) => owner.mayHave?.(address, of) ?? true,
      learned: () => owner.learned?.(),
      shareOf,
    })
    this.reassembly = new Reassembly(clock, shareOf, (first) => this.#refuse(first, 'reassembly'))
    const { neighbours, drops, port } = this
    this.#output = new FrameOutput(mtu, { mac, port, own, neighbours, drops, nextHop: (address) => owner.nextHop(address) })
    const parts = { mac, clock, neighbours, drops, warn: (message: string) => owner.warn(message) }
    this.#arp = ipv4 && new AddressResolution({ ...parts, own: ipv4, send: (frame) => port.send(frame) })
    this.#discovery = ipv6 && new NeighbourDiscovery({ ...parts, own: ipv6, linkLocal: own.linkLocal!, output: this })
  }

  /** Bytes of an IP packet. */
  get mtu(): number {
    return this.#output.mtu
  }

  set mtu(bytes: number) {
    this.#output.mtu = bytes
  }

  /** Whether another card answers for an IPv4 address of the network: see AddressResolution. */
  async isUsed(address: IpAddress, except: number): Promise<boolean> {
    return (await this.#arp?.isUsed(address, except)) ?? false
  }

  /** Tells everybody which card has the addresses, after it was new or away. */
  announce(): void {
    this.#arp?.announce()
    this.#discovery?.announce()
  }

  receive(frame: Uint8Array): boolean {
    if (frame.length < ETHERNET_HEADER) return false
    const destination = macAt(frame, 0)
    const many = isMulticast(destination)
    // Flooded by the switch, and for another card.
    if (destination !== this.mac && !many) return true
    const source = macAt(frame, 6)
    if (source === this.mac || source === 0 || isMulticast(source)) {
      this.drops.spoofed++
      return true
    }
    this.#owner.heard?.()
    const type = ethertypeOf(frame)
    if (type === ETHERTYPE.arp) this.#arp?.receive(frame, source)
    else if (type === ETHERTYPE.ipv4 ? this.own.ipv4 : type === ETHERTYPE.ipv6 ? this.own.ipv6 : null) this.#receiveIp(frame, source, many)
    return true
  }

  send(header: IpHeader, payload: Uint8Array, to?: number): boolean {
    return this.#output.send(header, payload, to)
  }

  /** Sends somebody else's packet on: see FrameOutput. */
  forward(packet: IncomingPacket, via: NextHop | null, back: (why: Refusal, whole: Uint8Array) => void): void {
    this.#output.forward(packet, via, back)
  }

  refuse(packet: IncomingPacket, why: Refusal): void {
    this.#refuse(packet, why)
  }

  /** As `refuse`, for one that waited. @param whole the packet */
  refuseLater(whole: Uint8Array, sourceMac: number, why: Refusal): void {
    const packet = parseIp(whole)
    if (packet) this.#refuse({ ...packet, sourceMac }, why)
  }

  dispose(): void {
    this.port.dispose()
    this.neighbours.dispose()
    this.reassembly.dispose()
  }

  #receiveIp(frame: Uint8Array, sourceMac: number, many: boolean): void {
    const packet = parseIp(frame, ETHERNET_HEADER) as IncomingPacket | null
    if (!packet) {
      this.drops.malformed++
      return
    }
    packet.sourceMac = sourceMac
    const { destination } = packet
    const toMany = isMulticastIp(destination) || this.own.isBroadcast(destination)
    if (!this.#mayComeFrom(packet, toMany)) {
      this.drops.spoofed++
      return
    }
    if (toMany || this.own.has(destination)) this.#receiveLocal(packet, toMany)
    // Nobody sends what is for one to all (RFC 1122, 3.3.6).
    else if (!many) this.#owner.transit(packet)
  }

  #receiveLocal(fragment: IncomingPacket, toMany: boolean): void {
    const packet = fragment.fragment ? this.reassembly.add(fragment) : fragment
    if (!packet) return
    const { version, protocol, payload } = packet
    if (protocol === PROTOCOL.icmpv6 && version === 6 && payload.length > 0) {
      if (payload[0]! >= ICMPV6.routerSolicitation && payload[0]! <= ICMPV6.neighbourAdvertisement) {
        // In pieces they are not to be believed (RFC 6980, 5).
        const mac = fragment.fragment ? null : this.#discovery!.receive(packet)
        if (mac !== null) this.#owner.solicited?.(mac)
        return
      }
      if (payload[0] === ICMPV6.echoRequest) return this.#echo(packet, ICMPV6.echoReply)
    } else if (protocol === PROTOCOL.icmp && version === 4 && payload[0] === ICMP.echoRequest) {
      // To all it may be left unanswered (RFC 1122, 3.2.2.6).
      if (!toMany) this.#echo(packet, ICMP.echoReply)
      return
    }
    this.#owner.local(packet)
  }

  #echo(packet: IncomingPacket, type: number): void {
    const message = parseIcmp(packet)
    const source = this.own.has(packet.destination) ? packet.destination : this.own.facing(packet.source)
    if (!message || !source || isZero(packet.source)) {
      this.drops.malformed++
      return
    }
    const { source: destination, protocol, trafficClass } = packet
    const reply = buildIcmp(source, destination, { ...message, type })
    this.send({ source, destination, protocol, trafficClass }, reply, this.#backTo(packet))
  }

  #refuse(packet: IncomingPacket, why: Refusal | 'reassembly'): void {
    const message = errorAbout(packet, why)
    const own = this.own.has(packet.destination) ? packet.destination : this.own.facing(packet.source)
    if (!message || !own || !this.#errors.take()) return
    const { source: destination, version } = packet
    const protocol = version === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6
    this.send({ source: own, destination, protocol }, buildIcmp(own, destination, message), this.#backTo(packet))
  }

  /** The card that an answer goes to: who the packet came from, but where a gateway handed it on for a neighbour, that one itself. */
  #backTo({ source, sourceMac }: IncomingPacket): number | undefined {
    return this.own.isOnLink(source) && this.#owner.relays(sourceMac) ? undefined : sourceMac
  }

  /** Whether a packet's source can be where it came from: in the subnet, or behind the router that sent it. Neighbours are learned by the way. */
  #mayComeFrom({ source, version, sourceMac, protocol }: IncomingPacket, toMany: boolean): boolean {
    if (isMulticastIp(source) || this.own.has(source)) return false
    const own = version === 4 ? this.own.ipv4! : this.own.ipv6!
    if (inSubnet(source, own.subnet) || isLinkLocal(source)) {
      if (!this.own.isHost(source)) return false
      // A gateway hands on what a neighbour sent to the wrong of two routers: that is not the neighbour's card.
      if (!this.#owner.relays(sourceMac)) this.neighbours.heard(source, sourceMac)
      return true
    }
    // Who has no address yet asks for one (RFC 2131, 4.1), or whether another has it (RFC 4862, 5.4).
    if (isZero(source)) return toMany && (version === 4 ? protocol === PROTOCOL.udp : protocol === PROTOCOL.icmpv6)
    return this.#owner.relays(sourceMac)
  }
}
