/** TFTP packets (RFC 1350, 5; options RFC 2347, 2). Any bytes are a packet or none. */
import { concatBytes, utf8 } from '../../../../src-shared/base/bytes.ts'

/** RFC 1350, appendix I; 8 of RFC 2347. */
export const TFTP_ERROR = { other: 0, notFound: 1, refused: 2, illegal: 4, unknownTransfer: 5 } as const
const OPCODE = { read: 1, write: 2, data: 3, ack: 4, error: 5, options: 6 } as const
/** Bytes of a request: as in RFC 2347, 3. */
const MAX_REQUEST = 512

export interface TftpRequest {
  kind: 'read' | 'write'
  file: string
  /** In small letters, as are the names of options. */
  mode: string
  options: Map<string, string>
}

export type TftpPacket =
  | TftpRequest
  | { kind: 'data'; block: number; bytes: Uint8Array }
  | { kind: 'ack'; block: number }
  | { kind: 'error'; code: number; message: string }
  | { kind: 'options'; options: Map<string, string> }

const decoder = new TextDecoder()

/** Data is a view into the packet. */
export function parseTftp(packet: Uint8Array): TftpPacket | null {
  if (packet.length < 4) return null
  const number = (packet[2]! << 8) | packet[3]!
  switch ((packet[0]! << 8) | packet[1]!) {
    case OPCODE.read:
    case OPCODE.write: {
      const [file, mode, ...rest] = texts(packet.subarray(2)) ?? []
      const options = optionsOf(rest)
      if (!file || !mode || !options) return null
      return { kind: packet[1] === OPCODE.read ? 'read' : 'write', file, mode: mode.toLowerCase(), options }
    }
    case OPCODE.data:
      return { kind: 'data', block: number, bytes: packet.subarray(4) }
    case OPCODE.ack:
      return { kind: 'ack', block: number }
    case OPCODE.error: {
      const end = packet.indexOf(0, 4)
      return { kind: 'error', code: number, message: decoder.decode(packet.subarray(4, end < 0 ? packet.length : end)) }
    }
    case OPCODE.options: {
      const parts = texts(packet.subarray(2))
      const options = parts && optionsOf(parts)
      return options && { kind: 'options', options }
    }
    default:
      return null
  }
}

/** Each ends with a zero. Null: the last does not, or it is too long. What follows nothing is padding. */
function texts(bytes: Uint8Array): string[] | null {
  if (bytes.length > MAX_REQUEST || bytes.at(-1) !== 0) return null
  const all = decoder.decode(bytes.subarray(0, -1)).split('\0')
  while (all.length > 2 && all.at(-1) === '' && all.at(-2) === '') all.length -= 2
  return all
}

/** Null: a name without a value. */
function optionsOf(parts: readonly string[]): Map<string, string> | null {
  const options = new Map<string, string>()
  // Some clients pad with a zero.
  const count = parts.at(-1) === '' ? parts.length - (parts.length % 2) : parts.length
  if (count % 2 !== 0) return null
  for (let at = 0; at < count; at += 2) options.set(parts[at]!.toLowerCase(), parts[at + 1]!)
  return options
}

export function buildTftp(packet: TftpPacket): Uint8Array<ArrayBuffer> {
  switch (packet.kind) {
    case 'read':
    case 'write':
      return concatBytes([Uint8Array.of(0, OPCODE[packet.kind]), text(packet.file), text(packet.mode), ...optionTexts(packet.options)])
    case 'data':
      return concatBytes([Uint8Array.of(0, OPCODE.data, packet.block >> 8, packet.block), packet.bytes])
    case 'ack':
      return Uint8Array.of(0, OPCODE.ack, packet.block >> 8, packet.block)
    case 'error':
      return concatBytes([Uint8Array.of(0, OPCODE.error, packet.code >> 8, packet.code), text(packet.message)])
    case 'options':
      return concatBytes([Uint8Array.of(0, OPCODE.options), ...optionTexts(packet.options)])
  }
}

function text(value: string): Uint8Array {
  return utf8(`${value}\0`)
}

function optionTexts(options: ReadonlyMap<string, string>): Uint8Array[] {
  return [...options].flatMap((pair) => pair.map(text))
}
