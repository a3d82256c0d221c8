/** Ethernet II (IEEE 802.3, 3.1.1) and MAC addresses, which are numbers below 2^48 here. */
import { wordAt } from './words.ts'

export const ETHERNET_HEADER = 14
export const ETHERTYPE = { ipv4: 0x0800, arp: 0x0806, ipv6: 0x86dd, vlan: 0x8100, serviceVlan: 0x88a8 } as const
export const BROADCAST = 0xffff_ffff_ffff

export function macAt(bytes: Uint8Array, at: number): number {
  const low = wordAt(bytes, at + 2)
  return (bytes[at]! * 256 + bytes[at + 1]!) * 0x1_0000_0000 + low
}

export function writeMac(bytes: Uint8Array, at: number, mac: number): void {
  const high = Math.floor(mac / 0x1_0000_0000)
  bytes[at] = high >> 8
  bytes[at + 1] = high
  bytes[at + 2] = mac / 0x100_0000
  bytes[at + 3] = mac / 0x1_0000
  bytes[at + 4] = mac / 0x100
  bytes[at + 5] = mac
}

export function isMulticast(mac: number): boolean {
  return (Math.floor(mac / 0x100_0000_0000) & 1) === 1
}

/** "52:54:00:12:34:56" */
export function formatMac(mac: number): string {
  return mac
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:')
}

/** @param text as macSchema takes it */
export function parseMac(text: string): number {
  return parseInt(text.replaceAll(':', ''), 16)
}

export function ethertypeOf(frame: Uint8Array): number {
  return (frame[12]! << 8) | frame[13]!
}

const TAG_BYTES = 4
const MAX_TAGS = 2

/**
 * Bytes of the tags (IEEE 802.1Q, 9.5) that stand before a frame's real type, at 12 and that many; machines take off those of priority alone, whoever sent them. Null: more
 * tags than anybody has, or cut off.
 */
export function tagBytesOf(frame: Uint8Array): number | null {
  for (let tags = 0; tags <= MAX_TAGS * TAG_BYTES; tags += TAG_BYTES) {
    const type = (frame[12 + tags]! << 8) | frame[13 + tags]!
    if (type !== ETHERTYPE.vlan && type !== ETHERTYPE.serviceVlan) return tags
    if (frame.length < ETHERNET_HEADER + tags + TAG_BYTES) return null
  }
  return null
}

export function destinationOf(frame: Uint8Array): number {
  return macAt(frame, 0)
}

export function sourceOf(frame: Uint8Array): number {
  return macAt(frame, 6)
}

export function writeEthernet(frame: Uint8Array, destination: number, source: number, ethertype: number): void {
  writeMac(frame, 0, destination)
  writeMac(frame, 6, source)
  frame[12] = ethertype >> 8
  frame[13] = ethertype
}
