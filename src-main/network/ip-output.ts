/**
 * How services and NAT answer machines: IP packets, which the gateway puts into frames and sends to the neighbour that has the address, asking for it where it is not
 * known (a few packets wait meanwhile).
 */
import type { IpAddress } from '../../src-shared/model/ip.ts'
import type { IpPacket } from './codec/ip.ts'

/** Bytes before a payload of `roomFor` that the gateway may write its headers into: the payload is not copied then. */
export const HEADROOM = 64

/** Why a packet goes no further. `too-big` with the MTU that it would have to keep to. */
export type Refusal = 'network' | 'host' | 'protocol' | 'port' | 'prohibited' | 'time-exceeded' | { tooBig: number }

export interface IpOutput {
  /** Bytes of the largest IP packet. */
  readonly mtu: number
  /**
   * Sends a packet, cut in pieces where it is larger than the MTU. False: there was no room for it on the way.
   * @param payload where it lies in a place of `roomFor`, the HEADROOM bytes before it are overwritten; else it is copied
   * @param to the neighbour whose packet this answers, as a MAC address; absent: who has the destination's address
   */
  send(
    header: { source: IpAddress; destination: IpAddress; protocol: number; ttl?: number; trafficClass?: number },
    payload: Uint8Array,
    to?: number,
  ): boolean
  /** Tells a packet's sender by ICMP why it goes no further, where the rules of ICMP allow (RFC 1122, 3.2.2; RFC 4443, 2.4) and not too often. */
  refuse(packet: IncomingPacket, why: Refusal): void
}

/** A packet as a gateway hands it on. */
export interface IncomingPacket extends IpPacket {
  /** Of the frame. */
  sourceMac: number
}

const rooms = new WeakSet<ArrayBufferLike>()
let lastRoom: ArrayBufferLike | null = null

/** A payload's place with headroom before it, to be used again for each packet. @param bytes of the largest payload */
export function roomFor(bytes: number): Uint8Array<ArrayBuffer> {
  const buffer = new ArrayBuffer(HEADROOM + bytes)
  rooms.add(buffer)
  return new Uint8Array(buffer, HEADROOM)
}

/** Whether what stands before these bytes may be overwritten. */
export function hasHeadroom(bytes: Uint8Array): boolean {
  const { buffer } = bytes
  if (bytes.byteOffset < HEADROOM) return false
  if (buffer === lastRoom) return true
  if (!rooms.has(buffer)) return false
  lastRoom = buffer
  return true
}
