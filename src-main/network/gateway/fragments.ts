/** Cutting packets in pieces that fit an MTU (RFC 791, 3.2; RFC 8200, 4.5). */
import { foldSum, sumWords } from '../codec/checksum.ts'
import { EXTENSION, IPV4_HEADER, IPV6_HEADER } from '../codec/ip.ts'

const MORE = 0x2000

/**
 * A packet without options, or a piece of one, cut further; whether it may be cut is for the caller to know.
 * @param mtu 28 at least
 */
export function cutIpv4(whole: Uint8Array, mtu: number): Uint8Array<ArrayBuffer>[] {
  const flags = (whole[6]! << 8) | whole[7]!
  const data = whole.subarray(IPV4_HEADER)
  return piecesOf(data, mtu - IPV4_HEADER).map(({ offset, bytes, last }) => {
    const piece = new Uint8Array(IPV4_HEADER + bytes.length)
    piece.set(whole.subarray(0, IPV4_HEADER))
    const word = (flags & 0x1fff) + offset / 8 + (last ? flags & MORE : MORE)
    piece.set([piece.length >> 8, piece.length], 2)
    piece.set([word >> 8, word], 6)
    piece.set([0, 0], 10)
    const sum = foldSum(sumWords(piece, 0, IPV4_HEADER))
    piece.set([sum >> 8, sum], 10)
    piece.set(bytes, IPV4_HEADER)
    return piece
  })
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

/** @param room bytes in each */
function piecesOf(data: Uint8Array, room: number): { offset: number; bytes: Uint8Array; last: boolean }[] {
  const step = room & ~7
  return Array.from({ length: Math.max(1, Math.ceil(data.length / step)) }, (_, nth) => {
    const offset = nth * step
    return { offset, bytes: data.subarray(offset, offset + step), last: offset + step >= data.length }
  })
}
