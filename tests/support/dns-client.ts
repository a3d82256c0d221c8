/** Questions to a DNS server, and its answers as people write them. */
import {
  ednsOf,
  ednsRecord,
  encodedName,
  recordAt,
  scanDns,
  TYPE,
  buildDns,
  type DnsRecord,
} from '../../src-main/network/services/dns/codec.ts'
import { readName } from '../../src-main/network/services/dns/name.ts'
import { formatIp } from '../../src-shared/model/ip.ts'

const NAMES = Object.fromEntries(Object.entries(TYPE).map(([name, type]) => [type, name.toUpperCase()]))

/** @param edns bytes of UDP that are taken */
export function dnsQuestion(
  name: string,
  type: number,
  { id = 7, recurse = true, edns = null as number | null, inClass = 1 } = {},
): Uint8Array {
  const additional = edns === null ? [] : [ednsRecord(edns, { dnssecOk: false })]
  return buildDns({ id, flags: recurse ? 0x0100 : 0, question: { name, type, class: inClass }, additional })
}

export interface ReadAnswer {
  rcode: number
  authoritative: boolean
  truncated: boolean
  recursion: boolean
  /** "web.lab A 10.0.0.2" */
  answers: string[]
  authority: string[]
}

export function readDnsAnswer(bytes: Uint8Array): ReadAnswer {
  const scan = scanDns(bytes)
  if (!scan) throw new Error('This is no DNS message.')
  const list = (section: string): string[] =>
    scan.records.flatMap((place) => (place.section === section ? [written(recordAt(bytes, place)!)] : []))
  return {
    rcode: (scan.flags & 15) | (ednsOf(bytes, scan)?.rcode ?? 0),
    authoritative: (scan.flags & 0x400) !== 0,
    truncated: (scan.flags & 0x200) !== 0,
    recursion: (scan.flags & 0x80) !== 0,
    answers: list('answer'),
    authority: list('authority'),
  }
}

function written({ name, type, data }: DnsRecord): string {
  const value =
    type === TYPE.a || type === TYPE.aaaa
      ? formatIp(data)
      : type === TYPE.txt
        ? JSON.stringify(new TextDecoder().decode(data.subarray(1)))
        : (readName(data, 0)?.name ?? '?')
  return `${name} ${NAMES[type] ?? type} ${value}`
}

/** An A record of these addresses. */
export function aRecords(name: string, addresses: readonly string[], ttl = 60): DnsRecord[] {
  return addresses.map((text) => ({ name, type: TYPE.a, class: 1, ttl, data: Uint8Array.from(text.split('.'), Number) }))
}

export function soaRecord(name: string, minimum: number): DnsRecord {
  const numbers = new Uint8Array(20)
  new DataView(numbers.buffer).setUint32(16, minimum)
  return {
    name,
    type: TYPE.soa,
    class: 1,
    ttl: minimum,
    data: Uint8Array.of(...encodedName(`ns.${name}`), ...encodedName(`me.${name}`), ...numbers),
  }
}
