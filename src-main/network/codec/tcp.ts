/** TCP segments (RFC 9293, 3.1) and their options (3.2; RFC 7323, 2; RFC 2018). */
import type { IpAddress } from '../../../src-shared/model/ip.ts'
import { foldSum, pseudoSum, sumWords } from './checksum.ts'
import { PROTOCOL, type IpPacket } from './ip.ts'
import { wordAt, writeWord } from './words.ts'

export const TCP_HEADER = 20
export const TCP = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32, ece: 64, cwr: 128 } as const

export interface TcpSegment {
  sourcePort: number
  destinationPort: number
  sequence: number
  acknowledgment: number
  /** Of TCP. */
  flags: number
  /** As in the header: not scaled. */
  window: number
  /** The options' bytes. */
  options: Uint8Array
  payload: Uint8Array
}

/** Null: too short, or a wrong checksum. */
export function parseTcp({ source, destination, payload }: Pick<IpPacket, 'source' | 'destination' | 'payload'>): TcpSegment | null {
  if (payload.length < TCP_HEADER) return null
  const header = (payload[12]! >> 4) * 4
  if (header < TCP_HEADER || header > payload.length) return null
  if (foldSum(sumWords(payload, 0, payload.length, pseudoSum(source, destination, PROTOCOL.tcp, payload.length))) !== 0) return null
  return {
    sourcePort: (payload[0]! << 8) | payload[1]!,
    destinationPort: (payload[2]! << 8) | payload[3]!,
    sequence: wordAt(payload, 4),
    acknowledgment: wordAt(payload, 8),
    flags: payload[13]!,
    window: (payload[14]! << 8) | payload[15]!,
    options: payload.subarray(TCP_HEADER, header),
    payload: payload.subarray(header),
  }
}

/** Writes header, options and checksum in front of a payload that stands there already. @param length of the payload. @returns bytes of the segment */
export function writeTcp(
  bytes: Uint8Array,
  at: number,
  source: IpAddress,
  destination: IpAddress,
  segment: Omit<TcpSegment, 'payload'>,
  length: number,
): number {
  const { options, sequence, acknowledgment, window } = segment
  const header = TCP_HEADER + options.length
  bytes[at] = segment.sourcePort >> 8
  bytes[at + 1] = segment.sourcePort
  bytes[at + 2] = segment.destinationPort >> 8
  bytes[at + 3] = segment.destinationPort
  writeWord(bytes, at + 4, sequence)
  writeWord(bytes, at + 8, acknowledgment)
  bytes[at + 12] = (header / 4) << 4
  bytes[at + 13] = segment.flags
  bytes[at + 14] = window >> 8
  bytes[at + 15] = window
  bytes[at + 16] = 0
  bytes[at + 17] = 0
  bytes[at + 18] = 0
  bytes[at + 19] = 0
  bytes.set(options, at + TCP_HEADER)
  const total = header + length
  const sum = foldSum(sumWords(bytes, at, at + total, pseudoSum(source, destination, PROTOCOL.tcp, total)))
  bytes[at + 16] = sum >> 8
  bytes[at + 17] = sum
  return total
}

export interface TcpOptions {
  mss: number | null
  windowScale: number | null
  sackPermitted: boolean
  /** Left and right edges of what was received out of order. */
  sack: [number, number][]
  timestamps: { value: number; echo: number } | null
}

/** Total: what is broken ends the reading. */
export function parseTcpOptions(options: Uint8Array): TcpOptions {
  const found: TcpOptions = { mss: null, windowScale: null, sackPermitted: false, sack: [], timestamps: null }
  for (let at = 0; at < options.length && options[at] !== 0;) {
    if (options[at] === 1) {
      at++
      continue
    }
    const length = options[at + 1] ?? 0
    if (length < 2 || at + length > options.length) break
    switch (options[at]!) {
      case 2:
        if (length === 4) found.mss = (options[at + 2]! << 8) | options[at + 3]!
        break
      case 3:
        if (length === 3) found.windowScale = Math.min(options[at + 2]!, 14)
        break
      case 4:
        found.sackPermitted = true
        break
      case 5:
        for (let edge = at + 2; edge + 8 <= at + length; edge += 8) found.sack.push([wordAt(options, edge), wordAt(options, edge + 4)])
        break
      case 8:
        if (length === 10) found.timestamps = { value: wordAt(options, at + 2), echo: wordAt(options, at + 6) }
        break
      default:
    }
    at += length
  }
  return found
}
