import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildIcmp, parseIcmp } from '../../../../src-main/network/codec/icmp.ts'
import { parseTcp, parseTcpOptions, writeTcp } from '../../../../src-main/network/codec/tcp.ts'
import { buildUdp, parseUdp } from '../../../../src-main/network/codec/udp.ts'
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import { takesAnyBytes } from '../../../support/any-bytes.ts'
import { byte, bytes, ends, half, plainChecksum, word } from './arbitrary.ts'

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const around = ([source, destination]: [IpAddress, IpAddress], payload: Uint8Array) => ({
  ...{ version: source.length === 4 ? (4 as const) : (6 as const), source, destination, payload },
})
const ENDS_OF: Record<4 | 16, [IpAddress, IpAddress]> = {
  4: [Uint8Array.of(10, 0, 2, 15), Uint8Array.of(10, 0, 2, 3)],
  16: [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)],
}
/** A parser over both families. */
const of =
  (parse: (packet: ReturnType<typeof around>) => unknown) =>
  (payload: Uint8Array): void => {
    for (const both of Object.values(ENDS_OF)) parse(around(both, payload))
  }
/** One bit that is not as it was built. */
const flipped = (packet: Uint8Array, bit: number): Uint8Array => {
  const wrong = packet.slice()
  wrong[(bit >> 3) % wrong.length]! ^= 1 << (bit & 7)
  return wrong
}
/** The book's checksum over a packet of these ends, its pseudo header included: 0 where it is right. */
const checksum = ([source, destination]: [IpAddress, IpAddress], protocol: number, packet: Uint8Array): number => {
  const length = [packet.length >> 8, packet.length & 255]
  const tail = source.length === 4 ? [0, protocol, ...length] : [0, 0, ...length, 0, 0, 0, protocol]
  return plainChecksum(Uint8Array.from([...source, ...destination, ...tail, ...packet]))
}

describe('UDP', () => {
  it('reads back what was built', () => {
    fc.assert(
      fc.property(ends, half, half, bytes(), fc.nat(8), (both, sourcePort, destinationPort, payload, padding) => {
        const packet = buildUdp(...both, { sourcePort, destinationPort, payload })
        expect(checksum(both, 17, packet)).toBe(0)
        expect([packet[6], packet[7]]).not.toEqual([0, 0])
        const padded = new Uint8Array(packet.length + padding)
        padded.set(packet)
        expect(parseUdp(around(both, padded))).toEqual({ sourcePort, destinationPort, payload })
      }),
    )
  })

  it('takes any bytes, and refuses wrong bits and lengths', () => {
    const both = ENDS_OF[4]
    const packet = buildUdp(...both, { sourcePort: 1000, destinationPort: 53, payload: hex('0102030405') })
    takesAnyBytes(of(parseUdp), fc.constant(packet), 60)
    fc.assert(fc.property(fc.nat(packet.length * 8 - 1), (bit) => void expect(parseUdp(around(both, flipped(packet, bit)))).toBeNull()))
    for (let length = 0; length < packet.length; length++) expect(parseUdp(around(both, packet.subarray(0, length)))).toBeNull()
  })

  it('has a checksum over IPv6, and over IPv4 may have none', () => {
    const packet = buildUdp(new Uint8Array(4), new Uint8Array(4), { sourcePort: 1, destinationPort: 2, payload: hex('ff') })
    packet.set([0, 0], 6)
    expect(parseUdp(around([new Uint8Array(4), new Uint8Array(4)], packet))).not.toBeNull()
    expect(parseUdp(around([new Uint8Array(16), new Uint8Array(16)], packet))).toBeNull()
  })
})

describe('ICMP', () => {
  it('reads back what was built, both kinds', () => {
    fc.assert(
      fc.property(ends, fc.record({ type: byte, code: byte, rest: word, body: bytes() }), (both, message) => {
        const packet = buildIcmp(...both, message)
        expect(both[0].length === 4 ? plainChecksum(packet) : checksum(both, 58, packet)).toBe(0)
        expect(parseIcmp(around(both, packet))).toEqual(message)
      }),
    )
  })

  it('takes any bytes, and refuses wrong bits', () => {
    takesAnyBytes(
      of(parseIcmp),
      bytes(40).map((body) => buildIcmp(...ENDS_OF[4], { type: 8, code: 0, rest: 1, body })),
      60,
    )
    fc.assert(
      fc.property(ends, bytes(40), fc.nat(8 * 48), (both, body, bit) => {
        const packet = buildIcmp(...both, { type: 8, code: 0, rest: 1, body })
        expect(parseIcmp(around(both, flipped(packet, bit)))).toBeNull()
      }),
    )
    // An echo request of Linux's ping, as it was captured.
    expect(parseIcmp(around([new Uint8Array(4), new Uint8Array(4)], hex('0800 f7fe 0001 0000')))).toEqual({
      ...{ type: 8, code: 0, rest: 0x0001_0000, body: new Uint8Array() },
    })
  })
})

describe('TCP', () => {
  const segment = fc.record({
    ...{ sourcePort: half, destinationPort: half, sequence: word, acknowledgment: word, flags: byte, window: half },
    options: fc.nat(10).chain((words) => fc.uint8Array({ minLength: words * 4, maxLength: words * 4 })),
  })

  it('reads back what was written', () => {
    fc.assert(
      fc.property(ends, segment, bytes(), fc.nat(9), (both, fields, payload, at) => {
        const place = new Uint8Array(at + 20 + fields.options.length + payload.length)
        place.set(payload, at + 20 + fields.options.length)
        const length = writeTcp(place, at, ...both, fields, payload.length)
        const packet = place.subarray(at)
        expect(length).toBe(packet.length)
        expect(checksum(both, 6, packet)).toBe(0)
        expect(parseTcp(around(both, packet))).toEqual({ ...fields, payload })
        expect(parseTcp(around(both, flipped(packet, (at * 37) % (packet.length * 8))))).toBeNull()
      }),
    )
  })

  it('takes any bytes', () => {
    takesAnyBytes(of(parseTcp), null, 60)
    takesAnyBytes(parseTcpOptions, fc.constant(hex('0204 05b4 0402 080a 0102 0304 0000 0000 0103 0307')), 40)
  })

  it('reads the options that systems send', () => {
    // Linux's SYN: MSS 1460, SACK, time stamps, a gap, window scale 7.
    expect(parseTcpOptions(hex('0204 05b4 0402 080a 0102 0304 0000 0000 0103 0307'))).toEqual({
      ...{ mss: 1460, windowScale: 7, sackPermitted: true, sack: [], timestamps: { value: 0x01020304, echo: 0 } },
    })
    expect(parseTcpOptions(hex('0101 050a 0000 0001 ffff ffff'))).toMatchObject({ sack: [[1, 0xffff_ffff]] })
    // More than 14 is 14 (RFC 7323, 2.3); behind the end, and behind what is broken, nothing is read.
    expect(parseTcpOptions(hex('0303 ff00 0204 05b4'))).toMatchObject({ windowScale: 14, mss: null })
    expect(parseTcpOptions(hex('0200 0204 05b4'))).toMatchObject({ mss: null })
    expect(parseTcpOptions(hex('0208 05b4'))).toMatchObject({ mss: null })
    expect(parseTcpOptions(hex('fd04 0000 0204 05b4'))).toMatchObject({ mss: 1460 })
  })
})
