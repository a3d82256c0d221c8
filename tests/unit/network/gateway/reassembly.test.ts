import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IPV6_HEADER, ipHeaderBytes, parseIp, writeIp } from '../../../../src-main/network/codec/ip.ts'
import { cardShare } from '../../../../src-main/network/card-share.ts'
import { cutIpv4, cutIpv6 } from '../../../../src-main/network/gateway/fragments.ts'
import { Reassembly } from '../../../../src-main/network/gateway/reassembly.ts'
import type { IncomingPacket } from '../../../../src-main/network/ip-output.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const CARD = 7
/** Cards from here on are not plugged in. */
const MADE_UP = 1_000_000
const ends = {
  4: [Uint8Array.of(10, 0, 2, 15), Uint8Array.of(10, 0, 2, 1)],
  6: [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)],
} as const

function packet(version: 4 | 6, payload: Uint8Array, id = 1): Uint8Array {
  const [source, destination] = ends[version]
  const whole = new Uint8Array(ipHeaderBytes(source) + payload.length)
  writeIp(whole, 0, { source, destination, protocol: 17, ttl: 9, trafficClass: 8, id, flags: 0 }, payload.length)
  whole.set(payload, ipHeaderBytes(source))
  return whole
}

const cut = (whole: Uint8Array, mtu: number, id = 1): Uint8Array[] => (whole[0]! >> 4 === 4 ? cutIpv4(whole, mtu) : cutIpv6(whole, mtu, id))
const seen = (piece: Uint8Array, sourceMac = CARD): IncomingPacket => ({ ...parseIp(piece)!, sourceMac })

function setUp() {
  const clock = new FakeClock()
  const expired: IncomingPacket[] = []
  const reassembly = new Reassembly(clock, cardShare({ isCard: (mac) => mac < MADE_UP }), (first) => expired.push(first))
  return { clock, expired, reassembly }
}

const shuffled = <Item>(items: Item[], order: number[]): Item[] =>
  items
    .map((item, at) => [order[at % order.length]!, item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item)

describe('packets in pieces', () => {
  it('are whole again, in any order, some of them twice, cut more than once', () => {
    fc.assert(
      fc.property(
        ...([fc.constantFrom(4 as const, 6 as const), fc.integer({ min: 1, max: 9000 }), fc.integer({ min: 576, max: 1500 })] as const),
        fc.array(fc.nat(), { minLength: 1, maxLength: 30 }),
        fc.nat(20),
        (version, length, mtu, order, twice) => {
          const payload = Uint8Array.from({ length }, (_, at) => at * 7)
          const whole = packet(version, payload)
          let pieces = cut(whole, mtu)
          for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(mtu)
          if (version === 4) pieces = pieces.flatMap((piece) => (piece.length > 100 ? cutIpv4(piece, 100 + (length % 400)) : [piece]))
          // IPv6 has the header of pieces also where there is but one.
          if (pieces.length === 1) return
          const { reassembly, clock } = setUp()
          const sent = shuffled(pieces, order)
          if (twice < sent.length - 1) sent.splice(twice, 0, sent[twice]!)
          const done = sent.map((piece) => reassembly.add(seen(piece))).filter((one) => one !== null)
          expect(done).toHaveLength(1)
          expect(done[0]).toMatchObject({ version, protocol: 17, ttl: 9, trafficClass: 8, fragment: null, sourceMac: CARD })
          expect(Buffer.compare(done[0]!.payload, payload)).toBe(0)
          expect(reassembly.size).toBe(0)
          clock.advance(60_000)
          expect(clock.waiting).toBe(0)
        },
      ),
    )
  })

  it('have those options that are for all of them, cut more than once too; the first has all', () => {
    const plain = packet(
      4,
      Uint8Array.from({ length: 3000 }, (_, at) => at * 3),
    )
    // No operation, record route (7, the first's alone), router alert (148, copied), stream ID (136, copied), end.
    const options = Uint8Array.of(1, 7, 7, 4, 0, 0, 0, 0, 148, 4, 0, 0, 136, 4, 1, 2, 0, 0, 0, 0)
    const whole = Uint8Array.from([...plain.subarray(0, 20), ...options, ...plain.subarray(20)])
    whole[0] = 0x40 | ((whole.length - 3000) / 4)
    whole.set([whole.length >> 8, whole.length & 255, 0, 1, 0, 0], 2)
    const copied = [148, 4, 0, 0, 136, 4, 1, 2]
    const cuts = cutIpv4(whole, 700)
    for (const pieces of [cuts, cuts.flatMap((piece) => cutIpv4(piece, 200))]) {
      const { reassembly } = setUp()
      for (const [nth, piece] of pieces.entries()) {
        expect([...piece.subarray(20, (piece[0]! & 15) * 4)]).toEqual(nth === 0 ? [...options] : copied)
        const done = reassembly.add(seen(piece))
        if (nth === pieces.length - 1) expect(Buffer.compare(done!.payload, plain.subarray(20))).toBe(0)
        else expect(done).toBeNull()
      }
      reassembly.dispose()
    }
    // Options that end nowhere are not looked for behind the header.
    whole.set([148, 200], 20)
    expect(
      cutIpv4(whole, 700)
        .slice(1)
        .every((piece) => piece[0] === 0x45),
    ).toBe(true)
  })

  it('are lost where pieces overlap, and stay lost', () => {
    for (const version of [4, 6] as const) {
      const { reassembly, clock, expired } = setUp()
      const [first, second, third] = cut(packet(version, new Uint8Array(3000)), 1500)
      // Another cut of another packet with the same number: it lies over the first.
      const [other] = cut(packet(version, new Uint8Array(3000).fill(1)), 1300)
      for (const piece of [first!, other!, second!, third!, first!]) expect(reassembly.add(seen(piece))).toBeNull()
      clock.advance(60_000)
      expect(expired).toEqual([])
      // The number is free again.
      expect([first!, second!, third!].map((piece) => reassembly.add(seen(piece))).at(-1)).not.toBeNull()
    }
  })

  it('that lie about their end, or whose bytes differ, are lost', () => {
    const [first, , last] = cut(packet(4, new Uint8Array(3000)), 1500)
    const more = cut(packet(4, new Uint8Array(6000)), 1500)
    const differs = cut(packet(4, new Uint8Array(3000).fill(1)), 1500)[0]!
    for (const wrong of [
      [first!, last!, more[3]!],
      [more[3]!, last!],
      [first!, differs],
    ]) {
      const { reassembly } = setUp()
      for (const piece of [...wrong, ...cut(packet(4, new Uint8Array(3000)), 1500)]) expect(reassembly.add(seen(piece))).toBeNull()
    }
  })

  it('are told of when they stay incomplete, if the first one came', () => {
    for (const [version, time] of [
      [4, 30_000],
      [6, 60_000],
    ] as const) {
      const { reassembly, clock, expired } = setUp()
      const [first, second] = cut(packet(version, new Uint8Array(3000)), 1500)
      reassembly.add(seen(first!))
      for (const piece of cut(packet(version, new Uint8Array(3000), 2), 1500, 2).slice(1)) reassembly.add(seen(piece))
      clock.advance(time - 1)
      expect(expired).toEqual([])
      clock.advance(1)
      expect(expired.map(({ whole }) => whole)).toEqual([first])
      expect(reassembly.size).toBe(0)
      expect(reassembly.add(seen(second!))).toBeNull()
    }
  })

  it('are kept within limits, those of one card within its own', () => {
    const { reassembly, clock } = setUp()
    const pieces = (id: number): Uint8Array[] => cut(packet(4, new Uint8Array(2000).fill(id), id), 1500)
    reassembly.add(seen(pieces(9999)[0]!, 99))
    for (let id = 0; id < 1000; id++) reassembly.add(seen(pieces(id)[0]!))
    expect(reassembly.size).toBe(17)
    // A neighbour's is still there.
    expect(reassembly.add(seen(pieces(9999)[1]!, 99))).not.toBeNull()
    // Made-up cards have one share together.
    for (let id = 0; id < 1000; id++) reassembly.add(seen(pieces(id + 1000)[0]!, MADE_UP + id))
    expect(reassembly.size).toBe(32)
    expect(reassembly.add(seen(pieces(999)[1]!))).not.toBeNull()
    for (let id = 0; id < 1000; id++) reassembly.add(seen(pieces(id)[0]!, id))
    expect(reassembly.size).toBe(64)
    // So are the pieces of one.
    const whole = packet(4, new Uint8Array(8 * 300))
    for (const piece of cutIpv4(whole, 28)) expect(reassembly.add(seen(piece))).toBeNull()
    clock.advance(60_000)
    expect(reassembly.size).toBe(0)
    expect(clock.waiting).toBe(0)
    reassembly.dispose()
  })

  it('have no more bytes than a packet may', () => {
    const { reassembly } = setUp()
    const parsed = { ...parseIp(packet(4, new Uint8Array(1480)))!, sourceMac: 1, fragment: { id: 1, offset: 8100 * 8, more: true } }
    expect(reassembly.add(parsed)).toBeNull()
    expect(reassembly.size).toBe(0)
  })

  it('have extension headers that are read when they are whole', () => {
    const inner = Uint8Array.from([17, 0, 1, 4, 0, 0, 0, 0, ...new Uint8Array(2000).fill(5)])
    const whole = packet(6, inner)
    whole[6] = 60
    const { reassembly } = setUp()
    const done = cutIpv6(whole, 1280, 3)
      .map((piece) => reassembly.add(seen(piece)))
      .at(-1)!
    expect(done).toMatchObject({ protocol: 17, payload: inner.subarray(8) })
    expect(done.whole).toHaveLength(IPV6_HEADER + inner.length)
  })

  it('may be any bytes', () => {
    const { reassembly } = setUp()
    const piece = fc.record({ id: fc.nat(3), offset: fc.nat(40).map((units) => units * 8), more: fc.boolean(), length: fc.nat(80) })
    fc.assert(
      fc.property(fc.constantFrom(4 as const, 6 as const), fc.array(piece, { maxLength: 40 }), (version, pieces) => {
        for (const { length, ...fragment } of pieces) {
          const packetOf = parseIp(packet(version, new Uint8Array(length)))!
          const done = reassembly.add({ ...packetOf, fragment, sourceMac: fragment.id })
          if (done) expect(done.fragment).toBeNull()
        }
        expect(reassembly.size).toBeLessThanOrEqual(8)
      }),
    )
    reassembly.dispose()
  })
})
