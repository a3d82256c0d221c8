import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IPV4_HEADER, IPV6_HEADER, ipHeaderBytes, parseIp, writeIp, type IpHeader } from '../../../../src-main/network/codec/ip.ts'
import { takesAnyBytes } from '../../../support/any-bytes.ts'
import { byte, bytes, ends, half, plainChecksum } from './arbitrary.ts'

const header = fc.tuple(ends, fc.record({ protocol: fc.constantFrom(1, 6, 17, 58, 99), ttl: byte, trafficClass: byte, id: half }))

function build(fields: IpHeader, payload: Uint8Array, start = 0): Uint8Array {
  const length = ipHeaderBytes(fields.source)
  const whole = new Uint8Array(start + length + payload.length)
  writeIp(whole, start, fields, payload.length)
  whole.set(payload, start + length)
  return whole
}

/** Of IPv6, with extension headers. */
function chain(first: number, rest: number[], payload = 0): Uint8Array {
  const packet = new Uint8Array(IPV6_HEADER + rest.length + payload)
  writeIp(
    packet,
    0,
    { source: new Uint8Array(16).fill(1), destination: new Uint8Array(16).fill(2), protocol: first },
    rest.length + payload,
  )
  packet.set(rest, IPV6_HEADER)
  return packet
}

describe('IP', () => {
  it('reads back what was written, anywhere in a frame, without what pads it', () => {
    fc.assert(
      fc.property(header, bytes(), fc.nat(20), fc.nat(20), ([[source, destination], fields], payload, start, padding) => {
        const whole = build({ source, destination, ...fields }, payload, start)
        const padded = new Uint8Array(whole.length + padding).fill(0xee)
        padded.set(whole)
        const packet = parseIp(padded, start)!
        const { protocol, ttl, trafficClass } = fields
        expect(packet).toMatchObject({
          version: source.length === 4 ? 4 : 6,
          protocol,
          ttl,
          trafficClass,
          fragment: null,
          dontFragment: true,
        })
        expect([packet.source, packet.destination, packet.payload]).toEqual([source, destination, payload])
        expect(packet.whole).toEqual(whole.subarray(start))
        if (source.length === 4) expect(plainChecksum(packet.whole.subarray(0, IPV4_HEADER))).toBe(0)
      }),
    )
  })

  it('reads pieces of IPv4', () => {
    fc.assert(
      fc.property(half, fc.nat(0x1fff), fc.boolean(), fc.boolean(), (id, offset, more, dont) => {
        const flags = (dont ? 0x4000 : 0) | (more ? 0x2000 : 0) | offset
        const packet = parseIp(
          build({ source: new Uint8Array(4), destination: new Uint8Array(4), protocol: 17, id, flags }, new Uint8Array(8)),
        )!
        expect(packet.dontFragment).toBe(dont)
        expect(packet.fragment).toEqual(more || offset > 0 ? { id, offset: offset * 8, more } : null)
      }),
    )
  })

  it('takes any bytes, and any mutation of a packet', () => {
    const look = (any: Uint8Array): void => {
      for (const start of [0, 14]) {
        const parsed = parseIp(any, start)
        if (parsed) expect(parsed.payload.length).toBeLessThanOrEqual(parsed.whole.length)
      }
    }
    const six = chain(0, [43, 0, 0, 0, 0, 0, 0, 0, 44, 0, 9, 0, 0, 0, 0, 0, 60, 0, 0, 1, 0, 0, 0, 1], 30)
    const four = build({ source: new Uint8Array(4), destination: new Uint8Array(4), protocol: 17 }, new Uint8Array(30))
    takesAnyBytes(look, fc.constantFrom(six, four), 94)
  })

  it('refuses what is shorter than it says, and IPv4 with a wrong checksum', () => {
    const four = build({ source: Uint8Array.of(10, 0, 2, 15), destination: Uint8Array.of(10, 0, 2, 1), protocol: 17 }, new Uint8Array(8))
    const six = chain(17, [], 8)
    for (const packet of [four, six]) {
      expect(parseIp(packet)).not.toBeNull()
      for (let length = 0; length < packet.length; length++) expect(parseIp(packet.subarray(0, length))).toBeNull()
    }
    for (let at = 0; at < IPV4_HEADER; at++) {
      const wrong = four.slice()
      wrong[at]! ^= 0x10
      expect(parseIp(wrong)).toBeNull()
    }
    expect(parseIp(Uint8Array.of(0x50, ...four.subarray(1)))).toBeNull()
  })

  it('passes over extension headers of IPv6, but not for ever, and reads no pieces', () => {
    // Hop by hop, routing of type 4, destination options; then TCP.
    const packet = parseIp(chain(0, [43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 4, 0, 0, 0, 0, 0, 6, 1, 1, 12, ...new Array<number>(12).fill(0)], 5))!
    expect(packet).toMatchObject({ protocol: 6, fragment: null })
    expect(packet.payload).toHaveLength(5)
    // A routing header of type 0 (RFC 5095).
    expect(parseIp(chain(43, [6, 0, 0, 0, 0, 0, 0, 0]))).toBeNull()
    const eight = Array.from({ length: 8 }, (_, nth) => [nth === 7 ? 17 : 60, 0, 1, 4, 0, 0, 0, 0]).flat()
    expect(parseIp(chain(60, eight))).toMatchObject({ protocol: 17 })
    expect(parseIp(chain(60, [60, 0, 1, 4, 0, 0, 0, 0, ...eight]))).toBeNull()
    // It says that it is longer than the packet.
    expect(parseIp(chain(60, [17, 9, 0, 0, 0, 0, 0, 0]))).toBeNull()
    // The first piece of what has destination options: they are read when it is whole.
    expect(parseIp(chain(44, [60, 0, 0, 1, 0xfe, 0xdc, 0xba, 0x98, 17, 0, 1, 4, 0, 0, 0, 0]))).toMatchObject({
      ...{ protocol: 60, fragment: { id: 0xfedcba98, offset: 0, more: true } },
    })
    expect(parseIp(chain(44, [17, 0, 5, 0xa8, 0, 0, 0, 7], 8))).toMatchObject({
      protocol: 17,
      fragment: { id: 7, offset: 1448, more: false },
    })
    // Whole, though it has the header (RFC 6946).
    expect(parseIp(chain(44, [17, 0, 0, 0, 0, 0, 0, 7], 8))).toMatchObject({ protocol: 17, fragment: null })
  })
})
