/** A machine's question, and how an answer is made to fit it. */
import { concatBytes } from '../../../../src-shared/base/bytes.ts'
import {
  buildDns,
  CLASS_IN,
  DNS_HEADER,
  ednsOf,
  ednsRecord,
  encodedName,
  FLAG,
  OPCODE,
  RCODE,
  scanDns,
  TYPE,
  type DnsMessage,
  type DnsScan,
  type Edns,
} from './codec.ts'
import { keyOf } from './name.ts'

/** Bytes of UDP that everybody takes (RFC 1035, 4.2.1), and that we say we take: no more than fits everywhere (RFC 9715). */
const PLAIN_SIZE = 512
const OUR_SIZE = 1232
/** Bytes of UDP that a machine is sent at most, whatever it says that it takes. */
const MAX_SIZE = 4096

export interface DnsQuery {
  id: number
  /** As it came, that is how it goes back. */
  name: string
  /** The name in small letters. */
  key: string
  type: number
  class: number
  recurse: boolean
  checkingDisabled: boolean
  edns: Edns | null
}

/** Null: not to be answered (an answer itself, or no header). A number: what is wrong, to be told. */
export function parseQuery(bytes: Uint8Array): DnsQuery | { id: number; wrong: number } | null {
  if (bytes.length < DNS_HEADER || bytes[2]! & 0x80) return null
  const id = (bytes[0]! << 8) | bytes[1]!
  const flags = (bytes[2]! << 8) | bytes[3]!
  if (flags & OPCODE) return { id, wrong: RCODE.notImplemented }
  const scan = scanDns(bytes)
  if (!scan?.question || scan.records.some(({ section }) => section !== 'additional')) return { id, wrong: RCODE.malformed }
  const { name, type, class: inClass } = scan.question
  return {
    id,
    name,
    key: keyOf(name),
    type,
    class: inClass,
    recurse: (flags & FLAG.recurse) !== 0,
    checkingDisabled: (flags & FLAG.checkingDisabled) !== 0,
    edns: ednsOf(bytes, scan),
  }
}

/** The same question for another server. @param plain without EDNS, for servers that do not know it */
export function buildQuery(
  { name, type, class: inClass, checkingDisabled, edns }: Omit<DnsQuery, 'id' | 'key' | 'recurse'>,
  id: number,
  plain = false,
): Uint8Array<ArrayBuffer> {
  return buildDns({
    id,
    flags: FLAG.recurse | (checkingDisabled ? FLAG.checkingDisabled : 0),
    question: { name, type, class: inClass },
    additional: plain ? [] : [ednsRecord(OUR_SIZE, { dnssecOk: edns?.dnssecOk ?? false })],
  })
}

/** Whether this is an answer to what was asked (RFC 5452, 9.1); null: it is not. */
export function acceptAnswer(bytes: Uint8Array, query: Pick<DnsQuery, 'key' | 'type' | 'class'>, id: number): DnsScan | null {
  const scan = scanDns(bytes)
  if (!scan || scan.id !== id || !(scan.flags & FLAG.response) || scan.flags & OPCODE) return null
  const { question } = scan
  // Servers that understood nothing leave the question out.
  if (!question) return (scan.flags & 15) === RCODE.ok ? null : scan
  const same = keyOf(question.name) === query.key && question.type === query.type && question.class === query.class
  // Written out, as everybody does: what stands there is replaced by the asker's spelling.
  return same && question.end === DNS_HEADER + encodedName(question.name).length + 4 ? scan : null
}

/** An answer of our own. */
export function buildAnswer(
  query: DnsQuery,
  answer: Pick<DnsMessage, 'rcode' | 'answers' | 'authority'> & { flags?: number },
): Uint8Array<ArrayBuffer> {
  const { id, name, type, class: inClass, recurse, checkingDisabled } = query
  return buildDns({
    ...answer,
    id,
    flags: FLAG.response | (recurse ? FLAG.recurse : 0) | (checkingDisabled ? FLAG.checkingDisabled : 0) | (answer.flags ?? 0),
    question: { name, type, class: inClass },
  })
}

/** What is sent where a question cannot be read. */
export function buildRefusal(id: number, rcode: number): Uint8Array<ArrayBuffer> {
  return buildDns({ id, flags: FLAG.response, rcode, question: null })
}

/**
 * An answer as this machine takes it: with its id, EDNS where it has it itself (RFC 6891, 7), and cut where it is longer than it takes.
 * @param answer with the query's question; not changed
 */
export function fitAnswer(answer: Uint8Array, query: DnsQuery, over: 'udp' | 'tcp', rcode = 0): Uint8Array<ArrayBuffer> {
  const scan = scanDns(answer)
  const own = scan && ednsOf(answer, scan)
  // What stands behind the other server's OPT is additional, and goes with it: usually nothing.
  const opt = scan?.records.findIndex(({ section, type }) => section === 'additional' && type === TYPE.opt) ?? -1
  let bytes = answer.slice(0, opt < 0 ? (scan?.records.at(-1)?.end ?? scan?.question?.end ?? answer.length) : scan!.records[opt]!.start)
  let additional = scan?.records.filter(({ section }, at) => section === 'additional' && (opt < 0 || at < opt)).length ?? 0
  const edns = query.edns ? ednsRecord(OUR_SIZE, { dnssecOk: query.edns.dnssecOk, rcode: rcode || (own?.rcode ?? 0) }) : null
  const room = over === 'tcp' ? 0xffff : Math.min(MAX_SIZE, Math.max(PLAIN_SIZE, query.edns?.size ?? 0))
  const suffix = edns
    ? Uint8Array.of(0, 0, TYPE.opt, edns.class >> 8, edns.class, edns.ttl >>> 24, edns.ttl >>> 16, edns.ttl >>> 8, edns.ttl, 0, 0)
    : new Uint8Array(0)
  if (bytes.length + suffix.length > room) {
    // RFC 2181, 9: what does not fit whole is asked for again by TCP.
    bytes = bytes.slice(0, scan?.question?.end ?? DNS_HEADER)
    bytes.fill(0, 6, DNS_HEADER)
    bytes[2]! |= FLAG.truncated >> 8
    additional = 0
  }
  // In capitals as this machine wrote it: some look whether they come back (DNS 0x20).
  bytes.set(encodedName(query.name), DNS_HEADER)
  bytes[0] = query.id >> 8
  bytes[1] = query.id
  bytes[2] = (bytes[2]! & ~1) | (query.recurse ? 1 : 0)
  additional += edns ? 1 : 0
  bytes[10] = additional >> 8
  bytes[11] = additional
  return edns ? concatBytes([bytes, suffix]) : bytes
}

/** Whether the question is of a kind that is answered at all; else why not. */
export function refusalOf({ type, class: inClass, edns }: DnsQuery): number | null {
  if (edns && edns.version > 0) return RCODE.badVersion
  if (inClass !== CLASS_IN || type === TYPE.axfr || type === TYPE.ixfr) return RCODE.refused
  return type === TYPE.opt ? RCODE.malformed : null
}
