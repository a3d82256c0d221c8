/**
 * DNS messages (RFC 1035, 4; EDNS0 RFC 6891). Answers of other servers are handed on as they came but for a few places, so that nothing is lost of types that are unknown
 * here: `scanDns` finds these places. Answers of our own are built from records. Any bytes are a message or none.
 */
import { concatBytes } from '../../../../src-shared/base/bytes.ts'
import { encodeName, keyOf, readName } from './name.ts'
import { wordAt } from '../../codec/words.ts'

export const TYPE = {
  a: 1,
  ns: 2,
  cname: 5,
  soa: 6,
  ptr: 12,
  mx: 15,
  txt: 16,
  aaaa: 28,
  srv: 33,
  dname: 39,
  opt: 41,
  ixfr: 251,
  axfr: 252,
  any: 255,
} as const
export const CLASS_IN = 1
/** RFC 1035, 4.1.1; RFC 6891, 9. */
export const RCODE = { ok: 0, malformed: 1, failure: 2, noName: 3, notImplemented: 4, refused: 5, badVersion: 16 } as const
/** Bits of the second word. */
export const FLAG = {
  response: 0x8000,
  authoritative: 0x0400,
  truncated: 0x0200,
  recurse: 0x0100,
  recursion: 0x0080,
  authentic: 0x0020,
  checkingDisabled: 0x0010,
} as const
export const OPCODE = 0x7800
export const DNS_HEADER = 12
/** Records of one message: more than any server sends in 64 KiB. */
const MAX_RECORDS = 4096
/** Of the OPT record's TTL. */
const DNSSEC_OK = 0x8000

export interface DnsRecord {
  name: string
  type: number
  /** Of OPT records: bytes that the sender takes. */
  class: number
  /** Seconds. */
  ttl: number
  /** Names in it are written out. */
  data: Uint8Array
}

/** Where a record stands in a message. Offsets in bytes. */
export interface RecordPlace {
  section: 'answer' | 'authority' | 'additional'
  start: number
  type: number
  class: number
  ttl: number
  ttlAt: number
  dataAt: number
  end: number
}

export interface DnsScan {
  id: number
  flags: number
  /** The only one; null: there is none. */
  question: { name: string; type: number; class: number; end: number } | null
  records: RecordPlace[]
}

/** Null: malformed, or more than one question (RFC 9619). Bytes behind the last record are not looked at. */
export function scanDns(bytes: Uint8Array): DnsScan | null {
  if (bytes.length < DNS_HEADER) return null
  const word = (at: number): number => (bytes[at]! << 8) | bytes[at + 1]!
  const counts = [word(6), word(8), word(10)] as const
  if (word(4) > 1 || counts[0] + counts[1] + counts[2] > MAX_RECORDS) return null
  let at = DNS_HEADER
  let question: DnsScan['question'] = null
  if (word(4) === 1) {
    const read = readName(bytes, at)
    if (!read || read.end + 4 > bytes.length) return null
    question = { name: read.name, type: word(read.end), class: word(read.end + 2), end: read.end + 4 }
    at = question.end
  }
  const records: RecordPlace[] = []
  for (const [index, section] of (['answer', 'authority', 'additional'] as const).entries())
    for (let count = counts[index]!; count > 0; count--) {
      const start = at
      const name = readName(bytes, at)
      if (!name || name.end + 10 > bytes.length) return null
      const ttlAt = name.end + 4
      const ttl = wordAt(bytes, ttlAt)
      const dataAt = name.end + 10
      const end = dataAt + word(name.end + 8)
      if (end > bytes.length) return null
      records.push({ section, start, type: word(name.end), class: word(name.end + 2), ttl, ttlAt, dataAt, end })
      at = end
    }
  return { id: word(0), flags: word(2), question, records }
}

/** How names lie in the data of types that may have them compressed (RFC 3597, 4): bytes before, names, bytes after. */
const NAMES: Record<number, readonly [before: number, names: number, after: number]> = {
  [TYPE.ns]: [0, 1, 0],
  [TYPE.cname]: [0, 1, 0],
  [TYPE.ptr]: [0, 1, 0],
  [TYPE.dname]: [0, 1, 0],
  [TYPE.mx]: [2, 1, 0],
  [TYPE.srv]: [6, 1, 0],
  [TYPE.soa]: [0, 2, 20],
}

/** A record by itself. Null: the names in its data are malformed. */
export function recordAt(bytes: Uint8Array, place: RecordPlace): DnsRecord | null {
  const owner = readName(bytes, place.start)!
  const record = { name: owner.name, type: place.type, class: place.class, ttl: place.ttl }
  const layout = NAMES[place.type]
  if (!layout) return { ...record, data: bytes.slice(place.dataAt, place.end) }
  const [before, names, after] = layout
  const parts = [bytes.subarray(place.dataAt, Math.min(place.dataAt + before, place.end))]
  let at = place.dataAt + before
  for (let count = 0; count < names; count++) {
    const read = at < place.end ? readName(bytes, at) : null
    const encoded = read && encodeName(read.name)
    if (!encoded) return null
    parts.push(encoded)
    at = read.end
  }
  if (at + after !== place.end) return null
  parts.push(bytes.subarray(at, place.end))
  return { ...record, data: concatBytes(parts) }
}

export interface DnsMessage {
  id: number
  /** Without the code of the result. */
  flags: number
  rcode?: number
  question: { name: string; type: number; class: number } | null
  answers?: readonly DnsRecord[]
  authority?: readonly DnsRecord[]
  additional?: readonly DnsRecord[]
}

/** Names that stood before are pointed to (4.1.4), but for those in data. @throws RangeError where a name is none */
export function buildDns({
  id,
  flags,
  rcode = 0,
  question,
  answers = [],
  authority = [],
  additional = [],
}: DnsMessage): Uint8Array<ArrayBuffer> {
  const known = new Map<string, number>()
  const parts: Uint8Array[] = [
    Uint8Array.from([id, flags | (rcode & 15), question ? 1 : 0, answers.length, authority.length, additional.length].flatMap(split)),
  ]
  let length = DNS_HEADER
  const add = (part: Uint8Array): void => {
    parts.push(part)
    length += part.length
  }
  const addName = (name: string): void => {
    const key = keyOf(name)
    const before = known.get(key)
    if (before !== undefined) {
      add(Uint8Array.from(split(0xc000 | before)))
      return
    }
    if (name !== '' && length < 0x4000) known.set(key, length)
    add(encodedName(name))
  }
  if (question) {
    addName(question.name)
    add(Uint8Array.from([question.type, question.class].flatMap(split)))
  }
  for (const { name, type, class: inClass, ttl, data } of [...answers, ...authority, ...additional]) {
    addName(name)
    add(Uint8Array.from([type, inClass, ttl >>> 16, ttl & 0xffff, data.length].flatMap(split)))
    add(data)
  }
  return concatBytes(parts)
}

function split(word: number): [number, number] {
  return [word >> 8, word & 255]
}

/** @throws RangeError where it is none */
export function encodedName(name: string): Uint8Array<ArrayBuffer> {
  const encoded = encodeName(name)
  if (!encoded) throw new RangeError(`No domain name: ${name}`)
  return encoded
}

export interface Edns {
  /** Bytes of UDP that the sender takes. */
  size: number
  version: number
  dnssecOk: boolean
  /** Upper bits of the result. */
  rcode: number
}

export function ednsOf(bytes: Uint8Array, scan: DnsScan): Edns | null {
  const place = scan.records.find(({ section, type }) => section === 'additional' && type === TYPE.opt)
  if (!place) return null
  return {
    size: place.class,
    version: bytes[place.ttlAt + 1]!,
    dnssecOk: (place.ttl & DNSSEC_OK) !== 0,
    rcode: bytes[place.ttlAt]! << 4,
  }
}

/** @param rcode the whole of it: what goes into the header is left out */
export function ednsRecord(size: number, { dnssecOk, rcode = 0 }: { dnssecOk: boolean; rcode?: number }): DnsRecord {
  return {
    name: '',
    type: TYPE.opt,
    class: size,
    ttl: ((rcode >> 4) * 0x100_0000 + (dnssecOk ? DNSSEC_OK : 0)) >>> 0,
    data: new Uint8Array(0),
  }
}
