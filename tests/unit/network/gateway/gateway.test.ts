import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { Gateway } from '../../../../src-main/network/gateway/gateway.ts'
import type { UdpReply, UdpRequest } from '../../../../src-main/network/gateway/udp-service.ts'
import { ARP, buildArp } from '../../../../src-main/network/codec/arp.ts'
import { BROADCAST, parseMac, writeEthernet } from '../../../../src-main/network/codec/ethernet.ts'
import {
  buildIcmp,
  ICMP,
  ICMPV6,
  ICMPV6_UNREACHABLE,
  ICMP_UNREACHABLE,
  parseIcmp,
  type IcmpMessage,
} from '../../../../src-main/network/codec/icmp.ts'
import { PROTOCOL, parseIp as parsePacket } from '../../../../src-main/network/codec/ip.ts'
import { buildNeighbour, type NeighbourMessage } from '../../../../src-main/network/codec/neighbour.ts'
import { buildUdp } from '../../../../src-main/network/codec/udp.ts'
import { linkLocalOf, multicastMac, solicitedNodeOf, ALL_NODES, ALL_ROUTERS } from '../../../../src-main/network/gateway/addresses.ts'
import { cutIpv4, cutIpv6 } from '../../../../src-main/network/gateway/fragments.ts'
import { Reassembly } from '../../../../src-main/network/gateway/reassembly.ts'
import { roomFor, type IncomingPacket } from '../../../../src-main/network/ip-output.ts'
import { parseIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { networkSchema } from '../../../../src-shared/model/network.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { ipFrame, NetworkBoard, packetFrame, type SeenFrame } from '../../../support/network-board.ts'

const ip = (text: string): IpAddress => parseIp(text)!
const GUEST = parseMac('52:54:00:00:00:0f')
const OTHER = parseMac('52:54:00:00:00:10')
const guest4 = ip('10.0.2.15')
const gateway4 = ip('10.0.2.1')
const guest6 = ip('fd00:2::15')
const gateway6 = ip('fd00:2::1')
const nobody6 = new Uint8Array(16)

function setUp(changes: object = {}, ownerOf: (address: IpAddress) => number | null = () => null) {
  const network = networkSchema.parse({ name: 'lab', ipv4: '10.0.2.0/24', ipv6: 'fd00:2::/64', ...changes })
  const board = new NetworkBoard()
  const clock = new FakeClock()
  const warnings: string[] = []
  const gateway = new Gateway({ network, board, clock, ownerOf, warn: (message) => warnings.push(message) })
  const outside: IncomingPacket[] = []
  gateway.outside = { receive: (packet) => outside.push({ ...packet, ...parsePacket(packet.whole.slice())! }) }
  board.take()
  const arp = (fields: Partial<Parameters<typeof buildArp>[1]>, to = BROADCAST): void =>
    board.give(buildArp(to, { operation: ARP.request, senderMac: GUEST, senderIp: guest4, targetMac: 0, targetIp: gateway4, ...fields }))
  const icmp = (source: IpAddress, destination: IpAddress, message: IcmpMessage, ttl = 64, to = gateway.mac): void => {
    const protocol = source.length === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6
    board.give(ipFrame(to, GUEST, { source, destination, protocol, ttl }, buildIcmp(source, destination, message)))
  }
  const discover = (source: IpAddress, destination: IpAddress, message: NeighbourMessage, ttl = 255): void =>
    icmp(source, destination, buildNeighbour(message), ttl, destination[0] === 0xff ? multicastMac(destination) : gateway.mac)
  const udp = (source: IpAddress, destination: IpAddress, ports: [number, number], payload: Uint8Array, to = gateway.mac): void =>
    board.give(
      ipFrame(
        to,
        GUEST,
        { source, destination, protocol: PROTOCOL.udp },
        buildUdp(source, destination, { sourcePort: ports[0], destinationPort: ports[1], payload }),
      ),
    )
  open.push(() => gateway.dispose())
  return { network, board, clock, gateway, outside, warnings, arp, icmp, discover, udp }
}

const open: (() => void)[] = []
afterEach(() => open.splice(0).forEach((close) => close()))

const one = (frames: SeenFrame[]): SeenFrame => {
  expect(frames).toHaveLength(1)
  return frames[0]!
}

describe('an address that is to be leased', () => {
  it('is used where another card answers for it within a tenth of a second', async () => {
    const { gateway, board, arp, clock } = setUp()
    const wanted = ip('10.0.2.40')
    const reply = (senderMac: number, senderIp: IpAddress): void => {
      const fields = { operation: ARP.reply, senderMac, senderIp, targetMac: gateway.mac, targetIp: gateway4 }
      board.give(buildArp(gateway.mac, fields))
    }
    const used = gateway.isUsed(wanted, GUEST)
    expect(board.take()).toMatchObject([{ destination: BROADCAST, arp: { operation: ARP.request, targetIp: wanted } }])
    reply(GUEST, wanted)
    reply(OTHER, ip('10.0.2.41'))
    reply(OTHER, wanted)
    expect(await used).toBe(true)
    const free = gateway.isUsed(wanted, OTHER)
    reply(OTHER, wanted)
    arp({ senderMac: GUEST, senderIp: new Uint8Array(4), targetIp: wanted })
    clock.advance(100)
    expect(await free).toBe(false)
  })
})

describe('ARP', () => {
  it('answers who asks for its address, and nobody else', () => {
    const { board, gateway, arp } = setUp()
    arp({})
    const { arp: reply, destination } = one(board.take())
    expect(destination).toBe(GUEST)
    expect(reply).toMatchObject({ operation: ARP.reply, senderMac: gateway.mac, senderIp: gateway4, targetMac: GUEST, targetIp: guest4 })
    arp({ targetIp: ip('10.0.2.9') })
    arp({ operation: ARP.reply })
    expect(board.take()).toEqual([])
  })

  it('answers a probe without learning from it', () => {
    const { board, gateway, arp } = setUp()
    arp({ senderIp: new Uint8Array(4) })
    expect(one(board.take()).arp).toMatchObject({ operation: ARP.reply, senderIp: gateway4, targetIp: new Uint8Array(4) })
    arp({ senderIp: new Uint8Array(4), targetIp: guest4 })
    expect(board.take()).toEqual([])
    gateway.output.send({ source: gateway4, destination: guest4, protocol: 17 }, new Uint8Array(20))
    expect(one(board.take()).arp).toMatchObject({ operation: ARP.request, targetIp: guest4 })
  })

  it('believes nobody about another card, and nothing from outside of the subnet', () => {
    const { board, gateway, arp } = setUp()
    arp({ senderMac: OTHER })
    // The frame's own sender is OTHER then: sent by GUEST's card it is a lie.
    const lie = buildArp(BROADCAST, {
      operation: ARP.request,
      senderMac: OTHER,
      senderIp: ip('10.0.2.20'),
      targetMac: 0,
      targetIp: gateway4,
    })
    lie.set([0x52, 0x54, 0, 0, 0, 0x0f], 6)
    board.take()
    board.give(lie)
    arp({ senderIp: ip('10.0.3.15') })
    expect(board.take()).toEqual([])
    expect(gateway.drops.spoofed).toBe(2)
  })

  it('follows an address to another card when that says so', () => {
    const { board, gateway, arp } = setUp()
    arp({})
    board.take()
    const card = (): number => {
      gateway.output.send({ source: gateway4, destination: guest4, protocol: 17 }, new Uint8Array(20))
      return one(board.take()).destination
    }
    expect(card()).toBe(GUEST)
    arp({ senderMac: OTHER, targetIp: guest4 })
    expect(card()).toBe(OTHER)
  })

  it('leaves an address to the card that it is leased to, whatever another says', () => {
    const { board, gateway, arp } = setUp({}, () => GUEST)
    arp({ senderMac: OTHER, targetIp: guest4 })
    arp({})
    board.take()
    arp({ senderMac: OTHER, targetIp: guest4 })
    gateway.output.send({ source: gateway4, destination: guest4, protocol: 17 }, new Uint8Array(20))
    expect(one(board.take()).destination).toBe(GUEST)
  })

  it('defends its address, and tells of it, but not without end', () => {
    const { board, gateway, arp, warnings, clock } = setUp()
    for (let nth = 0; nth < 5; nth++) arp({ senderIp: gateway4 })
    expect(one(board.take())).toMatchObject({
      destination: BROADCAST,
      arp: { senderMac: gateway.mac, senderIp: gateway4, targetIp: gateway4 },
    })
    expect(warnings).toEqual(['Gateway of “lab”: The card 52:54:00:00:00:0f uses the address 10.0.2.1 as well.'])
    clock.advance(10_000)
    arp({ senderIp: gateway4 })
    expect(board.take()).toHaveLength(1)
  })

  it('asks three times for who it does not know, and sends what waited when it is told', () => {
    const { board, gateway, arp, clock } = setUp()
    const send = (mark: number): boolean =>
      gateway.output.send({ source: gateway4, destination: guest4, protocol: 17 }, new Uint8Array(20).fill(mark))
    expect([1, 2, 3, 4, 5].map(send)).toEqual([true, true, true, true, false])
    expect(one(board.take())).toMatchObject({ destination: BROADCAST, arp: { operation: ARP.request, targetIp: guest4 } })
    clock.advance(2500)
    expect(board.take()).toHaveLength(2)
    arp({ operation: ARP.reply, targetMac: gateway.mac }, gateway.mac)
    expect(board.take().map(({ ip: packet, destination }) => [packet!.payload[0], destination])).toEqual(
      [1, 2, 3, 4].map((mark) => [mark, GUEST]),
    )
    expect(gateway.drops.unresolved).toBe(1)
    // Nobody answers: what waited is lost, and it is asked anew.
    const away = ip('10.0.2.99')
    gateway.output.send({ source: gateway4, destination: away, protocol: 17 }, new Uint8Array(20))
    clock.advance(10_000)
    expect(board.take()).toHaveLength(3)
    gateway.output.send({ source: gateway4, destination: away, protocol: 17 }, new Uint8Array(20))
    expect(board.take()).toHaveLength(1)
  })

  it('looks after neighbours that it sends to and that are silent, and forgets them; idle, it does nothing', () => {
    const { board, gateway, arp, clock } = setUp({ ipv6: null })
    arp({})
    board.take()
    clock.advance(29_000)
    gateway.output.send({ source: gateway4, destination: guest4, protocol: 17 }, new Uint8Array(20))
    clock.advance(1000)
    board.take()
    gateway.output.send({ source: gateway4, destination: guest4, protocol: 17 }, new Uint8Array(20))
    board.take()
    clock.advance(30_000)
    expect(one(board.take())).toMatchObject({ destination: GUEST, arp: { operation: ARP.request, targetIp: guest4 } })
    // It answers: it stays.
    arp({ operation: ARP.reply }, gateway.mac)
    clock.advance(30_000)
    gateway.output.send({ source: gateway4, destination: guest4, protocol: 17 }, new Uint8Array(20))
    expect(one(board.take()).destination).toBe(GUEST)
    clock.advance(30_000)
    expect(board.take()).toHaveLength(1)
    // It does not.
    clock.advance(30_000)
    gateway.output.send({ source: gateway4, destination: guest4, protocol: 17 }, new Uint8Array(20))
    expect(one(board.take()).arp).toMatchObject({ operation: ARP.request })
    clock.advance(15 * 60_000)
    board.take()
    expect(clock.waiting).toBe(0)
  })
})

describe('neighbour discovery', () => {
  const solicit = (target: IpAddress, mac: number | null = GUEST): NeighbourMessage => ({
    ...{ kind: 'neighbour-solicitation', target, options: mac === null ? [] : [{ kind: 'source-mac', mac }] },
  })

  it('answers for both of its addresses', () => {
    const { board, discover, gateway } = setUp()
    for (const target of [gateway6, linkLocalOf(gateway.mac)]) {
      discover(guest6, solicitedNodeOf(target), solicit(target))
      const seen = one(board.take())
      expect(seen).toMatchObject({ destination: GUEST, ip: { source: target, destination: guest6, ttl: 255 } })
      const options = [{ kind: 'target-mac', mac: gateway.mac }]
      expect(seen.neighbour).toEqual({ kind: 'neighbour-advertisement', target, router: true, solicited: true, override: true, options })
    }
    // Asked by one alone whether it is still there (RFC 4861, 7.3.3), without an option.
    discover(guest6, gateway6, solicit(gateway6, null))
    expect(one(board.take()).neighbour).toMatchObject({ solicited: true })
    discover(guest6, solicitedNodeOf(guest6), solicit(ip('fd00:2::99')))
    expect(board.take()).toEqual([])
  })

  it('tells all who looks whether the address is free', () => {
    const { board, discover } = setUp()
    discover(nobody6, solicitedNodeOf(gateway6), solicit(gateway6, null))
    const seen = one(board.take())
    expect(seen).toMatchObject({ destination: multicastMac(ALL_NODES), ip: { destination: ALL_NODES } })
    expect(seen.neighbour).toMatchObject({ kind: 'neighbour-advertisement', solicited: false, override: true })
  })

  it('does not believe what came over a router, has a wrong checksum or another card in it', () => {
    const { board, discover, gateway } = setUp()
    discover(guest6, solicitedNodeOf(gateway6), solicit(gateway6), 254)
    discover(guest6, solicitedNodeOf(gateway6), solicit(gateway6, OTHER))
    discover(nobody6, solicitedNodeOf(gateway6), solicit(gateway6, GUEST))
    const message = buildIcmp(guest6, gateway6, buildNeighbour(solicit(gateway6)))
    message[3]! ^= 1
    board.give(ipFrame(gateway.mac, GUEST, { source: guest6, destination: gateway6, protocol: PROTOCOL.icmpv6, ttl: 255 }, message))
    expect(board.take()).toEqual([])
    expect(gateway.drops).toMatchObject({ malformed: 2, spoofed: 2 })
  })

  it('asks for who it does not know, and defends its address', () => {
    const { board, discover, gateway, warnings } = setUp()
    gateway.output.send({ source: gateway6, destination: guest6, protocol: 17 }, new Uint8Array(20).fill(7))
    const asked = one(board.take())
    const group = solicitedNodeOf(guest6)
    expect(asked).toMatchObject({
      destination: multicastMac(group),
      ip: { source: linkLocalOf(gateway.mac), destination: group, ttl: 255 },
    })
    expect(asked.neighbour).toEqual(solicit(guest6, gateway.mac))
    const answer = { kind: 'neighbour-advertisement', router: false, solicited: true, override: true } as const
    discover(guest6, linkLocalOf(gateway.mac), { ...answer, target: guest6, options: [{ kind: 'target-mac', mac: GUEST }] })
    expect(one(board.take())).toMatchObject({ destination: GUEST, ip: { payload: new Uint8Array(20).fill(7) } })
    discover(guest6, ALL_NODES, { ...answer, solicited: false, target: gateway6, options: [{ kind: 'target-mac', mac: GUEST }] })
    expect(one(board.take()).neighbour).toMatchObject({ kind: 'neighbour-advertisement', target: gateway6, override: true })
    expect(warnings).toHaveLength(1)
  })
})

describe('router advertisements', () => {
  const solicitation: NeighbourMessage = { kind: 'router-solicitation', options: [] }

  it('has prefix, MTU, name server and domain, for who asks', () => {
    const { board, discover, gateway } = setUp({ mtu: 9000, dns: { domain: 'lab.test' } })
    discover(nobody6, ALL_ROUTERS, solicitation)
    const seen = one(board.take())
    expect(seen).toMatchObject({ destination: GUEST, ip: { source: linkLocalOf(gateway.mac), destination: ALL_NODES, ttl: 255 } })
    const [valid, preferred] = [86_400, 14_400]
    expect(seen.neighbour).toEqual({
      ...{ kind: 'router-advertisement', hopLimit: 64, managed: false, other: true, preference: 'medium' },
      ...{ lifetime: 9000, reachable: 0, retransmit: 0 },
      options: [
        { kind: 'source-mac', mac: gateway.mac },
        { kind: 'mtu', mtu: 9000 },
        { kind: 'prefix', address: ip('fd00:2::'), prefix: 64, onLink: true, autonomous: true, valid, preferred },
        { kind: 'servers', lifetime: 9000, addresses: [gateway6] },
        { kind: 'domains', lifetime: 9000, names: ['lab.test'] },
      ],
    })
  })

  it('is no way outside where it has none', () => {
    const { board, discover } = setUp({ kind: 'host-only', dns: { enabled: false } })
    discover(guest6, ALL_ROUTERS, solicitation)
    expect(one(board.take()).neighbour).toMatchObject({ lifetime: 0, other: false })
  })

  it('comes every few minutes while somebody is there, at once after a silence, and at the end', () => {
    const { board, arp, clock, gateway, network } = setUp()
    const advertised = (): number => board.take().filter(({ neighbour }) => neighbour?.kind === 'router-advertisement').length
    arp({})
    clock.advance(300_000)
    expect(advertised()).toBe(1)
    clock.advance(3_600_000)
    expect(advertised()).toBe(0)
    expect(clock.waiting).toBe(0)
    arp({})
    expect(advertised()).toBe(1)
    gateway.update({ ...network, mtu: 1400 })
    expect(advertised()).toBe(1)
    // Nothing new.
    gateway.update({ ...network, mtu: 1400 })
    gateway.setRoutes({ routes: [], relays: [] })
    expect(advertised()).toBe(0)
    gateway.dispose()
    expect(board.take().at(-1)!.neighbour).toMatchObject({ lifetime: 0 })
  })
})

describe('echo', () => {
  const body = new Uint8Array(56).fill(7)

  it('is answered on its own addresses', () => {
    const { board, icmp, gateway } = setUp()
    icmp(guest4, gateway4, { type: ICMP.echoRequest, code: 0, rest: 0x1234_0001, body })
    const four = one(board.take())
    expect(four).toMatchObject({ destination: GUEST, ip: { source: gateway4, destination: guest4, ttl: 64 } })
    expect(four.icmp).toMatchObject({ type: ICMP.echoReply, rest: 0x1234_0001, body })
    for (const own of [gateway6, linkLocalOf(gateway.mac)]) {
      icmp(guest6, own, { type: ICMPV6.echoRequest, code: 0, rest: 5, body })
      const six = one(board.take())
      expect(six.ip).toMatchObject({ source: own, destination: guest6 })
      expect(six.icmp).toMatchObject({ type: ICMPV6.echoReply, rest: 5, body })
    }
    const local = linkLocalOf(GUEST)
    icmp(local, ALL_NODES, { type: ICMPV6.echoRequest, code: 0, rest: 5, body }, 1, multicastMac(ALL_NODES))
    expect(one(board.take()).ip).toMatchObject({ source: linkLocalOf(gateway.mac), destination: local })
  })

  it('is answered in pieces where it came in pieces', () => {
    for (const [source, destination] of [
      [guest4, gateway4],
      [guest6, gateway6],
    ] as const) {
      const { board, clock, gateway } = setUp()
      const four = source.length === 4
      const big = Uint8Array.from({ length: 5000 }, (_, at) => at)
      const request = { type: four ? ICMP.echoRequest : ICMPV6.echoRequest, code: 0, rest: 9, body: big }
      const protocol = four ? PROTOCOL.icmp : PROTOCOL.icmpv6
      const whole = ipFrame(0, 0, { source, destination, protocol, flags: 0, id: 77 }, buildIcmp(source, destination, request)).subarray(14)
      const pieces = four ? cutIpv4(whole, 1500) : cutIpv6(whole, 1500, 77)
      for (const piece of pieces.reverse()) board.give(packetFrame(gateway.mac, GUEST, piece))
      const reassembly = new Reassembly(
        clock,
        (mac) => mac,
        () => {},
      )
      const replies = board.take()
      expect(replies).toHaveLength(4)
      expect(replies.every(({ ip: piece }) => piece!.whole.length <= 1500)).toBe(true)
      const reply = replies.map(({ ip: piece }) => reassembly.add({ ...piece!, sourceMac: gateway.mac })).at(-1)!
      expect(parseIcmp(reply)).toMatchObject({ type: four ? ICMP.echoReply : ICMPV6.echoReply, rest: 9, body: big })
    }
  })

  it('is not answered for somebody else, for all, or with a wrong checksum', () => {
    const { board, icmp, gateway, outside } = setUp()
    const request = { type: ICMP.echoRequest, code: 0, rest: 1, body }
    icmp(guest4, ip('10.0.2.255'), request, 64, BROADCAST)
    icmp(guest4, ip('255.255.255.255'), request, 64, BROADCAST)
    icmp(guest4, gateway4, request, 64, OTHER)
    const broken = buildIcmp(guest4, gateway4, request)
    broken[10]! ^= 1
    board.give(ipFrame(gateway.mac, GUEST, { source: guest4, destination: gateway4, protocol: PROTOCOL.icmp }, broken))
    expect(board.take()).toEqual([])
    // What is outside is for NAT.
    icmp(guest4, ip('192.0.2.1'), request)
    expect(outside).toMatchObject([{ destination: ip('192.0.2.1'), protocol: PROTOCOL.icmp, sourceMac: GUEST }])
  })
})

describe('what it takes and what it refuses', () => {
  it('drops sources that cannot be, and counts them', () => {
    const { board, udp, gateway, outside } = setUp()
    const spoofed = ['10.0.3.15', '192.0.2.1', '10.0.2.1', '10.0.2.0', '10.0.2.255', '255.255.255.255', '224.0.0.1', '127.0.0.1', '0.0.0.0']
    for (const source of spoofed) udp(ip(source), ip('198.51.100.1'), [1000, 53], new Uint8Array(4))
    const spoofed6 = ['fd00:3::15', '2001:db8::1', 'fd00:2::1', 'ff02::1', '::1', '::']
    for (const source of spoofed6) udp(ip(source), ip('2001:db8::2'), [1000, 53], new Uint8Array(4))
    expect(outside).toEqual([])
    expect(board.take()).toEqual([])
    expect(gateway.drops.spoofed).toBe(spoofed.length + spoofed6.length)
    udp(guest4, ip('198.51.100.1'), [1000, 53], new Uint8Array(4))
    udp(guest6, ip('2001:db8::2'), [1000, 53], new Uint8Array(4))
    expect(outside).toHaveLength(2)
  })

  it('does not let neighbours past the policy, and link-local addresses not out', () => {
    const { board, udp, outside } = setUp()
    udp(guest4, ip('10.0.2.16'), [1000, 53], new Uint8Array(4))
    expect(one(board.take()).icmp).toMatchObject({ type: ICMP.unreachable, code: ICMP_UNREACHABLE.prohibited })
    udp(linkLocalOf(GUEST), ip('2001:db8::2'), [1000, 53], new Uint8Array(4))
    udp(guest6, linkLocalOf(OTHER), [1000, 53], new Uint8Array(4))
    expect(board.take()).toEqual([])
    expect(outside).toEqual([])
  })

  it('refuses what has no hop left, what it does not know, and what nobody listens for', () => {
    const { board, gateway, outside } = setUp()
    const give = (destination: string, protocol: number, ttl = 64): SeenFrame[] => {
      const to = ip(destination)
      const source = to.length === 4 ? guest4 : guest6
      board.give(
        ipFrame(gateway.mac, GUEST, { source, destination: to, protocol, ttl }, Uint8Array.of(0x12, 0x34, 0, 99, 0, 12, 0, 0, 1, 2, 3, 4)),
      )
      return board.take()
    }
    expect(one(give('192.0.2.1', 17, 1)).icmp).toMatchObject({ type: ICMP.timeExceeded, code: 0 })
    expect(one(give('2001:db8::1', 17, 1)).icmp).toMatchObject({ type: ICMPV6.timeExceeded, code: 0 })
    expect(one(give('10.0.2.1', 47)).icmp).toMatchObject({ type: ICMP.unreachable, code: ICMP_UNREACHABLE.protocol })
    expect(one(give('fd00:2::1', 47)).icmp).toMatchObject({ type: ICMPV6.parameterProblem, code: 1, rest: 6 })
    expect(outside).toEqual([])
    // With NAT, that says whether it listens.
    expect(give('10.0.2.1', 17)).toEqual([])
    expect(outside).toHaveLength(1)
    gateway.outside = null
    for (const protocol of [6, 17]) expect(one(give('10.0.2.1', protocol)).icmp).toMatchObject({ code: ICMP_UNREACHABLE.port })
    expect(one(give('fd00:2::1', 17)).icmp).toMatchObject({ type: ICMPV6.unreachable, code: ICMPV6_UNREACHABLE.port })
    const error = one(give('192.0.2.1', 6))
    expect(error.icmp).toMatchObject({ type: ICMP.unreachable, code: ICMP_UNREACHABLE.network })
    // It quotes the packet, header included.
    expect(parsePacket(error.icmp!.body)).toMatchObject({ source: guest4, destination: ip('192.0.2.1'), protocol: 6 })
  })

  it('tells no errors about errors, broadcasts and later pieces, and not without end', () => {
    const { board, gateway, icmp, udp, clock } = setUp()
    gateway.outside = null
    icmp(guest4, ip('192.0.2.1'), { type: ICMP.unreachable, code: 3, rest: 0, body: new Uint8Array(28) })
    icmp(guest6, ip('2001:db8::1'), { type: ICMPV6.packetTooBig, code: 0, rest: 1280, body: new Uint8Array(48) })
    udp(guest4, ip('10.0.2.255'), [1, 2], new Uint8Array(4), BROADCAST)
    udp(guest6, ALL_NODES, [1, 2], new Uint8Array(4), multicastMac(ALL_NODES))
    expect(board.take()).toEqual([])
    for (let nth = 0; nth < 1000; nth++) udp(guest4, ip('192.0.2.1'), [1, 2], new Uint8Array(4))
    expect(board.take()).toHaveLength(100)
    clock.advance(1000)
    for (let nth = 0; nth < 1000; nth++) udp(guest4, ip('192.0.2.1'), [1, 2], new Uint8Array(4))
    expect(board.take()).toHaveLength(100)
  })

  it('hands on what came in pieces as a whole, and tells when one is missing', () => {
    const { board, gateway, outside, clock } = setUp()
    const payload = buildUdp(guest4, ip('192.0.2.1'), { sourcePort: 1, destinationPort: 2, payload: new Uint8Array(3000).fill(3) })
    const whole = (id: number): Uint8Array =>
      ipFrame(0, 0, { source: guest4, destination: ip('192.0.2.1'), protocol: 17, flags: 0, id }, payload).subarray(14)
    for (const piece of cutIpv4(whole(1), 576)) board.give(packetFrame(gateway.mac, GUEST, piece))
    expect(outside).toMatchObject([{ fragment: null, protocol: 17, payload, sourceMac: GUEST }])
    for (const piece of cutIpv4(whole(2), 576).slice(0, -1)) board.give(packetFrame(gateway.mac, GUEST, piece))
    clock.advance(29_000)
    expect(board.take()).toEqual([])
    clock.advance(1000)
    expect(board.take().find(({ icmp }) => icmp)!.icmp).toMatchObject({ type: ICMP.timeExceeded, code: 1 })
  })

  it('takes any bytes at all', () => {
    const { board, gateway, arp } = setUp()
    arp({})
    const seeds = fc.oneof(
      fc.uint8Array({ maxLength: 120 }),
      fc
        .tuple(fc.constantFrom(0x0800, 0x0806, 0x86dd), fc.constantFrom(gateway.mac, BROADCAST), fc.uint8Array({ maxLength: 200 }))
        .map(([type, to, body]) => {
          const frame = new Uint8Array(14 + body.length)
          writeEthernet(frame, to, GUEST, type)
          frame.set(body, 14)
          return frame
        }),
      // Right in the beginning.
      fc
        .tuple(fc.boolean(), fc.nat(255), fc.uint8Array({ maxLength: 100 }))
        .map(([four, protocol, body]) =>
          ipFrame(
            gateway.mac,
            GUEST,
            { source: four ? guest4 : guest6, destination: four ? gateway4 : gateway6, protocol, ttl: 255 },
            body,
          ),
        ),
    )
    fc.assert(fc.property(seeds, (frame) => board.give(frame)))
    arp({})
    expect(board.take().at(-1)!.arp).not.toBeNull()
  })
})

describe('its services', () => {
  const service = (port: number) => {
    const requests: [UdpRequest, UdpReply][] = []
    return {
      port,
      requests,
      receive: (request: UdpRequest, reply: UdpReply) => requests.push([{ ...request, payload: request.payload.slice() }, reply]),
    }
  }

  it('get what is for their port, and answer from the address that was asked', () => {
    const { board, udp, gateway, outside } = setUp()
    const dns = service(53)
    const listening = gateway.udp.listen(dns)
    for (const [source, destination] of [
      [guest4, gateway4],
      [guest6, gateway6],
      [linkLocalOf(GUEST), linkLocalOf(gateway.mac)],
    ] as const) {
      udp(source, destination, [1000, 53], Uint8Array.of(1, 2, 3))
      const [request, reply] = dns.requests.pop()!
      expect(request).toEqual({
        source,
        sourcePort: 1000,
        destination,
        destinationPort: 53,
        payload: Uint8Array.of(1, 2, 3),
        sourceMac: GUEST,
      })
      // As often as it likes.
      reply(Uint8Array.of(4))
      reply(Uint8Array.of(5), { sourcePort: 2000 })
      expect(board.take()).toMatchObject([
        {
          destination: GUEST,
          ip: { source: destination, destination: source },
          udp: { sourcePort: 53, destinationPort: 1000, payload: Uint8Array.of(4) },
        },
        { udp: { sourcePort: 2000, payload: Uint8Array.of(5) } },
      ])
    }
    expect(() => gateway.udp.listen(dns)).toThrow('taken')
    listening.dispose()
    udp(guest4, gateway4, [1000, 53], Uint8Array.of(1))
    expect(dns.requests).toEqual([])
    expect(outside).toHaveLength(1)
  })

  it('hear who has no address yet, and answer it or all', () => {
    const { board, udp, gateway } = setUp()
    const dhcp = service(67)
    open.push(() => listening.dispose())
    const listening = gateway.udp.listen(dhcp)
    udp(new Uint8Array(4), ip('255.255.255.255'), [68, 67], Uint8Array.of(1), BROADCAST)
    const [request, reply] = dhcp.requests.pop()!
    expect(request.source).toEqual(new Uint8Array(4))
    reply(Uint8Array.of(2), { destination: ip('10.0.2.40'), toMac: GUEST })
    reply(Uint8Array.of(3), { destination: ip('255.255.255.255') })
    expect(board.take()).toMatchObject([
      { destination: GUEST, ip: { source: gateway4, destination: ip('10.0.2.40') }, udp: { sourcePort: 67, destinationPort: 68 } },
      { destination: BROADCAST, ip: { source: gateway4, destination: ip('255.255.255.255') } },
    ])
    const dhcp6 = service(547)
    const listening6 = gateway.udp.listen(dhcp6)
    open.push(() => listening6.dispose())
    const servers = ip('ff02::1:2')
    udp(linkLocalOf(GUEST), servers, [546, 547], Uint8Array.of(1), multicastMac(servers))
    dhcp6.requests.pop()![1](Uint8Array.of(9))
    expect(one(board.take())).toMatchObject({
      destination: GUEST,
      ip: { source: linkLocalOf(gateway.mac), destination: linkLocalOf(GUEST) },
    })
  })

  it('hear no datagram with a wrong checksum', () => {
    const { board, gateway } = setUp()
    const dns = service(53)
    const listening = gateway.udp.listen(dns)
    open.push(() => listening.dispose())
    const datagram = buildUdp(guest4, gateway4, { sourcePort: 1, destinationPort: 53, payload: Uint8Array.of(1) })
    datagram[7]! ^= 1
    board.give(ipFrame(gateway.mac, GUEST, { source: guest4, destination: gateway4, protocol: 17 }, datagram))
    expect(dns.requests).toEqual([])
    expect(gateway.drops.malformed).toBe(1)
  })
})

describe('the output of IP', () => {
  const outside4 = ip('192.0.2.1')

  it('writes headers in front of a payload that has room, and copies one that has not', () => {
    const { board, gateway } = setUp()
    const send = (payload: Uint8Array): Uint8Array => {
      expect(gateway.output.send({ source: outside4, destination: guest4, protocol: 6, ttl: 33, trafficClass: 2 }, payload, GUEST)).toBe(
        true,
      )
      const seen = one(board.take())
      expect(seen).toMatchObject({
        source: gateway.mac,
        destination: GUEST,
        ip: { source: outside4, destination: guest4, ttl: 33, trafficClass: 2 },
      })
      return seen.ip!.payload.slice()
    }
    let buffer: ArrayBufferLike | null = null
    board.onFrame = (frame) => (buffer = frame.buffer)
    const room = roomFor(100)
    room.fill(1)
    expect(send(room)).toEqual(room)
    expect(buffer).toBe(room.buffer)
    expect(send(room.subarray(0, 50))).toEqual(room.subarray(0, 50))
    expect(send(room)).toEqual(new Uint8Array(100).fill(1))
    // A view far into a buffer that is somebody's: what stands before it stays.
    const theirs = new Uint8Array(300).fill(9)
    expect(send(theirs.subarray(200))).toEqual(theirs.subarray(200))
    expect(buffer).not.toBe(theirs.buffer)
    expect(theirs).toEqual(new Uint8Array(300).fill(9))
  })

  it('does not overwrite a frame that still passes', () => {
    const { board, gateway } = setUp()
    const header = { source: outside4, destination: guest4, protocol: 17 }
    let first = true
    let after: Uint8Array | null = null
    board.onFrame = (frame) => {
      if (!first) return
      first = false
      gateway.output.send(header, new Uint8Array(40).fill(2), GUEST)
      after = frame.slice()
    }
    gateway.output.send(header, new Uint8Array(40).fill(1), GUEST)
    expect(after!.subarray(34)).toEqual(new Uint8Array(40).fill(1))
  })

  it('cuts in pieces, maps groups to cards, and says when there is no room or no way', () => {
    const { board, gateway } = setUp()
    expect(gateway.output.mtu).toBe(1500)
    expect(gateway.output.send({ source: outside4, destination: guest4, protocol: 17 }, new Uint8Array(4000), GUEST)).toBe(true)
    expect(board.take().map(({ ip: packet }) => packet!.fragment?.offset)).toEqual([0, 1480, 2960])
    expect(gateway.output.send({ source: outside4, destination: guest4, protocol: 17 }, new Uint8Array(65_516), GUEST)).toBe(false)
    gateway.output.send({ source: gateway4, destination: ip('224.0.0.251'), protocol: 17 }, new Uint8Array(4))
    gateway.output.send({ source: gateway6, destination: ip('ff02::fb'), protocol: 17 }, new Uint8Array(4))
    gateway.output.send({ source: gateway4, destination: ip('10.0.2.255'), protocol: 17 }, new Uint8Array(4))
    expect(board.take().map(({ destination }) => destination)).toEqual([0x0100_5e00_00fb, 0x3333_0000_00fb, BROADCAST])
    expect(gateway.output.send({ source: outside4, destination: ip('192.0.2.9'), protocol: 17 }, new Uint8Array(4))).toBe(false)
    expect(gateway.drops.unroutable).toBe(1)
    board.room = false
    expect(gateway.output.send({ source: outside4, destination: guest4, protocol: 17 }, new Uint8Array(4), GUEST)).toBe(false)
    board.room = true
  })

  it('tells which addresses a card has', () => {
    const { gateway, udp, arp } = setUp()
    arp({})
    udp(guest6, gateway6, [1, 2], new Uint8Array(4))
    udp(linkLocalOf(GUEST), linkLocalOf(gateway.mac), [1, 2], new Uint8Array(4))
    expect(new Set(gateway.addressesOf(GUEST))).toEqual(new Set([guest4, guest6, linkLocalOf(GUEST)]))
    expect(gateway.addressesOf(OTHER)).toEqual([])
  })

  it('leaves nothing behind', () => {
    const { board, gateway, clock, arp } = setUp()
    arp({})
    gateway.output.send({ source: gateway4, destination: ip('10.0.2.50'), protocol: 17 }, new Uint8Array(4))
    gateway.dispose()
    expect(board.plugged).toBe(false)
    expect(clock.waiting).toBe(0)
  })
})
