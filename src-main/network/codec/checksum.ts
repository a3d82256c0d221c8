/** The Internet checksum (RFC 1071). */
import type { IpAddress } from '../../../src-shared/model/ip.ts'

/** Bytes from which words are added and not bytes. */
const MANY = 96
/** The first byte of a word is its lower one. */
const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1

/**
 * The sum of 16-bit words, not yet folded or complemented; an odd last byte counts as if a zero followed. Sums of parts add up where every part but the last is of even length.
 * @param sum to go on from; below 2^40
 */
export function sumWords(bytes: Uint8Array, start = 0, end = bytes.length, sum = 0): number {
  if (LITTLE_ENDIAN && end - start >= MANY) return sum + sumMany(bytes, start, end)
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

/** The buffers that were summed last, as words: frames mostly come in the same few. */
let views: [Uint32Array, Uint32Array] = [new Uint32Array(), new Uint32Array()]

/**
 * The sum does not mind in which order the bytes of its words are, as long as the result's are put right (RFC 1071, 2(B)): so it is taken over the aligned words of memory.
 * Words begin at even addresses then: where the bytes begin at an odd one, each is in the other half, which puts them right already.
 */
function sumMany(bytes: Uint8Array, start: number, end: number): number {
  const { buffer } = bytes
  if (views[0].buffer !== buffer) {
    const [first, second] = views
    views = second.buffer === buffer ? [second, first] : [new Uint32Array(buffer, 0, buffer.byteLength >> 2), first]
  }
  const words = views[0]
  const from = bytes.byteOffset + start
  const to = bytes.byteOffset + end
  const first = (from + 3) >> 2
  const last = to >> 2
  let low = 0
  let high = 0
  for (let at = first; at < last; at++) {
    const word = words[at]!
    low += word & 0xffff
    high += word >>> 16
  }
  let sum = low + high
  for (let at = from; at < first * 4; at++) sum += bytes[at - bytes.byteOffset]! << (at & 1 ? 8 : 0)
  for (let at = last * 4; at < to; at++) sum += bytes[at - bytes.byteOffset]! << (at & 1 ? 8 : 0)
  if (from & 1) return sum
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000)
  return ((sum & 255) << 8) | (sum >> 8)
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
