/** Addresses that follow from others. */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { writeMac } from '../codec/ethernet.ts'

export const ALL_NODES = group(1)
export const ALL_ROUTERS = group(2)
/** RFC 919. */
export const IPV4_BROADCAST: IpAddress = new Uint8Array(4).fill(255)
export const IPV4_ANY: IpAddress = new Uint8Array(4)
export const IPV6_ANY: IpAddress = new Uint8Array(16)

/** ff02::<last> (RFC 4291, 2.7.1). */
function group(last: number): IpAddress {
  const address = new Uint8Array(16)
  address.set([0xff, 2])
  address[15] = last
  return address
}

/** fe80:: with the modified EUI-64 of a card (RFC 4291, appendix A). */
export function linkLocalOf(mac: number): IpAddress {
  const address = new Uint8Array(16)
  const bytes = new Uint8Array(6)
  writeMac(bytes, 0, mac)
  address.set([0xfe, 0x80])
  address.set(bytes.subarray(0, 3), 8)
  address.set([0xff, 0xfe], 11)
  address.set(bytes.subarray(3), 13)
  address[8]! ^= 2
  return address
}

/** RFC 4291, 2.7.1. */
export function solicitedNodeOf(address: IpAddress): IpAddress {
  const multicast = group(1)
  multicast.set([1, 0xff], 11)
  multicast.set(address.subarray(13), 13)
  return multicast
}

/** fe80::/10. */
export function isLinkLocal(address: IpAddress): boolean {
  return address.length === 16 && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80
}

/** 224.0.0.0/4, ff00::/8. */
export function isMulticastIp(address: IpAddress): boolean {
  return address.length === 4 ? address[0]! >> 4 === 14 : address[0] === 0xff
}

/** The card address that goes with a multicast group (RFC 1112, 6.4; RFC 2464, 7). */
export function multicastMac(address: IpAddress): number {
  if (address.length === 4) return 0x01_00_5e_00_00_00 + (address[1]! & 127) * 0x1_0000 + address[2]! * 256 + address[3]!
  return 0x33_33_00_00_00_00 + address[12]! * 0x100_0000 + address[13]! * 0x1_0000 + address[14]! * 256 + address[15]!
}

export function isZero(address: IpAddress): boolean {
  for (let at = 0; at < address.length; at++) if (address[at] !== 0) return false
  return true
}
