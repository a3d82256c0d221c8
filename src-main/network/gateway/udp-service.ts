/** What answers UDP on a gateway's own addresses: DHCP, DNS, NTP, TFTP. */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { IpAddress } from '../../../src-shared/model/ip.ts'

/** A datagram to one of the gateway's addresses, to a broadcast address, or to a multicast group. The addresses may be kept; the payload is lent for the call. */
export interface UdpRequest {
  /** 0.0.0.0 of a machine that has no address yet. */
  source: IpAddress
  sourcePort: number
  destination: IpAddress
  destinationPort: number
  payload: Uint8Array
  /** Of the frame. */
  sourceMac: number
}

/** Where an answer goes and what it comes from, where that is not just the request turned round. */
export interface UdpReplyOptions {
  /** Absent: the address that was asked, or where that is no one's own (broadcast, multicast), the gateway's. */
  source?: IpAddress
  /** Absent: the port that was asked. */
  sourcePort?: number
  destination?: IpAddress
  destinationPort?: number
  /** To this card, whether or not it has the address yet. Absent: to the card that asked, or with another destination to who has that. */
  toMac?: number
}

/** Sends an answer; at once or later, as often as it takes. */
export type UdpReply = (payload: Uint8Array, how?: UdpReplyOptions) => void

export interface UdpService {
  readonly port: number
  receive(datagram: UdpRequest, reply: UdpReply): void
}

/** The ports of a gateway's addresses. */
export interface UdpServices {
  /** @throws Error where the port is taken */
  listen(service: UdpService): Disposable
}
