/** ARP for IPv4 over Ethernet (RFC 826). */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { ETHERNET_HEADER, ETHERTYPE, macAt, writeEthernet, writeMac } from './ethernet.ts'

export const ARP_BYTES = 28
/** Where its sender's address stands in it. */
export const ARP_SENDER_IP = 14
export const ARP = { request: 1, reply: 2 } as const

export interface ArpPacket {
  operation: number
  senderMac: number
  senderIp: IpAddress
  targetMac: number
  targetIp: IpAddress
}

/** @param packet what follows the Ethernet header. Null for what is none, or of other kinds of networks. */
export function parseArp(packet: Uint8Array): ArpPacket | null {
  if (packet.length < ARP_BYTES) return null
  const [h0, h1, p0, p1, hardware, protocol, o0, o1] = packet
  if (h0 !== 0 || h1 !== 1 || p0 !== 8 || p1 !== 0 || hardware !== 6 || protocol !== 4) return null
  return {
    operation: (o0! << 8) | o1!,
    senderMac: macAt(packet, 8),
    senderIp: packet.slice(ARP_SENDER_IP, ARP_SENDER_IP + 4),
    targetMac: macAt(packet, 18),
    targetIp: packet.slice(24, 28),
  }
}

/** A whole frame. @param destination of the frame */
export function buildArp(destination: number, { operation, senderMac, senderIp, targetMac, targetIp }: ArpPacket): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(ETHERNET_HEADER + ARP_BYTES)
  writeEthernet(frame, destination, senderMac, ETHERTYPE.arp)
  frame.set([0, 1, 8, 0, 6, 4, operation >> 8, operation], ETHERNET_HEADER)
  writeMac(frame, ETHERNET_HEADER + 8, senderMac)
  frame.set(senderIp, ETHERNET_HEADER + ARP_SENDER_IP)
  writeMac(frame, ETHERNET_HEADER + 18, targetMac)
  frame.set(targetIp, ETHERNET_HEADER + 24)
  return frame
}
