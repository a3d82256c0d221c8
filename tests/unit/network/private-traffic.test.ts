import { describe, expect, it } from 'vitest'
import { ARP } from '../../../src-main/network/codec/arp.ts'
import { formatMac, parseMac } from '../../../src-main/network/codec/ethernet.ts'
import { ICMP, ICMPV6 } from '../../../src-main/network/codec/icmp.ts'
import { PrivateTraffic } from '../../../src-main/network/private-traffic.ts'
import { buildDhcp, DHCP } from '../../../src-main/network/services/dhcp/codec.ts'
import { formatIp, parseSubnet, type IpAddress } from '../../../src-shared/model/ip.ts'
import { arpFrame, icmpFrame, udpFrame, type Ends } from '../../support/frames.ts'

const HIDDEN = '52:54:00:00:00:01'
const PEER = '52:54:00:00:00:02'
const ROUTER = '52:56:00:00:00:09'
const ALL = 'ff:ff:ff:ff:ff:ff'
const hidden: Ends = { from: '10.1.0.5', to: '10.2.0.7', fromMac: HIDDEN, toMac: ROUTER }
const hidden6: Ends = { ...hidden, from: 'fd01::5', to: 'fd02::7' }
/** As it is in the other network. */
const beyond = (ends: Ends): Ends => ({ ...ends, fromMac: ROUTER, toMac: PEER })
const turned = ({ from, to }: Ends): Ends => ({ from: to, to: from, fromMac: PEER, toMac: ROUTER })
const udp = (ends: Ends): Uint8Array => udpFrame(ends, 1000, 2000, 'x')

function setUp(ownerOf: (address: IpAddress) => number | null = () => null) {
  const traffic = new PrivateTraffic()
  const place = (...subnets: string[]) => ({
    subnets: subnets.map((text) => parseSubnet(text)!),
    ownerOf,
    isCard: (mac: number) => mac === parseMac(PEER),
    isMachine: (mac: number) => mac === parseMac(PEER),
  })
  traffic.set('far', { ...place('10.2.0.0/16', 'fd02::/64'), cards: [] })
  const near = place('10.1.0.0/16', 'fd01::/64')
  traffic.set('near', { ...near, cards: [parseMac(HIDDEN)] })
  return { traffic, near, sends: (frame: Uint8Array) => traffic.learn('near', parseMac(HIDDEN), frame) }
}

describe('a private machine', () => {
  it('is known by its card in its own network, and by its addresses in others, both ways', () => {
    const { traffic, sends, near } = setUp()
    expect(traffic.covers('near', udp(hidden))).toBe(true)
    expect(traffic.covers('near', udp({ ...hidden, fromMac: PEER, toMac: HIDDEN }))).toBe(true)
    for (const ends of [hidden, hidden6]) {
      expect(traffic.covers('far', udp(beyond(ends)))).toBe(false)
      sends(udp(ends))
      expect(traffic.covers('far', udp(beyond(ends)))).toBe(true)
      expect(traffic.covers('far', udp(turned(beyond(ends))))).toBe(true)
      expect(traffic.covers('far', udp({ ...beyond(ends), from: ends.from.replace('5', '6') }))).toBe(false)
    }
    traffic.set('near', { ...near, cards: [] })
    expect(traffic.covers('near', udp(hidden))).toBe(false)
    expect(traffic.covers('far', udp(beyond(hidden)))).toBe(false)
  })

  it('is known by its ARP, and tags hide nothing', () => {
    const { traffic, sends } = setUp()
    const tagged = (frame: Uint8Array): Uint8Array => Uint8Array.from([...frame.subarray(0, 12), 0x81, 0, 0, 0, ...frame.subarray(12)])
    sends(tagged(arpFrame({ ...hidden, to: '10.1.0.1', toMac: ALL }, ARP.request)))
    expect(traffic.covers('far', udp(beyond(hidden)))).toBe(true)
    expect(traffic.covers('far', tagged(udp(beyond(hidden))))).toBe(true)
  })

  it('is not told of by errors that quote it, nor by a lease that is for all to hear', () => {
    const { traffic, sends } = setUp()
    for (const [ends, type, from] of [
      [hidden, ICMP.unreachable, '10.2.0.254'],
      [hidden6, ICMPV6.unreachable, 'fd02::fe'],
    ] as const) {
      sends(udp(ends))
      const error = (quoted: Uint8Array): Uint8Array =>
        icmpFrame({ from, to: ends.to, fromMac: ROUTER, toMac: PEER }, { type, code: 1, body: quoted.subarray(14) })
      expect(traffic.covers('far', error(udp(turned(ends))))).toBe(true)
      expect(traffic.covers('far', error(udp({ ...turned(ends), to: ends.to })))).toBe(false)
    }
    const lease = (chaddr: string): Uint8Array => {
      const message = buildDhcp({ op: 'reply', xid: 1, chaddr: parseMac(chaddr), type: DHCP.ack, options: new Map() })
      return udpFrame({ from: '10.1.0.1', to: '255.255.255.255', fromMac: ROUTER, toMac: ALL }, 67, 68, message)
    }
    expect(traffic.covers('near', lease(HIDDEN))).toBe(true)
    expect(traffic.covers('near', lease(PEER))).toBe(false)
  })

  it('hides nobody by speaking in his name', () => {
    const { traffic, sends } = setUp((address) => (formatIp(address) === '10.1.0.6' ? parseMac(PEER) : null))
    sends(udp({ ...hidden, from: '10.1.0.6' }))
    sends(udp({ ...hidden, fromMac: PEER }))
    expect(traffic.covers('far', udp(beyond({ ...hidden, from: '10.1.0.6' })))).toBe(false)
    expect(traffic.covers('near', udp({ ...hidden, from: '10.1.0.6', fromMac: PEER }))).toBe(false)
    sends(udp(hidden))
    expect(traffic.covers('near', udp({ ...hidden, fromMac: PEER }))).toBe(false)
    expect(traffic.covers('near', udp({ ...hidden, fromMac: ROUTER }))).toBe(true)
    // Where another network has the same addresses, they are its own machines'.
    sends(udp({ ...hidden, from: '10.2.0.5' }))
    expect(traffic.covers('far', udp({ ...beyond(hidden), from: '10.2.0.5' }))).toBe(false)
  })

  it('hides nobody whose card is in another network, or is plugged in after it was spoken for', () => {
    const { traffic, sends, near } = setUp()
    const late = '52:54:00:00:00:07'
    sends(udp({ ...hidden, from: '10.1.0.8', fromMac: late }))
    expect(traffic.covers('near', udp({ ...hidden, from: '10.1.0.9', fromMac: late }))).toBe(true)
    expect(traffic.covers('far', udp({ ...hidden, from: '10.2.0.9', fromMac: late }))).toBe(false)
    traffic.set('near', { ...near, cards: [parseMac(HIDDEN)], isCard: (mac) => mac === parseMac(late) })
    sends(udp({ ...hidden, from: '10.1.0.8', fromMac: late }))
    expect(traffic.covers('near', udp({ ...hidden, from: '10.1.0.9', fromMac: late }))).toBe(false)
    expect(traffic.covers('near', udp(hidden))).toBe(true)
  })

  it('is known in the network that it moved to, and where two have one card, in both', () => {
    const { traffic, near } = setUp()
    const card = { ...near, cards: [parseMac(HIDDEN)] }
    traffic.set('third', { ...card, subnets: [parseSubnet('10.3.0.0/16')!] })
    traffic.learn('third', parseMac(HIDDEN), udp({ ...hidden, from: '10.3.0.5' }))
    traffic.set('near', { ...near, cards: [] })
    expect(traffic.covers('near', udp(hidden))).toBe(false)
    expect(traffic.covers('third', udp({ ...hidden, from: '10.3.0.5' }))).toBe(true)
    expect(traffic.covers('far', udp(beyond({ ...hidden, from: '10.3.0.5' })))).toBe(true)
    traffic.set('third', null)
    expect(traffic.covers('far', udp(beyond({ ...hidden, from: '10.3.0.5' })))).toBe(false)
    traffic.set('near', card)
    expect(traffic.covers('near', udp(hidden))).toBe(true)
  })

  it('covers the machines in it, and remembers so many', () => {
    const { traffic, sends } = setUp()
    const nested = (nth: number): string => formatMac(0x0200_0000_0000 + nth)
    const address = (nth: number): string => `10.1.${nth >> 8}.${nth & 255}`
    for (let nth = 0; nth < 1000; nth++) sends(udp({ ...hidden, from: address(nth), fromMac: nested(nth) }))
    const known = Array.from({ length: 1000 }, (_, nth) => nth)
    expect(known.filter((nth) => traffic.covers('near', udp({ ...hidden, from: '10.9.0.1', fromMac: nested(nth) }))).length).toBe(16)
    expect(known.filter((nth) => traffic.covers('far', udp(beyond({ ...hidden, from: address(nth) })))).length).toBe(64)
    expect(traffic.covers('near', udp(hidden))).toBe(true)
  })

  it('takes any bytes', () => {
    const { traffic, sends } = setUp()
    const frame = udp(hidden6)
    for (let length = 14; length < frame.length; length++) {
      sends(frame.subarray(0, length))
      traffic.covers('far', frame.subarray(0, length))
    }
  })
})
