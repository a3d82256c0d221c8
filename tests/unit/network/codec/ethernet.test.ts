import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ARP, buildArp, parseArp } from '../../../../src-main/network/codec/arp.ts'
import {
  BROADCAST,
  destinationOf,
  ethertypeOf,
  formatMac,
  isMulticast,
  macAt,
  parseMac,
  sourceOf,
  writeEthernet,
  writeMac,
} from '../../../../src-main/network/codec/ethernet.ts'
import { gatewayMac, macSchema, routerMac } from '../../../../src-shared/model/mac.ts'
import { takesAnyBytes } from '../../../support/any-bytes.ts'
import { byte, half, ipv4, mac } from './arbitrary.ts'

describe('MAC addresses', () => {
  it('are the same as number, text and bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), fc.nat(9), (six, at) => {
        const place = new Uint8Array(16)
        place.set(six, at)
        const number = macAt(place, at)
        expect(number).toBe(parseInt(Buffer.from(six).toString('hex'), 16))
        expect(formatMac(number)).toBe([...six].map((one) => one.toString(16).padStart(2, '0')).join(':'))
        expect(parseMac(formatMac(number))).toBe(number)
        const again = new Uint8Array(16)
        writeMac(again, at, number)
        expect(again).toEqual(place)
        expect(isMulticast(number)).toBe((six[0]! & 1) === 1)
      }),
    )
    expect(formatMac(BROADCAST)).toBe('ff:ff:ff:ff:ff:ff')
    expect(formatMac(1)).toBe('00:00:00:00:00:01')
  })

  it('of gateways and routers follow from their names, and are nobody’s own', () => {
    expect(gatewayMac('default')).toBe(gatewayMac('default'))
    const all = ['default', 'lab', 'lab-1', 'lab-2'].flatMap((name) => [gatewayMac(name), routerMac('r', name), routerMac('q', name)])
    expect(new Set(all).size).toBe(all.length)
    for (const one of all) {
      expect(macSchema.safeParse(one).success).toBe(true)
      // Locally administered, and not of the prefix that machines have.
      expect(parseInt(one.slice(0, 2), 16) & 2).toBe(2)
      expect(one.startsWith('52:54:00')).toBe(false)
    }
  })
})

describe('Ethernet', () => {
  it('reads back what was written', () => {
    fc.assert(
      fc.property(mac, mac, half, (destination, source, type) => {
        const frame = new Uint8Array(14)
        writeEthernet(frame, destination, source, type)
        expect([destinationOf(frame), sourceOf(frame), ethertypeOf(frame)]).toEqual([destination, source, type])
      }),
    )
  })
})

describe('ARP', () => {
  it('reads back what was built', () => {
    fc.assert(
      fc.property(mac, fc.record({ operation: half, senderMac: mac, senderIp: ipv4, targetMac: mac, targetIp: ipv4 }), (to, packet) => {
        const frame = buildArp(to, packet)
        expect([destinationOf(frame), sourceOf(frame), ethertypeOf(frame)]).toEqual([to, packet.senderMac, 0x0806])
        expect(parseArp(frame.subarray(14))).toEqual(packet)
      }),
    )
  })

  it('takes any bytes, and refuses what is not for IPv4 over Ethernet', () => {
    const packet = buildArp(BROADCAST, {
      ...{ operation: ARP.request, senderMac: 1, senderIp: Uint8Array.of(1, 2, 3, 4), targetMac: 0, targetIp: Uint8Array.of(1, 2, 3, 5) },
    }).subarray(14)
    takesAnyBytes(parseArp, fc.constant(packet), 60)
    expect(parseArp(packet)).not.toBeNull()
    expect(parseArp(packet.subarray(0, 27))).toBeNull()
    fc.assert(
      fc.property(fc.nat(5), byte, (at, value) => {
        const other = packet.slice()
        fc.pre(other[at] !== value)
        other[at] = value
        expect(parseArp(other)).toBeNull()
      }),
    )
  })
})
