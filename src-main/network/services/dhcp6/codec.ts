/** DHCPv6 messages between clients and servers (RFC 8415, 8 and 21), without those of relays. Any bytes are a message or none. */
import { concatBytes } from '../../../../src-shared/base/bytes.ts'

/** RFC 8415, 7.3. */
export const DHCP6 = { reply: 7, informationRequest: 11, relayForward: 12 } as const
/** RFC 8415, 21; 23 and 24 of RFC 3646, 31 of RFC 4075, 56 of RFC 5908. */
export const OPTION6 = {
  clientId: 1,
  serverId: 2,
  nonTemporary: 3,
  temporary: 4,
  wanted: 6,
  dns: 23,
  domains: 24,
  prefix: 25,
  sntp: 31,
  refresh: 32,
  ntp: 56,
} as const
/** Options of one message that are read. */
const MAX_OPTIONS = 64
const HEADER = 4

export interface Dhcp6Message {
  type: number
  /** 24 bits, of the client's choice. */
  transaction: number
  /** In their order; some may come more than once. Views into the message. */
  options: [code: number, value: Uint8Array][]
}

/** Null: too short, a relay's, options that go beyond the end, or more than 64. */
export function parseDhcp6(bytes: Uint8Array): Dhcp6Message | null {
  // 12 and 13 are of relays, and look otherwise.
  if (bytes.length < HEADER || bytes[0] === DHCP6.relayForward || bytes[0] === DHCP6.relayForward + 1) return null
  const options: Dhcp6Message['options'] = []
  let at = HEADER
  while (at < bytes.length) {
    if (at + 4 > bytes.length || options.length === MAX_OPTIONS) return null
    const end = at + 4 + ((bytes[at + 2]! << 8) | bytes[at + 3]!)
    if (end > bytes.length) return null
    options.push([(bytes[at]! << 8) | bytes[at + 1]!, bytes.subarray(at + 4, end)])
    at = end
  }
  return { type: bytes[0]!, transaction: (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!, options }
}

export function buildDhcp6({ type, transaction, options }: Dhcp6Message): Uint8Array<ArrayBuffer> {
  const parts = options.flatMap(([code, value]) => [Uint8Array.of(code >> 8, code, value.length >> 8, value.length), value])
  return concatBytes([Uint8Array.of(type, transaction >> 16, transaction >> 8, transaction), ...parts])
}
