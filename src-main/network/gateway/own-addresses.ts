/** Which addresses are an interface's own, which are its neighbours', and which are for all of them. */
import { inSubnet, sameIp, type IpAddress, type Subnet } from '../../../src-shared/model/ip.ts'
import { IPV4_BROADCAST, isLinkLocal, isMulticastIp, linkLocalOf } from './addresses.ts'
import type { OwnAddress } from './interface-owner.ts'

export class OwnAddresses {
  readonly ipv4: OwnAddress | null
  readonly ipv6: OwnAddress | null
  /** Of the card, where there is IPv6. */
  readonly linkLocal: IpAddress | null
  /** Of the directed broadcast (RFC 919). */
  readonly #broadcast: IpAddress | null
  readonly #elsewhere: ((address: IpAddress) => boolean) | null

  /** @param elsewhere whether an address is its owner's on another network; null: it has none */
  constructor(mac: number, ipv4: OwnAddress | null, ipv6: OwnAddress | null, elsewhere: ((address: IpAddress) => boolean) | null) {
    this.ipv4 = ipv4
    this.ipv6 = ipv6
    this.linkLocal = ipv6 && linkLocalOf(mac)
    this.#broadcast = ipv4 && broadcastOf(ipv4.subnet)
    this.#elsewhere = elsewhere
  }

  has(address: IpAddress): boolean {
    return (
      (this.ipv4 !== null && sameIp(address, this.ipv4.address)) ||
      (this.ipv6 !== null && (sameIp(address, this.ipv6.address) || sameIp(address, this.linkLocal!))) ||
      (this.#elsewhere !== null && this.#elsewhere(address))
    )
  }

  /** The one to answer an address from; null: it has none of that family. */
  facing(address: IpAddress): IpAddress | null {
    if (address.length === 4) return this.ipv4?.address ?? null
    return isLinkLocal(address) || isMulticastIp(address) ? this.linkLocal : (this.ipv6?.address ?? null)
  }

  /** An address of a neighbour, as far as the subnets say. */
  isOnLink(address: IpAddress): boolean {
    const own = address.length === 4 ? this.ipv4 : this.ipv6
    return own !== null && (inSubnet(address, own.subnet) || isLinkLocal(address))
  }

  /** For all in the network: of IPv4, which has such addresses. */
  isBroadcast(address: IpAddress): boolean {
    return address.length === 4 && (address[3] === this.#broadcast?.[3] || address[3] === 255) && this.#isAll(address)
  }

  /** Whether a neighbour can have an address that is in its subnet. */
  isHost(address: IpAddress): boolean {
    return address.length === 16 || !(this.isBroadcast(address) || (this.ipv4 !== null && sameIp(address, this.ipv4.subnet.address)))
  }

  #isAll(address: IpAddress): boolean {
    return sameIp(address, IPV4_BROADCAST) || (this.#broadcast !== null && sameIp(address, this.#broadcast))
  }
}

function broadcastOf({ address, prefix }: Subnet): IpAddress {
  return address.map((byte, at) => byte | (0xff >> Math.min(8, Math.max(0, prefix - at * 8))))
}
