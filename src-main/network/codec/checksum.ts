/** The Internet checksum (RFC 1071). */
import type { IpAddress } from '../../../src-shared/model/ip.ts'

/**
 * The sum of 16-bit words, not yet folded or complemented; an odd last byte counts as if a zero followed. Sums of parts add up where every part but the last is of even length.
 * @param sum to go on from; below 2^40
 */
export function sumWords(bytes: Uint8Array, start = 0, end = bytes.length, sum = 0): number {
  let at = start
  let high = 0
  let low = 0
  // Bytes of each half by themselves: additions alone, and no carry is lost below 2^53.
  for (const last = end - 7; at < last; at += 8) {
    high += bytes[at]! + bytes[at + 2]! + bytes[at + 4]! + bytes[at + 6]!
    low += bytes[at + 1]! + bytes[at + 3]! + bytes[at + 5]! + bytes[at + 7]!
  }
  for (; at + 1 < end; at += 2) {
    high += bytes[at]!
    low += bytes[at + 1]!
  }
  if (at < end) high += bytes[at]!
  return sum + high * 256 + low
}

/** Folded and complemented: what is written into the header. Zero over bytes with a right checksum in them. */
export function foldSum(sum: number): number {
  let folded = sum
  while (folded > 0xffff) folded = (folded % 0x10000) + Math.floor(folded / 0x10000)
  return ~folded & 0xffff
}

/** The pseudo header's part of the sum (RFC 9293, 3.1; RFC 8200, 8.1). @param length bytes of what the checksum is of, header included */
export function pseudoSum(source: IpAddress, destination: IpAddress, protocol: number, length: number): number {
  return sumWords(destination, 0, destination.length, sumWords(source)) + protocol + (length >>> 16) + (length & 0xffff)
}
