/**
 * How services and NAT answer machines: IP packets, which the gateway puts into frames and sends to the neighbour that has the address, asking for it where it is not
 * known (a few packets wait meanwhile).
 */
import type { IpAddress } from '../../src-shared/model/ip.ts'
import type { IpPacket } from './codec/ip.ts'

/** Bytes before a payload that the gateway may write its headers into: the payload is not copied then. */
export const HEADROOM = 64

export interface IpOutput {
  /** Bytes of the largest IP packet. */
  readonly mtu: number
  /**
   * Sends a packet, cut in pieces where it is larger than the MTU. False: there was no room for it on the way.
   * @param payload where its buffer has HEADROOM bytes before it (see `roomFor`), these are overwritten; else it is copied
   * @param to the neighbour whose packet this answers, as a MAC address; absent: who has the destination's address
   */
  send(
    header: { source: IpAddress; destination: IpAddress; protocol: number; ttl?: number; trafficClass?: number },
    payload: Uint8Array,
    to?: number,
  ): boolean
}

/** A packet as a gateway hands it on. */
export interface IncomingPacket extends IpPacket {
  /** Of the frame. */
  sourceMac: number
}

/** A payload's place with headroom before it, to be used again for each packet. @param bytes of the largest payload */
export function roomFor(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(HEADROOM + bytes), HEADROOM)
}
