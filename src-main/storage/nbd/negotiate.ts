/**
 * The beginning of an NBD connection: from the server's greeting to an export that is open. Fixed newstyle only (older servers speak of one export on a
 * port of its own; there is none left). Structured replies and the allocation of blocks are asked for, and done without where they are refused.
 */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteSource } from './byte-source.ts'
import {
  ALLOCATION,
  clientFlags,
  FIRST_ERROR,
  FIXED_NEWSTYLE,
  FLAG,
  goOption,
  GREETING_BYTES,
  INFO,
  NBD_MAGIC,
  NO_ZEROES,
  option,
  OPTION,
  OPTION_ERROR,
  OPTION_MAGIC,
  OPTION_REPLY_BYTES,
  OPTION_REPLY_MAGIC,
  REPLY,
  setAllocationOption,
} from './protocol.ts'

/** Bytes of one answer to an option; names and sentences are much shorter. */
const MAX_REPLY = 64 * 1024
/** Answers to one option. */
const MAX_REPLIES = 64
/** Bytes: what a server takes at once unless it says otherwise (section "Block size constraints"). */
const USUAL_MAX_BLOCK = 32 * 1024 * 1024
const MAX_MIN_BLOCK = 64 * 1024
const OLD_ZEROES = 124

export interface NbdExport {
  /** Bytes. */
  size: number
  readOnly: boolean
  canFlush: boolean
  canTrim: boolean
  canWriteZeroes: boolean
  /** Bytes: offsets and lengths are multiples of the first, and at most the second is read or written at once. */
  minBlock: number
  maxBlock: number
  /** Replies come in chunks. */
  structured: boolean
  /** The id of base:allocation; null: where data is cannot be asked for. */
  allocation: number | null
}

interface OptionReply {
  kind: number
  data: Buffer
}

/**
 * @param address for sentences
 * @throws AppError `corrupt` for what is no NBD server, `unsupported`, `not-found` (no such export), `denied`
 */
export async function negotiate(
  source: ByteSource,
  send: (bytes: Uint8Array) => void,
  exportName: string,
  address: string,
): Promise<NbdExport> {
  const noServer = (what: string): AppError =>
    new AppError('corrupt', `What answers at “${address}” is no NBD server: ${what}.`, { subject: address })
  const greeting = await source.take(GREETING_BYTES)
  if (greeting.readBigUInt64BE(0) !== NBD_MAGIC) throw noServer('its greeting is another one')
  const serverFlags = greeting.readUInt16BE(16)
  if (greeting.readBigUInt64BE(8) !== OPTION_MAGIC || (serverFlags & FIXED_NEWSTYLE) === 0)
    throw new AppError('unsupported', `The NBD server at “${address}” speaks a version of NBD from before 2011. Update it.`, {
      subject: address,
    })
  const noZeroes = (serverFlags & NO_ZEROES) !== 0
  send(clientFlags(FIXED_NEWSTYLE | (noZeroes ? NO_ZEROES : 0)))

  const replies = async (kind: number): Promise<OptionReply[]> => {
    const all: OptionReply[] = []
    for (;;) {
      const head = await source.take(OPTION_REPLY_BYTES)
      const [magic, of, reply, length] = [head.readBigUInt64BE(0), head.readUInt32BE(8), head.readUInt32BE(12), head.readUInt32BE(16)]
      if (magic !== OPTION_REPLY_MAGIC || of !== kind) throw noServer('it answers what it was not asked')
      if (length > MAX_REPLY || all.length === MAX_REPLIES) throw noServer('its answers have no end')
      all.push({ kind: reply, data: await source.take(length) })
      if (reply === REPLY.ack || reply >= FIRST_ERROR) return all
    }
  }
  const ask = async (kind: number, bytes: Uint8Array): Promise<OptionReply[]> => {
    send(bytes)
    return replies(kind)
  }

  const structured = (await ask(OPTION.structuredReply, option(OPTION.structuredReply))).at(-1)!.kind === REPLY.ack
  const allocation = structured ? allocationOf(await ask(OPTION.setMetaContext, setAllocationOption(exportName))) : null
  const answers = await ask(OPTION.go, goOption(exportName))
  const last = answers.at(-1)!
  if (last.kind === OPTION_ERROR.unsupported) {
    send(option(OPTION.exportName, Buffer.from(exportName)))
    const rest = await source.take(10 + (noZeroes ? 0 : OLD_ZEROES))
    return exportOf(rest.readBigUInt64BE(0), rest.readUInt16BE(8), null, structured, allocation, address)
  }
  if (last.kind !== REPLY.ack) throw refused(last, exportName, address)
  let basics: { size: bigint; flags: number } | null = null
  let blocks: { min: number; max: number } | null = null
  for (const { kind, data } of answers) {
    if (kind !== REPLY.info || data.length < 2) continue
    const info = data.readUInt16BE(0)
    if (info === INFO.export && data.length === 12) basics = { size: data.readBigUInt64BE(2), flags: data.readUInt16BE(10) }
    if (info === INFO.blockSize && data.length === 14) blocks = { min: data.readUInt32BE(2), max: data.readUInt32BE(10) }
  }
  if (!basics) throw noServer('it does not say how large the disk is')
  return exportOf(basics.size, basics.flags, blocks, structured, allocation, address)
}

function exportOf(
  size: bigint,
  flags: number,
  blocks: { min: number; max: number } | null,
  structured: boolean,
  allocation: number | null,
  address: string,
): NbdExport {
  const wrong = (what: string): AppError => new AppError('corrupt', `The NBD server at “${address}” ${what}.`, { subject: address })
  if (size === 0n) throw wrong('has a disk of 0 bytes')
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw wrong(`says that its disk has ${size} bytes, which no disk has`)
  const { min, max } = blocks ?? { min: 1, max: USUAL_MAX_BLOCK }
  const isPower = min > 0 && (min & (min - 1)) === 0
  if (!isPower || min > MAX_MIN_BLOCK || max < min || Number(size) % min !== 0)
    throw wrong(`has blocks of ${min} to ${max} bytes, which do not fit its disk`)
  return {
    size: Number(size),
    readOnly: (flags & FLAG.readOnly) !== 0,
    canFlush: (flags & FLAG.flush) !== 0,
    canTrim: (flags & FLAG.trim) !== 0,
    canWriteZeroes: (flags & FLAG.writeZeroes) !== 0,
    minBlock: min,
    maxBlock: Math.min(max - (max % min), USUAL_MAX_BLOCK),
    structured,
    allocation,
  }
}

function allocationOf(replies: readonly OptionReply[]): number | null {
  if (replies.at(-1)!.kind !== REPLY.ack) return null
  const found = replies.find(({ kind, data }) => kind === REPLY.metaContext && data.subarray(4).toString() === ALLOCATION)
  return found ? found.data.readUInt32BE(0) : null
}

function refused({ kind, data }: OptionReply, exportName: string, address: string): AppError {
  const said = data.length === 0 ? '' : ` It says: ${data.toString('utf8', 0, 200)}`
  const details = { subject: address, ...(said === '' ? {} : { technical: data.toString('utf8', 0, 4000) }) }
  switch (kind) {
    case OPTION_ERROR.tlsRequired:
      return new AppError(
        'unsupported',
        `The NBD server at “${address}” wants TLS, which Coppice does not speak. Let it serve this disk without, inside of a network that you trust.`,
        details,
      )
    case OPTION_ERROR.unknown:
      return new AppError('not-found', `The NBD server at “${address}” has no export “${exportName}”.${said}`, details)
    case OPTION_ERROR.policy:
      return new AppError(
        'denied',
        `The NBD server at “${address}” does not give its export “${exportName}” to this computer.${said}`,
        details,
      )
    default:
      return new AppError(
        'unavailable',
        `The NBD server at “${address}” does not open its export “${exportName}” (error ${kind - FIRST_ERROR}).${said}`,
        details,
      )
  }
}
