/** Cutting packets in pieces that fit an MTU (RFC 791, 3.2; RFC 8200, 4.5). */
import { foldSum, sumWords } from '../codec/checksum.ts'
import { EXTENSION, IPV4_HEADER, IPV6_HEADER } from '../codec/ip.ts'

const MORE = 0x2000

/**
 * A packet, or a piece of one, cut further; whether it may be cut is for the caller to know. The first piece has all of its options, the others those that are marked to be copied (RFC 791, 3.1).
 * @param mtu 68 at least
 */
export function cutIpv4(whole: Uint8Array, mtu: number): Uint8Array<ArrayBuffer>[] {
  const flags = (whole[6]! << 8) | whole[7]!
  const first = whole.subarray(0, (whole[0]! & 15) * 4)
  const rest = headerOfRest(first)
  const data = whole.subarray(first.length)
  const room = (mtu - first.length) & ~7
  const cut = [
    { offset: 0, bytes: data.subarray(0, room), last: data.length <= room },
    ...(data.length > room ? piecesOf(data.subarray(room), mtu - rest.length, room) : []),
  ]
  return cut.map(({ offset, bytes, last }) => {
    const header = offset === 0 ? first : rest
    const piece = new Uint8Array(header.length + bytes.length)
    piece.set(header)
    const word = (flags & 0x1fff) + offset / 8 + (last ? flags & MORE : MORE)
    piece.set([piece.length >> 8, piece.length], 2)
    piece.set([word >> 8, word], 6)
    piece.set([0, 0], 10)
    const sum = foldSum(sumWords(piece, 0, header.length))
    piece.set([sum >> 8, sum], 10)
    piece.set(bytes, header.length)
    return piece
  })
}

const END_OF_OPTIONS = 0
const NO_OPERATION = 1
const COPIED = 0x80

function headerOfRest(first: Uint8Array): Uint8Array {
  const kept = [...first.subarray(0, IPV4_HEADER)]
  for (let at = IPV4_HEADER; at < first.length && first[at] !== END_OF_OPTIONS;) {
    const length = first[at] === NO_OPERATION ? 1 : (first[at + 1] ?? 0)
    if (length === 0 || at + length > first.length) break
    if (first[at]! & COPIED) kept.push(...first.subarray(at, at + length))
    at += length
  }
  while (kept.length % 4 !== 0) kept.push(END_OF_OPTIONS)
  kept[0] = 0x40 | (kept.length / 4)
  return Uint8Array.from(kept)
}

/** A packet of this computer's own without extension headers; nobody else may cut one. @param id of the pieces, 32 bits */
export function cutIpv6(whole: Uint8Array, mtu: number, id: number): Uint8Array<ArrayBuffer>[] {
  const head = IPV6_HEADER + 8
  return piecesOf(whole.subarray(IPV6_HEADER), mtu - head).map(({ offset, bytes, last }) => {
    const piece = new Uint8Array(head + bytes.length)
    piece.set(whole.subarray(0, IPV6_HEADER))
    const length = piece.length - IPV6_HEADER
    piece.set([length >> 8, length, EXTENSION.fragment], 4)
    const word = offset | (last ? 0 : 1)
    piece.set([whole[6]!, 0, word >> 8, word, id >>> 24, id >>> 16, id >>> 8, id], IPV6_HEADER)
    piece.set(bytes, head)
    return piece
  })
}

/** @param room bytes in each @param from where the data begins */
function piecesOf(data: Uint8Array, room: number, from = 0): { offset: number; bytes: Uint8Array; last: boolean }[] {
  const step = room & ~7
  return Array.from({ length: Math.max(1, Math.ceil(data.length / step)) }, (_, nth) => {
    const offset = nth * step
    return { offset: from + offset, bytes: data.subarray(offset, offset + step), last: offset + step >= data.length }
  })
}
