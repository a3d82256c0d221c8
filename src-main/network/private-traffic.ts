/**
 * Which frames are of machines that are marked private, wherever in this thread they pass: of those nothing is kept.
 *
 * Theory of operation: in its own network a private machine is known by its card. Behind a router, which puts its own card in the machine's place, it is known by its IP
 * addresses. Both are learned from what the machine sends, as it leaves its port and before anybody else gets it, so no packet is ahead of what is learned from it.
 *
 * A private machine cannot hide other machines' packets by using their addresses: an IP address that is leased belongs to the card that has the lease, as long as that is plugged
 * in, and a card that is plugged in belongs to its own machine. For each private machine a limited number of both is remembered; those learned first make room.
 */
import { inSubnet, sameIp, type IpAddress, type Subnet } from '../../src-shared/model/ip.ts'
import { mixAddress } from './address-key.ts'
import { ARP_SENDER_IP } from './codec/arp.ts'
import { BROADCAST, destinationOf, ETHERNET_HEADER, ETHERTYPE, isMulticast, macAt, sourceOf, tagBytesOf } from './codec/ethernet.ts'
import { ICMP, ICMPV6 } from './codec/icmp.ts'
import { IPV4_HEADER, IPV6_HEADER, PROTOCOL } from './codec/ip.ts'
import { UDP_HEADER } from './codec/udp.ts'
import { isLinkLocal, isMulticastIp, isZero } from './gateway/addresses.ts'

/** Of one card. */
const MAX_ADDRESSES = 64
const MAX_MACS = 16
/** Of the server, and where a message says which card it is for, behind the header of UDP (RFC 2131, 2). */
const DHCP_PORT = 67
const CHADDR = UDP_HEADER + 28
const ICMP_ERRORS: ReadonlySet<number> = new Set([ICMP.unreachable, 4, 5, ICMP.timeExceeded, 12])

/** What is known of a network. */
export interface PrivateNetwork {
  /** Machines' cards there that are private. */
  cards: readonly number[]
  subnets: readonly Subnet[]
  /** The card that has an address by right; null: nobody is known to. */
  ownerOf: (address: IpAddress) => number | null
  /** Whether a card is plugged in. */
  isCard: (mac: number) => boolean
  /** Whether it is a machine's. */
  isMachine: (mac: number) => boolean
}

/** A network, and what its private cards are known by there. */
interface Place extends PrivateNetwork {
  name: string
  byMac: Map<number, Card>
}

interface Card {
  mac: number
  place: Place
  /** Other cards in whose name it sends: those of machines inside of the machine. */
  macs: number[]
  addresses: Known[]
}

interface Known {
  key: number
  address: IpAddress
  card: Card
}

/** What is known of a network that is gone. */
const NOTHING: PrivateNetwork = { cards: [], subnets: [], ownerOf: () => null, isCard: () => false, isMachine: () => false }

export class PrivateTraffic {
  #places = new Map<string, Place>()
  /** Of all networks. */
  #count = 0
  #byAddress = new Map<number, Known[]>()

  /** A network as it is now; null: it is gone. */
  set(name: string, network: PrivateNetwork | null): void {
    const place: Place = Object.assign(this.#places.get(name) ?? { name, byMac: new Map<number, Card>() }, network ?? NOTHING)
    if (network) this.#places.set(name, place)
    else this.#places.delete(name)
    for (const [mac, card] of place.byMac) {
      if (card.mac !== mac) continue
      if (!place.cards.includes(mac)) this.#remove(card)
      // A card in whose name this machine had sent was plugged in: it is somebody's own.
      else for (const other of card.macs.filter((one) => place.isCard(one))) forgetMac(card, other)
    }
    for (const mac of place.cards) {
      if (place.byMac.get(mac)?.mac === mac) continue
      place.byMac.set(mac, { mac, place, macs: [], addresses: [] })
      this.#count++
    }
  }

  /** A frame that a private card of a network sends. */
  learn(network: string, mac: number, frame: Uint8Array): void {
    const place = this.#places.get(network)
    const card = place?.byMac.get(mac)
    const tags = tagBytesOf(frame)
    if (!place || card?.mac !== mac || tags === null) return
    const source = sourceOf(frame)
    if (!place.byMac.has(source) && !isMulticast(source) && !place.isCard(source)) {
      card.macs.push(source)
      place.byMac.set(source, card)
      if (card.macs.length > MAX_MACS) forgetMac(card, card.macs[0]!)
    }
    const at = ETHERNET_HEADER + tags
    const type = typeAt(frame, at)
    if (type === ETHERTYPE.ipv4) this.#learnAddress(card, frame, at + 12, 4)
    else if (type === ETHERTYPE.arp) this.#learnAddress(card, frame, at + ARP_SENDER_IP, 4)
    else if (type === ETHERTYPE.ipv6) this.#learnAddress(card, frame, at + 8, 16)
  }

  /** Whether a frame that passes in a network is to or from a private machine, or tells of such a one (ICMP errors quote it). */
  covers(network: string, frame: Uint8Array): boolean {
    const here = this.#count === 0 ? undefined : this.#places.get(network)
    if (!here) return false
    if (here.byMac.has(sourceOf(frame)) || here.byMac.has(destinationOf(frame))) return true
    const tags = tagBytesOf(frame)
    if (tags === null) return false
    const at = ETHERNET_HEADER + tags
    const type = typeAt(frame, at)
    if (type === ETHERTYPE.ipv4) {
      if (this.#isEnd(here, frame, at + 12, 4)) return true
      if (destinationOf(frame) === BROADCAST && isLease(here, frame, at)) return true
      const inner = at + (frame[at]! & 15) * 4 + 8
      return frame[at + 9] === PROTOCOL.icmp && ICMP_ERRORS.has(frame[inner - 8]!) && this.#isEnd(here, frame, inner + 12, 4)
    }
    if (type !== ETHERTYPE.ipv6) return false
    if (this.#isEnd(here, frame, at + 8, 16)) return true
    const inner = at + IPV6_HEADER + 8
    const isError = frame[at + 6] === PROTOCOL.icmpv6 && (frame[inner - 8]! < ICMPV6.echoRequest || frame[inner - 8] === ICMPV6.redirect)
    return isError && this.#isEnd(here, frame, inner + 8, 16)
  }

  #learnAddress(card: Card, frame: Uint8Array, at: number, length: 4 | 16): void {
    if (frame.length < at + length || this.#find(frame, at, length)?.card === card) return
    const address = frame.slice(at, at + length)
    if (isZero(address) || isMulticastIp(address) || isLinkLocal(address)) return
    const owner = card.place.ownerOf(address)
    if (owner !== null && owner !== card.mac) return
    const key = mixAddress(0, address, 0, length)
    const known = { key, address, card }
    this.#byAddress.set(key, [known, ...(this.#byAddress.get(key) ?? [])])
    card.addresses.push(known)
    if (card.addresses.length > MAX_ADDRESSES) this.#forget(card.addresses.shift()!)
  }

  /** Whether one of the two addresses of a packet that stand one behind the other is a private machine's. */
  #isEnd(here: Place, frame: Uint8Array, at: number, length: 4 | 16): boolean {
    return (
      this.#isPrivate(here, sourceOf(frame), frame, at, length) || this.#isPrivate(here, destinationOf(frame), frame, at + length, length)
    )
  }

  /** @param mac of the card whose address it is, where that is in this network */
  #isPrivate(here: Place, mac: number, frame: Uint8Array, at: number, length: 4 | 16): boolean {
    const known = this.#find(frame, at, length)
    if (!known) return false
    const { address, card } = known
    const owner = card.place.ownerOf(address)
    if (owner !== null && owner !== card.mac) return false
    // Two machines of its network may have taken one address, and networks that know nothing of each other may have the same.
    return card.place === here ? !here.isMachine(mac) : !here.subnets.some((subnet) => inSubnet(address, subnet))
  }

  #find(frame: Uint8Array, at: number, length: 4 | 16): Known | null {
    if (frame.length < at + length) return null
    const found = this.#byAddress.get(mixAddress(0, frame, at, length))
    return found?.find(({ address }) => sameIp(address, frame.subarray(at, at + length))) ?? null
  }

  #remove(card: Card): void {
    for (const mac of [card.mac, ...card.macs]) card.place.byMac.delete(mac)
    for (const known of card.addresses) this.#forget(known)
    this.#count--
  }

  #forget(known: Known): void {
    const left = this.#byAddress.get(known.key)?.filter((one) => one !== known) ?? []
    if (left.length > 0) this.#byAddress.set(known.key, left)
    else this.#byAddress.delete(known.key)
  }
}

/** Of another than its own. */
function forgetMac(card: Card, mac: number): void {
  card.macs.splice(card.macs.indexOf(mac), 1)
  card.place.byMac.delete(mac)
}

/** A DHCP server's word to a private machine that has no address yet, and hears what is for all. @param at of the IP packet */
function isLease(here: Place, frame: Uint8Array, at: number): boolean {
  const udp = at + IPV4_HEADER
  if (frame[at] !== 0x45 || frame[at + 9] !== PROTOCOL.udp || frame.length < udp + CHADDR + 6) return false
  return frame[udp] === 0 && frame[udp + 1] === DHCP_PORT && here.byMac.has(macAt(frame, udp + CHADDR))
}

/** @param at of what follows the type */
function typeAt(frame: Uint8Array, at: number): number {
  return (frame[at - 2]! << 8) | frame[at - 1]!
}
