/** UDP (RFC 768). */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { foldSum, pseudoSum, sumWords } from './checksum.ts'
import { PROTOCOL, type IpPacket } from './ip.ts'

export const UDP_HEADER = 8

export interface UdpDatagram {
  sourcePort: number
  destinationPort: number
  payload: Uint8Array
}

/** Null: shorter than it says, or with a wrong checksum; over IPv6 it must have one (RFC 8200, 8.1). */
export function parseUdp({
  source,
  destination,
  payload,
  version,
}: Pick<IpPacket, 'source' | 'destination' | 'payload' | 'version'>): UdpDatagram | null {
  if (payload.length < UDP_HEADER) return null
  const length = (payload[4]! << 8) | payload[5]!
  if (length < UDP_HEADER || length > payload.length) return null
  const summed = payload[6] !== 0 || payload[7] !== 0
  if (!summed && version === 6) return null
  if (summed && foldSum(sumWords(payload, 0, length, pseudoSum(source, destination, PROTOCOL.udp, length))) !== 0) return null
  return {
    sourcePort: (payload[0]! << 8) | payload[1]!,
    destinationPort: (payload[2]! << 8) | payload[3]!,
    payload: payload.subarray(UDP_HEADER, length),
  }
}

/** Header and payload, to follow an IP header. */
export function buildUdp(
  source: IpAddress,
  destination: IpAddress,
  { sourcePort, destinationPort, payload }: UdpDatagram,
): Uint8Array<ArrayBuffer> {
  const length = UDP_HEADER + payload.length
  const bytes = new Uint8Array(length)
  bytes.set([sourcePort >> 8, sourcePort, destinationPort >> 8, destinationPort, length >> 8, length])
  bytes.set(payload, UDP_HEADER)
  // A sum of zero is written as its other spelling: zero says that there is none.
  const sum = foldSum(sumWords(bytes, 0, length, pseudoSum(source, destination, PROTOCOL.udp, length))) || 0xffff
  bytes[6] = sum >> 8
  bytes[7] = sum
  return bytes
}
