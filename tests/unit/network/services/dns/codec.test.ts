import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DnsCache } from '../../../../../src-main/network/services/dns/cache.ts'
import { buildDns, ednsOf, ednsRecord, encodedName, recordAt, scanDns, TYPE } from '../../../../../src-main/network/services/dns/codec.ts'
import {
  acceptAnswer,
  buildAnswer,
  buildQuery,
  fitAnswer,
  parseQuery,
  type DnsQuery,
} from '../../../../../src-main/network/services/dns/query.ts'
import { takesAnyBytes } from '../../../../support/any-bytes.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'

const name = fc.array(fc.stringMatching(/^[a-zA-Z0-9-]{1,20}$/), { maxLength: 5 }).map((labels) => labels.join('.'))
const word = fc.nat(0xffff)
const record = fc
  .tuple(
    name,
    fc.oneof(
      fc.record({ type: fc.constant(TYPE.a), data: fc.uint8Array({ minLength: 4, maxLength: 4 }) }),
      fc.record({ type: fc.constantFrom(TYPE.cname, TYPE.ptr, TYPE.ns), data: name.map(encodedName) }),
      fc.record({
        type: fc.constant(TYPE.mx),
        data: fc.tuple(word, name).map(([order, to]) => Uint8Array.of(order >> 8, order, ...encodedName(to))),
      }),
      fc.record({ type: fc.constantFrom(TYPE.txt, 65_000), data: fc.uint8Array({ maxLength: 100 }) }),
    ),
    fc.nat(0xffff_ffff),
  )
  .map(([owner, { type, data }, ttl]) => ({ name: owner, type, class: 1, ttl, data }))
const records = fc.array(record, { maxLength: 6 })
const message = fc.record({
  id: word,
  flags: word.map((flags) => flags & 0xfff0),
  question: fc.record({ name, type: word, class: word }),
  answers: records,
  authority: records,
  additional: records,
})

/** As they are compared: names that stood before came back by a pointer, in the case of the first. */
const lower = <T extends { name: string }>(list: readonly T[]): T[] => list.map((one) => ({ ...one, name: one.name.toLowerCase() }))

describe('DNS messages', () => {
  it('are read as they were built', () => {
    fc.assert(
      fc.property(message, (one) => {
        const bytes = buildDns(one)
        const scan = scanDns(bytes)!
        expect(scan).toMatchObject({ id: one.id, flags: one.flags, question: one.question })
        for (const [section, list] of [
          ['answer', one.answers],
          ['authority', one.authority],
          ['additional', one.additional],
        ] as const) {
          const read = scan.records.filter((place) => place.section === section).map((place) => recordAt(bytes, place)!)
          expect(lower(read)).toEqual(lower(list))
        }
      }),
    )
  })

  it('are read from any bytes, or not', () => {
    const look = (bytes: Uint8Array): void => {
      const scan = scanDns(bytes)
      if (scan) for (const place of scan.records) recordAt(bytes, place)
      if (scan) ednsOf(bytes, scan)
      parseQuery(bytes)
    }
    takesAnyBytes(
      look,
      message.map((one) => buildDns(one)),
      400,
    )
  })

  it('names in data that are compressed are written out', () => {
    const bytes = Uint8Array.from([
      ...buildDns({ id: 1, flags: 0x8000, question: { name: 'a.lab', type: TYPE.mx, class: 1 } }),
      ...[0xc0, 12, 0, TYPE.mx, 0, 1, 0, 0, 0, 9, 0, 6, 0, 10, 1, 98, 0xc0, 14],
      // One whose name does not fill its data.
      ...[0xc0, 12, 0, TYPE.cname, 0, 1, 0, 0, 0, 9, 0, 3, 0xc0, 14, 0],
    ])
    bytes[7] = 2
    const scan = scanDns(bytes)!
    expect(recordAt(bytes, scan.records[0]!)).toEqual({
      name: 'a.lab',
      type: TYPE.mx,
      class: 1,
      ttl: 9,
      data: Uint8Array.of(0, 10, ...encodedName('b.lab')),
    })
    expect(recordAt(bytes, scan.records[1]!)).toBeNull()
  })
})

const QUERY: DnsQuery = {
  id: 0x1234,
  name: 'WeB.lab',
  key: 'web.lab',
  type: TYPE.a,
  class: 1,
  recurse: true,
  checkingDisabled: false,
  edns: null,
}
const EDNS = { size: 1400, version: 0, dnssecOk: true, rcode: 0 }

describe('DNS answers', () => {
  const answers = Array.from({ length: 60 }, (_, at) => ({
    name: 'web.lab',
    type: TYPE.a,
    class: 1,
    ttl: 5,
    data: Uint8Array.of(10, 0, 0, at),
  }))

  it('are cut where the machine takes less, and not over TCP', () => {
    const whole = buildAnswer(QUERY, { answers })
    for (const [query, over, length] of [
      [QUERY, 'udp', 25],
      [{ ...QUERY, edns: { ...EDNS, size: 600 } }, 'udp', 36],
      [{ ...QUERY, edns: EDNS }, 'udp', whole.length + 11],
      [QUERY, 'tcp', whole.length],
    ] as const) {
      const fitted = fitAnswer(whole, query, over)
      expect(fitted).toHaveLength(length)
      const scan = scanDns(fitted)!
      expect((scan.flags & 0x200) !== 0).toBe(length < 100)
      expect(scan.records.filter(({ section }) => section === 'answer')).toHaveLength(length < 100 ? 0 : 60)
      expect(ednsOf(fitted, scan)?.dnssecOk).toBe(query.edns ? true : undefined)
    }
  })

  it('have EDNS where it was asked with, the asker’s id and the asker’s spelling', () => {
    const other = buildDns({
      id: 9,
      flags: 0x8180,
      question: { name: 'web.lab', type: TYPE.a, class: 1 },
      answers: answers.slice(0, 1),
      additional: [ednsRecord(4096, { dnssecOk: false, rcode: 0x170 }), { ...answers[0]!, name: 'behind.lab' }],
    })
    const plain = fitAnswer(other, QUERY, 'udp')
    expect(scanDns(plain)).toMatchObject({ id: 0x1234, question: { name: 'WeB.lab' } })
    expect(scanDns(plain)!.records).toHaveLength(1)
    const extended = fitAnswer(other, { ...QUERY, edns: EDNS }, 'udp')
    expect(ednsOf(extended, scanDns(extended)!)).toEqual({ size: 1232, version: 0, dnssecOk: true, rcode: 0x170 })
  })

  it('of other servers, whatever their bytes, are handed on whole or cut, or not at all', () => {
    const change = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 })
    const over = fc.constantFrom('udp' as const, 'tcp' as const)
    let accepted = 0
    fc.assert(
      fc.property(message, change, over, fc.option(fc.constant(EDNS)), (one, changes, way, edns) => {
        const query = { ...QUERY, edns }
        const bytes = buildDns({ ...one, id: 9, flags: 0x8180, question: { name: 'web.LAB', type: TYPE.a, class: 1 } })
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        const scan = acceptAnswer(bytes, QUERY, 9)
        if (!scan?.question) return
        accepted++
        const cache = new DnsCache(new FakeClock())
        cache.put('key', bytes, scan)
        for (const answer of [bytes, cache.get('key') ?? bytes]) {
          const fitted = fitAnswer(answer, query, way)
          expect(fitted.length).toBeLessThanOrEqual(way === 'tcp' ? 0xffff : (edns?.size ?? 512))
          expect(scanDns(fitted)).toMatchObject({ id: QUERY.id, question: { name: QUERY.name } })
        }
        for (const place of scan.records) recordAt(bytes, place)
      }),
    )
    expect(accepted).toBeGreaterThan(10)
  })

  it('with a question that is pointed to are not taken', () => {
    // The name stands in the header: what is written over it would not fit.
    const bytes = Uint8Array.of(1, 97, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 10, 0, 1, 0, 1)
    expect(scanDns(bytes)?.question?.name).toBe('')
    expect(acceptAnswer(bytes, { key: '', type: TYPE.a, class: 1 }, 0x161)).toBeNull()
  })

  it('questions that we ask are read as questions', () => {
    const { edns, ...rest } = QUERY
    expect(parseQuery(buildQuery({ ...rest, edns }, 7))).toEqual({
      ...QUERY,
      id: 7,
      edns: { size: 1232, version: 0, dnssecOk: false, rcode: 0 },
    })
    expect(parseQuery(buildAnswer(QUERY, {}))).toBeNull()
    expect(parseQuery(new Uint8Array(12))).toEqual({ id: 0, wrong: 1 })
    expect(parseQuery(Uint8Array.of(0, 5, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0))).toEqual({ id: 5, wrong: 4 })
  })
})
