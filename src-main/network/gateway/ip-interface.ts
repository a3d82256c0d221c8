/**
 * One card of this computer's own in a network, with its addresses: the part of the Internet's host and router requirements (RFC 1122, RFC 1812, RFC 4861) that a gateway
 * and a router have in common.
 *
 * In: a frame is ARP or IP. Packets whose source cannot come from where they came (RFC 2827, RFC 3704) are dropped and counted. Neighbour discovery, echo and reassembly
 * of what is for the interface's own addresses are done here; all else goes to its owner. Out: headers are written in front of the payload, in its own memory where it has
 * room for them; the neighbour's card is found, or the packet waits for it.
 *
 * Frames pass while the sender's call lasts, so an answer may be sent while a frame of this interface still passes: it gets memory of its own then.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { inSubnet, sameIp, type IpAddress, type Subnet } from '../../../src-shared/model/ip.ts'
import type { CardShare } from '../card-share.ts'
import type { Clock } from '../clock.ts'
import { BROADCAST, ETHERNET_HEADER, ETHERTYPE, ethertypeOf, isMulticast, macAt, writeEthernet } from '../codec/ethernet.ts'
import { buildIcmp, ICMP, ICMPV6, parseIcmp } from '../codec/icmp.ts'
import { ipHeaderBytes, parseIp, PROTOCOL, writeIp, type IpHeader } from '../codec/ip.ts'
import { hasHeadroom, type IncomingPacket, type IpOutput, type Refusal } from '../ip-output.ts'
import { MAX_FRAME, type Plugboard, type Port } from '../port.ts'
import { RateLimit } from '../rate-limit.ts'
import { IPV4_BROADCAST, isLinkLocal, isMulticastIp, isZero, linkLocalOf, multicastMac } from './addresses.ts'
import { AddressResolution } from './address-resolution.ts'
import { cutIpv4, cutIpv6 } from './fragments.ts'
import { errorAbout } from './icmp-errors.ts'
import { NeighbourDiscovery } from './neighbour-discovery.ts'
import { Neighbours } from './neighbours.ts'
import { Reassembly } from './reassembly.ts'

/** An address and the subnet around it. */
export interface OwnAddress {
  address: IpAddress
  subnet: Subnet
}

/** A way to addresses outside of the subnet: the router on it that knows further. */
export interface NextHop {
  address: IpAddress
  mac: number
}

/** What an interface leaves to its owner. Packets are lent for the call. */
export interface InterfaceOwner {
  /** A whole packet to an own address, to a broadcast address or a multicast group, but for neighbour discovery and echo. */
  local(packet: IncomingPacket): void
  /** For somebody else; perhaps a fragment. */
  transit(packet: IncomingPacket): void
  /** Who on this network hands packets on to an address outside of its subnet; null: nobody. */
  nextHop(address: IpAddress): NextHop | null
  /** Whether an address is its own on another network: packets to it are for this interface as well, and none come from it. */
  isOwn?(address: IpAddress): boolean
  /** Whether a card is a router's, or a gateway's: it hands on packets from outside of the subnet, and has looked at their sources where they came from. */
  relays(mac: number): boolean
  /** Whether a card may say that it has the address; absent: any may. */
  mayHave?(address: IpAddress, mac: number): boolean
  /** Whom what a card makes it remember counts for; absent: itself. */
  shareOf?: CardShare
  /** A frame came, of whatever kind. */
  heard?(): void
  /** Asks for a router advertisement. */
  solicited?(mac: number): void
  /** A neighbour has an address that was not known. */
  learned?(): void
  /** Something odd, for the log: at most some a minute. */
  warn(message: string): void
}

export interface InterfaceOptions {
  /** Of its port. */
  id: string
  board: Plugboard
  clock: Clock
  mac: number
  /** Bytes of an IP packet. */
  mtu: number
  ipv4: OwnAddress | null
  ipv6: OwnAddress | null
}

/** Packets that went no further, by why. Grow only. */
export interface InterfaceDrops {
  /** No packet, or not as its protocol says. */
  malformed: number
  /** From an address that is not there. */
  spoofed: number
  /** Nobody has the address, or no room for it to wait. */
  unresolved: number
  /** No way to the address. */
  unroutable: number
}

/** Errors that are told in a second, and at once (RFC 1812, 4.3.2.8; RFC 4443, 2.4 f). */
const ERRORS = { rate: 200, burst: 100 } as const
const NOT_KNOWN = -1
const NO_WAY = -2

export class IpInterface implements IpOutput, Disposable {
  readonly mac: number
  readonly ipv4: OwnAddress | null
  readonly ipv6: OwnAddress | null
  /** Of the card, where there is IPv6. */
  readonly linkLocal: IpAddress | null
  readonly port: Port
  readonly drops: InterfaceDrops = { malformed: 0, spoofed: 0, unresolved: 0, unroutable: 0 }
  readonly neighbours: Neighbours
  readonly reassembly: Reassembly
  mtu: number

  readonly #owner: InterfaceOwner
  readonly #arp: AddressResolution | null
  readonly #discovery: NeighbourDiscovery | null
  readonly #errors: RateLimit
  /** Of the directed broadcast (RFC 919). */
  readonly #broadcast: IpAddress | null
  readonly #scratch = new Uint8Array(MAX_FRAME)
  #sending = false
  /** The frame around the payload that was sent last: senders use the same place again. */
  #lastPayload: Uint8Array | null = null
  #lastFrame: Uint8Array | null = null
  #id = Math.floor(Math.random() * 0x1_0000_0000)

  constructor({ id, board, clock, mac, mtu, ipv4, ipv6 }: InterfaceOptions, owner: InterfaceOwner) {
    this.mac = mac
    this.mtu = mtu
    this.ipv4 = ipv4
    this.ipv6 = ipv6
    this.linkLocal = ipv6 && linkLocalOf(mac)
    this.#broadcast = ipv4 && broadcastOf(ipv4.subnet)
    this.#owner = owner
    this.#errors = new RateLimit(clock, ERRORS)
    this.port = board.plug(id, (frame) => this.receive(frame))
    this.neighbours = new Neighbours(clock, {
      ask: (address, to) => (address.length === 4 ? this.#arp?.ask(address, to) : this.#discovery?.ask(address, to)),
      transmit: (packet, to) => this.#transmit(packet, to),
      mayHave: (address, of) => owner.mayHave?.(address, of) ?? true,
      learned: () => owner.learned?.(),
      shareOf: owner.shareOf ?? ((of) => of),
    })
    this.reassembly = new Reassembly(clock, (first) => this.#refuse(first, 'reassembly'))
    const { neighbours, drops } = this
    const parts = { mac, clock, neighbours, drops, warn: (message: string) => owner.warn(message) }
    this.#arp = ipv4 && new AddressResolution({ ...parts, own: ipv4, send: (frame) => this.port.send(frame) })
    this.#discovery = ipv6 && new NeighbourDiscovery({ ...parts, own: ipv6, linkLocal: this.linkLocal!, output: this })
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

  isOwn(address: IpAddress): boolean {
    return (
      (this.ipv4 !== null && sameIp(address, this.ipv4.address)) ||
      (this.ipv6 !== null && (sameIp(address, this.ipv6.address) || sameIp(address, this.linkLocal!))) ||
      (this.#owner.isOwn?.(address) ?? false)
    )
  }

  /** The own address to answer an address from; null: it has none of that family. */
  ownFor(address: IpAddress): IpAddress | null {
    if (address.length === 4) return this.ipv4?.address ?? null
    return isLinkLocal(address) || isMulticastIp(address) ? this.linkLocal : (this.ipv6?.address ?? null)
  }

  /** An address of a neighbour, as far as the subnets say. */
  isOnLink(address: IpAddress): boolean {
    const own = address.length === 4 ? this.ipv4 : this.ipv6
    return own !== null && (inSubnet(address, own.subnet) || isLinkLocal(address))
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
    else if (type === ETHERTYPE.ipv4 ? this.ipv4 : type === ETHERTYPE.ipv6 ? this.ipv6 : null) this.#receiveIp(frame, source, many)
    return true
  }

  send(header: IpHeader, payload: Uint8Array, to?: number): boolean {
    const { source, destination } = header
    const bytes = ipHeaderBytes(source)
    const mac = to ?? this.#cardOf(destination)
    if (mac < 0 || bytes + payload.length > this.mtu) return this.#sendSlowly(header, payload, mac)
    const length = ETHERNET_HEADER + bytes + payload.length
    if (hasHeadroom(payload)) {
      let frame = this.#lastFrame
      if (payload !== this.#lastPayload || frame!.length !== length) {
        frame = new Uint8Array(payload.buffer, payload.byteOffset - ETHERNET_HEADER - bytes, length)
        this.#lastPayload = payload
        this.#lastFrame = frame
      }
      writeIp(frame!, ETHERNET_HEADER, header, payload.length)
      writeEthernet(frame!, mac, this.mac, source.length === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
      return this.port.send(frame!)
    }
    return this.#framed(length, (frame) => {
      frame.set(payload, ETHERNET_HEADER + bytes)
      writeIp(frame, ETHERNET_HEADER, header, payload.length)
      writeEthernet(frame, mac, this.mac, source.length === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
    })
  }

  refuse(packet: IncomingPacket, why: Refusal): void {
    this.#refuse(packet, why)
  }

  /** As `refuse`, for one that waited. @param whole the packet */
  refuseLater(whole: Uint8Array, sourceMac: number, why: Refusal): void {
    const packet = parseIp(whole)
    if (packet) this.#refuse({ ...packet, sourceMac }, why)
  }

  /**
   * Sends somebody else's packet on, one hop older. The caller has seen that there is a hop left.
   * @param whole copied
   * @param via who hands it on; null: its destination is a neighbour
   * @param back where the interface that it came from tells its sender what is wrong with it
   */
  forward(whole: Uint8Array, destination: IpAddress, via: NextHop | null, back: (why: Refusal, whole: Uint8Array) => void): void {
    const mac = via?.mac ?? this.neighbours.find(destination)
    if (whole.length <= this.mtu && mac !== NOT_KNOWN) {
      this.#framed(ETHERNET_HEADER + whole.length, (frame) => {
        frame.set(whole, ETHERNET_HEADER)
        age(frame, ETHERNET_HEADER)
        writeEthernet(frame, mac, this.mac, destination.length === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
      })
      return
    }
    const packet = whole.slice()
    age(packet, 0)
    let pieces: Uint8Array[] = [packet]
    if (packet.length > this.mtu) {
      // Not to be cut: by its sender's wish, or as IPv6 is.
      if (destination.length !== 4 || (packet[6]! & 0x40) !== 0) return back({ tooBig: this.mtu }, whole)
      pieces = cutIpv4(packet, this.mtu)
    }
    for (const piece of pieces) {
      if (mac !== NOT_KNOWN) this.#transmit(piece, mac)
      else if (!this.neighbours.wait(destination, piece, (lost) => back('host', lost))) this.drops.unresolved++
    }
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
    const toMany = isMulticastIp(destination) || this.#isBroadcast(destination)
    if (!this.#mayComeFrom(packet, toMany)) {
      this.drops.spoofed++
      return
    }
    if (toMany || this.isOwn(destination)) this.#receiveLocal(packet, toMany)
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
    const source = this.isOwn(packet.destination) ? packet.destination : this.ownFor(packet.source)
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
    const own = this.isOwn(packet.destination) ? packet.destination : this.ownFor(packet.source)
    if (!message || !own || !this.#errors.take()) return
    const { source: destination, version } = packet
    const protocol = version === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6
    this.send({ source: own, destination, protocol }, buildIcmp(own, destination, message), this.#backTo(packet))
  }

  /** The card that an answer goes to: who the packet came from, but where a gateway handed it on for a neighbour, that one itself. */
  #backTo({ source, sourceMac }: IncomingPacket): number | undefined {
    return this.isOnLink(source) && this.#owner.relays(sourceMac) ? undefined : sourceMac
  }

  /** Whether a packet's source can be where it came from: in the subnet, or behind the router that sent it. Neighbours are learned by the way. */
  #mayComeFrom({ source, version, sourceMac, protocol }: IncomingPacket, toMany: boolean): boolean {
    if (isMulticastIp(source) || this.isOwn(source)) return false
    const own = version === 4 ? this.ipv4! : this.ipv6!
    if (inSubnet(source, own.subnet) || isLinkLocal(source)) {
      if (version === 4 && (this.#isBroadcast(source) || sameIp(source, own.subnet.address))) return false
      // A gateway hands on what a neighbour sent to the wrong of two routers: that is not the neighbour's card.
      if (!this.#owner.relays(sourceMac)) this.neighbours.heard(source, sourceMac)
      return true
    }
    // Who has no address yet asks for one (RFC 2131, 4.1), or whether another has it (RFC 4862, 5.4).
    if (isZero(source)) return toMany && (version === 4 ? protocol === PROTOCOL.udp : protocol === PROTOCOL.icmpv6)
    return this.#owner.relays(sourceMac)
  }

  #isBroadcast(address: IpAddress): boolean {
    return address.length === 4 && (address[3] === this.#broadcast?.[3] || address[3] === 255) && this.#isAll(address)
  }

  #isAll(address: IpAddress): boolean {
    return sameIp(address, IPV4_BROADCAST) || (this.#broadcast !== null && sameIp(address, this.#broadcast))
  }

  /** The card a packet goes to. */
  #cardOf(destination: IpAddress): number {
    const known = this.neighbours.find(destination)
    if (known !== NOT_KNOWN) return known
    if (isMulticastIp(destination)) return multicastMac(destination)
    if (this.#isBroadcast(destination)) return BROADCAST
    if (this.isOnLink(destination)) return NOT_KNOWN
    return this.#owner.nextHop(destination)?.mac ?? NO_WAY
  }

  /** What does not fit, or waits. */
  #sendSlowly(header: IpHeader, payload: Uint8Array, mac: number): boolean {
    const { source, destination } = header
    if (mac === NO_WAY) {
      this.drops.unroutable++
      return false
    }
    const bytes = ipHeaderBytes(source)
    if (payload.length + (source.length === 4 ? bytes : 0) > 0xffff) return false
    const id = (this.#id = (this.#id + 1) >>> 0)
    const whole = new Uint8Array(bytes + payload.length)
    const tooBig = whole.length > this.mtu
    writeIp(whole, 0, tooBig ? { ...header, id: id & 0xffff, flags: 0 } : header, payload.length)
    whole.set(payload, bytes)
    const pieces = !tooBig ? [whole] : source.length === 4 ? cutIpv4(whole, this.mtu) : cutIpv6(whole, this.mtu, id)
    let sent = true
    for (const piece of pieces) {
      if (mac !== NOT_KNOWN) sent = this.#transmit(piece, mac) && sent
      else if (!this.neighbours.wait(destination, piece)) {
        this.drops.unresolved++
        sent = false
      }
    }
    return sent
  }

  /** Puts a packet into a frame. */
  #transmit(packet: Uint8Array, mac: number): boolean {
    return this.#framed(ETHERNET_HEADER + packet.length, (frame) => {
      frame.set(packet, ETHERNET_HEADER)
      writeEthernet(frame, mac, this.mac, packet[0]! >> 4 === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
    })
  }

  #framed(length: number, write: (frame: Uint8Array) => void): boolean {
    const nested = this.#sending
    const frame = nested ? new Uint8Array(length) : this.#scratch.subarray(0, length)
    write(frame)
    this.#sending = true
    const sent = this.port.send(frame)
    this.#sending = nested
    return sent
  }
}

function broadcastOf({ address, prefix }: Subnet): IpAddress {
  return address.map((byte, at) => byte | (0xff >> Math.min(8, Math.max(0, prefix - at * 8))))
}

/** One hop less to go, and the checksum with it (RFC 1624). */
function age(bytes: Uint8Array, at: number): void {
  if (bytes[at]! >> 4 === 6) {
    bytes[at + 7]!--
    return
  }
  bytes[at + 8]!--
  const added = ((bytes[at + 10]! << 8) | bytes[at + 11]!) + 0x100
  const sum = added + (added >= 0xffff ? 1 : 0)
  bytes[at + 10] = sum >> 8
  bytes[at + 11] = sum
}
