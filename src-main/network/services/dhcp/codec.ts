/**
 * DHCP messages (RFC 2131, 2; options RFC 2132, 2; long ones RFC 3396). A message that machines send is any bytes: parsing is total. What an option's bytes mean stands in
 * options.ts.
 */
import { macAt, writeMac } from '../../codec/ethernet.ts'

/** RFC 2132, 9.6. */
export const DHCP = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7, inform: 8 } as const
/** RFC 2131, 2: of the message, and of the BOOTP messages that all clients take (RFC 1542, 2.1). */
const FIXED = 236
/** Bytes of a message that is read: real ones have some hundreds. */
const LONGEST = 4096
const SHORTEST_REPLY = 300
const MAGIC = [99, 130, 83, 99]
const FLAG_BROADCAST = 0x8000
const ETHERNET = 1
const SNAME = { at: 44, length: 64 }
const FILE = { at: 108, length: 128 }
const OPTION = { pad: 0, overload: 52, type: 53, end: 255 } as const
const NO_ADDRESS = new Uint8Array(4)

export interface DhcpMessage {
  op: 'request' | 'reply'
  /** Which DHCP says of it; see DHCP. */
  type: number
  /** Of the client's choice, to know the answer by. */
  xid: number
  secs: number
  /** Answers cannot be sent to the address that the client does not have yet. */
  broadcast: boolean
  /** Addresses of 4 bytes. The client's, the one it gets, the server to boot from, the relay. */
  ciaddr: Uint8Array
  yiaddr: Uint8Array
  siaddr: Uint8Array
  giaddr: Uint8Array
  /** The client's card. */
  chaddr: number
  /** What to boot; empty: nothing. Latin-1. */
  file: string
  /** All but the type, by their numbers, in their order; parts of long ones joined. Views into the message where they were not joined. */
  options: Map<number, Uint8Array>
}

/** Null: no DHCP message of an Ethernet card, options that go beyond its end, or more than 4096 bytes. */
export function parseDhcp(bytes: Uint8Array): DhcpMessage | null {
  if (bytes.length < FIXED + MAGIC.length || bytes.length > LONGEST) return null
  const op = bytes[0]
  if ((op !== 1 && op !== 2) || bytes[1] !== ETHERNET || bytes[2] !== 6) return null
  if (MAGIC.some((byte, at) => bytes[FIXED + at] !== byte)) return null
  const options = new Map<number, Uint8Array>()
  if (!readOptions(bytes.subarray(FIXED + MAGIC.length), options)) return null
  // RFC 3396, 5: the file's place comes before the server's name.
  const overload = options.get(OPTION.overload)?.[0] ?? 0
  if (overload & 1 && !readOptions(bytes.subarray(FILE.at, FILE.at + FILE.length), options)) return null
  if (overload & 2 && !readOptions(bytes.subarray(SNAME.at, SNAME.at + SNAME.length), options)) return null
  options.delete(OPTION.overload)
  const type = options.get(OPTION.type)
  if (type?.length !== 1) return null
  options.delete(OPTION.type)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return {
    op: op === 1 ? 'request' : 'reply',
    type: type[0]!,
    xid: view.getUint32(4),
    secs: view.getUint16(8),
    broadcast: (view.getUint16(10) & FLAG_BROADCAST) !== 0,
    ciaddr: bytes.subarray(12, 16),
    yiaddr: bytes.subarray(16, 20),
    siaddr: bytes.subarray(20, 24),
    giaddr: bytes.subarray(24, 28),
    chaddr: macAt(bytes, 28),
    file: overload & 1 ? '' : readText(bytes.subarray(FILE.at, FILE.at + FILE.length)),
    options,
  }
}

/** False: an option goes beyond the end. A missing end mark is forgiven, as all servers do. */
function readOptions(bytes: Uint8Array, options: Map<number, Uint8Array>): boolean {
  let at = 0
  while (at < bytes.length) {
    const code = bytes[at]!
    if (code === OPTION.end) return true
    if (code === OPTION.pad) {
      at++
      continue
    }
    if (at + 2 > bytes.length) return false
    const end = at + 2 + bytes[at + 1]!
    if (end > bytes.length) return false
    const value = bytes.subarray(at + 2, end)
    const before = options.get(code)
    // RFC 3396, 7: the same option again goes on.
    if (before === undefined) options.set(code, value)
    else {
      const joined = new Uint8Array(before.length + value.length)
      joined.set(before)
      joined.set(value, before.length)
      options.set(code, joined)
    }
    at = end
  }
  return true
}

function readText(field: Uint8Array): string {
  const end = field.indexOf(0)
  return String.fromCharCode(...(end < 0 ? field : field.subarray(0, end)))
}

/**
 * A message as it is sent. Options stand in their order, long ones in parts; one that has no room in `maxBytes` is left out, so those that matter come first.
 * @param maxBytes of the message, from what the client takes (RFC 2132, 9.10)
 */
export function buildDhcp(
  message: Partial<Omit<DhcpMessage, 'type' | 'op' | 'chaddr'>> & Pick<DhcpMessage, 'type' | 'op' | 'chaddr'>,
  maxBytes = Infinity,
): Uint8Array<ArrayBuffer> {
  const chosen: [number, Uint8Array][] = [[OPTION.type, Uint8Array.of(message.type)]]
  let length = FIXED + MAGIC.length + 3 + 1
  for (const [code, value] of message.options ?? []) {
    const size = value.length + 2 * Math.max(1, Math.ceil(value.length / 255))
    if (length + size > maxBytes) continue
    chosen.push([code, value])
    length += size
  }
  const bytes = new Uint8Array(Math.max(SHORTEST_REPLY, length))
  const view = new DataView(bytes.buffer)
  bytes.set([message.op === 'request' ? 1 : 2, ETHERNET, 6])
  view.setUint32(4, message.xid ?? 0)
  view.setUint16(8, message.secs ?? 0)
  view.setUint16(10, message.broadcast ? FLAG_BROADCAST : 0)
  bytes.set(message.ciaddr ?? NO_ADDRESS, 12)
  bytes.set(message.yiaddr ?? NO_ADDRESS, 16)
  bytes.set(message.siaddr ?? NO_ADDRESS, 20)
  bytes.set(message.giaddr ?? NO_ADDRESS, 24)
  writeMac(bytes, 28, message.chaddr)
  // The last byte of the field ends it.
  for (let at = 0; at < Math.min(message.file?.length ?? 0, FILE.length - 1); at++) bytes[FILE.at + at] = message.file!.charCodeAt(at)
  bytes.set(MAGIC, FIXED)
  let at = FIXED + MAGIC.length
  for (const [code, value] of chosen)
    for (let from = 0; from === 0 || from < value.length; from += 255) {
      const part = value.subarray(from, from + 255)
      bytes[at] = code
      bytes[at + 1] = part.length
      bytes.set(part, at + 2)
      at += 2 + part.length
    }
  bytes[at] = OPTION.end
  return bytes
}
