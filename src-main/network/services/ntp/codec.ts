/** NTP's header (RFC 5905, 7.3), which is all that is read and written of a message. */
const NTP_HEADER = 48
/** RFC 5905, 7.3, figure 10. */
export const MODE = { symmetricActive: 1, symmetricPassive: 2, client: 3, server: 4 } as const
/** Seconds from 1900 to 1970 (6, figure 4). */
const ERA_OFFSET = 2_208_988_800

export interface NtpHeader {
  /** 0: no leap second comes; 3: the clock is not set. */
  leap: number
  version: number
  mode: number
  stratum: number
  /** Exponents of two, in seconds. */
  poll: number
  precision: number
  /** Seconds, in 16 bits before and after the point. */
  rootDelay: number
  rootDispersion: number
  /** 4 bytes: where the time is from. */
  reference: Uint8Array
  /** Timestamps of 8 bytes (6, figure 3). Zeroes: none. */
  updated: Uint8Array
  origin: Uint8Array
  received: Uint8Array
  sent: Uint8Array
}

/** What follows the header (extensions, an authenticator) is not looked at. Null: shorter than a header. Views into the message. */
export function parseNtp(bytes: Uint8Array): NtpHeader | null {
  if (bytes.length < NTP_HEADER) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return {
    leap: bytes[0]! >> 6,
    version: (bytes[0]! >> 3) & 7,
    mode: bytes[0]! & 7,
    stratum: bytes[1]!,
    poll: view.getInt8(2),
    precision: view.getInt8(3),
    rootDelay: view.getUint32(4) / 0x10000,
    rootDispersion: view.getUint32(8) / 0x10000,
    reference: bytes.subarray(12, 16),
    updated: bytes.subarray(16, 24),
    origin: bytes.subarray(24, 32),
    received: bytes.subarray(32, 40),
    sent: bytes.subarray(40, 48),
  }
}

export function buildNtp(header: NtpHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(NTP_HEADER)
  const view = new DataView(bytes.buffer)
  bytes[0] = (header.leap << 6) | (header.version << 3) | header.mode
  bytes[1] = header.stratum
  view.setInt8(2, header.poll)
  view.setInt8(3, header.precision)
  view.setUint32(4, Math.round(header.rootDelay * 0x10000))
  view.setUint32(8, Math.round(header.rootDispersion * 0x10000))
  bytes.set(header.reference, 12)
  bytes.set(header.updated, 16)
  bytes.set(header.origin, 24)
  bytes.set(header.received, 32)
  bytes.set(header.sent, 40)
  return bytes
}

/** @param date ms since 1970; of any era (RFC 5905, 6: the first 32 bits count anew in 2036) */
export function toTimestamp(date: number): Uint8Array<ArrayBuffer> {
  const seconds = Math.floor(date / 1000)
  const bytes = new Uint8Array(8)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, (seconds + ERA_OFFSET) % 2 ** 32)
  view.setUint32(4, Math.floor(((date - seconds * 1000) / 1000) * 2 ** 32))
  return bytes
}
