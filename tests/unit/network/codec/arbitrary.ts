/** Values that the codecs of networks build from. */
import fc from 'fast-check'
import type { IpAddress } from '../../../../src-shared/model/ip.ts'

export const bytes = (maxLength = 200): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength })
export const mac: fc.Arbitrary<number> = fc.nat(0xffff_ffff_ffff)
export const byte: fc.Arbitrary<number> = fc.nat(0xff)
export const half: fc.Arbitrary<number> = fc.nat(0xffff)
export const word: fc.Arbitrary<number> = fc.nat(0xffff_ffff)
export const ipv4: fc.Arbitrary<IpAddress> = fc.uint8Array({ minLength: 4, maxLength: 4 })
export const ipv6: fc.Arbitrary<IpAddress> = fc.uint8Array({ minLength: 16, maxLength: 16 })
/** Two of one family. */
export const ends: fc.Arbitrary<[IpAddress, IpAddress]> = fc.oneof(fc.tuple(ipv4, ipv4), fc.tuple(ipv6, ipv6))

/** A checksum by the book, a word after the other (RFC 1071, 1). */
export function plainChecksum(of: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < of.length; at += 2) {
    sum += of[at]! * 256 + (of[at + 1] ?? 0)
    if (sum > 0xffff) sum -= 0xffff
  }
  return ~sum & 0xffff
}
