/** What a card of this computer's own in a network is told, and what it leaves to whoever has it: a gateway or a router. */
import type { IpAddress, Subnet } from '../../../src-shared/model/ip.ts'
import type { Clock } from '../clock.ts'
import type { IncomingPacket } from '../ip-output.ts'
import type { Plugboard } from '../port.ts'

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
