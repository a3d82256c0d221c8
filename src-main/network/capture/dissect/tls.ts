/** TLS records (RFC 8446, 5.1) and which server a client asks for (SNI: RFC 6066, 3). */
import { asText, type Dissection } from './dissection.ts'

const RECORDS = new Map([
  [20, 'Change cipher spec'],
  [21, 'Alert'],
  [22, 'Handshake'],
  [23, 'Application data'],
])
const HANDSHAKES = new Map([
  [1, 'Client hello'],
  [2, 'Server hello'],
  [4, 'New session ticket'],
  [11, 'Certificate'],
  [14, 'Server hello done'],
  [16, 'Client key exchange'],
])
const VERSIONS = new Map([
  [0x0301, '1.0'],
  [0x0302, '1.1'],
  [0x0303, '1.2'],
  [0x0304, '1.3'],
])

/** @returns whether it is that */
export function dissectTls(found: Dissection, payload: Uint8Array, at: number): boolean {
  const record = RECORDS.get(payload[0]!)
  if (record === undefined || payload.length < 5 || payload[1] !== 3 || payload[2]! > 4) return false
  const version = VERSIONS.get(0x0300 | payload[2]!) ?? 'unknown'
  // Behind a change of keys nothing of a handshake can be read.
  const handshake = payload[0] === 22 && payload.length > 5 ? HANDSHAKES.get(payload[5]!) : undefined
  const server = handshake === 'Client hello' ? serverNameOf(payload) : null
  found.layer('TLS', at, payload.length, [
    ['Record', record],
    ['Version of the record', version],
    ...(handshake === undefined ? [] : ([['Handshake', handshake]] as [string, string][])),
    ...(server === null ? [] : ([['Server name', server]] as [string, string][])),
  ])
  found.say([handshake ?? record, ...(server === null ? [] : [`for ${server}`])].join(' '))
  return true
}

/** RFC 8446, 4.1.2 and 4.2. Null: none, or in a later segment. */
export function serverNameOf(payload: Uint8Array): string | null {
  // Record header, handshake header, version, random.
  let at = 5 + 4 + 2 + 32
  const byte = (): number => payload[at++] ?? 0
  const word = (): number => (byte() << 8) | byte()
  const skip = (bytes: number): void => void (at += bytes)
  skip(byte())
  skip(word())
  skip(byte())
  const end = Math.min(payload.length, at + 2 + (((payload[at] ?? 0) << 8) | (payload[at + 1] ?? 0)))
  skip(2)
  while (at + 4 <= end) {
    const type = word()
    const length = word()
    if (type === 0 && length >= 5 && at + length <= end && payload[at + 2] === 0) {
      const name = (payload[at + 3]! << 8) | payload[at + 4]!
      return name > 0 && name <= length - 5 ? asText(payload, at + 5, at + 5 + Math.min(name, 255)) : null
    }
    skip(length)
  }
  return null
}
