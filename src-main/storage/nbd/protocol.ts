/**
 * NBD on the wire: what a client sends, and the numbers in what comes back. Pure. Source: the NBD project's protocol document (doc/proto.md), sections
 * "Fixed newstyle negotiation", "Transmission phase" and "Values". Everything is big-endian.
 */
export const NBD_MAGIC = 0x4e42444d41474943n
export const OPTION_MAGIC = 0x49484156454f5054n
export const OPTION_REPLY_MAGIC = 0x0003e889045565a9n
export const REQUEST_MAGIC = 0x25609513
export const SIMPLE_REPLY_MAGIC = 0x67446698
export const CHUNK_MAGIC = 0x668e33ef

/** Both the server's handshake flags and the client's. */
export const FIXED_NEWSTYLE = 1
export const NO_ZEROES = 2

export const OPTION = { exportName: 1, go: 7, structuredReply: 8, setMetaContext: 10 } as const
export const REPLY = { ack: 1, info: 3, metaContext: 4 } as const
/** Option replies from here on are errors. */
export const FIRST_ERROR = 0x80000000
export const OPTION_ERROR = {
  unsupported: FIRST_ERROR + 1,
  policy: FIRST_ERROR + 2,
  tlsRequired: FIRST_ERROR + 5,
  unknown: FIRST_ERROR + 6,
  blockSizeRequired: FIRST_ERROR + 8,
} as const
export const INFO = { export: 0, blockSize: 3 } as const

export const FLAG = { hasFlags: 1, readOnly: 2, flush: 4, trim: 32, writeZeroes: 64 } as const
export const COMMAND = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, writeZeroes: 6, blockStatus: 7 } as const
export type Command = (typeof COMMAND)[keyof typeof COMMAND]
/** The server may answer with as few descriptors as one. */
export const ONE_EXTENT = 8

export const CHUNK = { none: 0, data: 1, hole: 2, blockStatus: 5, firstError: 0x8000 } as const
export const LAST_CHUNK = 1
/** Of the metadata context base:allocation: the bytes read as zeroes. */
export const STATE_ZERO = 2
export const ALLOCATION = 'base:allocation'

/** Bytes of fixed parts. */
export const GREETING_BYTES = 18
export const OPTION_REPLY_BYTES = 20
export const REPLY_REST_BYTES = 12
export const CHUNK_REST_BYTES = 16

export function clientFlags(flags: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(flags)
  return bytes
}

export function option(kind: number, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const head = Buffer.alloc(16)
  head.writeBigUInt64BE(OPTION_MAGIC, 0)
  head.writeUInt32BE(kind, 8)
  head.writeUInt32BE(data.length, 12)
  return Buffer.concat([head, data])
}

/** Asks for the export's block sizes, which the server may then count on. */
export function goOption(exportName: string): Uint8Array {
  const name = Buffer.from(exportName)
  const data = Buffer.alloc(4 + name.length + 4)
  data.writeUInt32BE(name.length, 0)
  data.set(name, 4)
  data.writeUInt16BE(1, 4 + name.length)
  data.writeUInt16BE(INFO.blockSize, 6 + name.length)
  return option(OPTION.go, data)
}

export function setAllocationOption(exportName: string): Uint8Array {
  const name = Buffer.from(exportName)
  const query = Buffer.from(ALLOCATION)
  const data = Buffer.alloc(4 + name.length + 8 + query.length)
  data.writeUInt32BE(name.length, 0)
  data.set(name, 4)
  data.writeUInt32BE(1, 4 + name.length)
  data.writeUInt32BE(query.length, 8 + name.length)
  data.set(query, 12 + name.length)
  return option(OPTION.setMetaContext, data)
}

export function request(command: Command, cookie: number, offset: number, length: number, flags = 0): Uint8Array {
  const bytes = Buffer.alloc(28)
  bytes.writeUInt32BE(REQUEST_MAGIC, 0)
  bytes.writeUInt16BE(flags, 4)
  bytes.writeUInt16BE(command, 6)
  bytes.writeBigUInt64BE(BigInt(cookie), 8)
  bytes.writeBigUInt64BE(BigInt(offset), 16)
  bytes.writeUInt32BE(length, 24)
  return bytes
}

/** What the numbers of errors are called (section "Error values"), and what they mean. */
export const ERRORS: Readonly<Record<number, string>> = {
  1: 'that is not permitted (EPERM)',
  5: 'reading or writing failed there (EIO)',
  12: 'it has too little memory (ENOMEM)',
  22: 'it takes no such request (EINVAL)',
  28: 'its disk is full (ENOSPC)',
  75: 'the request is too large (EOVERFLOW)',
  95: 'it cannot do that (ENOTSUP)',
  108: 'it is being shut down (ESHUTDOWN)',
}
export const ENOSPC = 28
