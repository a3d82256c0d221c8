import { afterEach, describe, expect, it } from 'vitest'
import { foldSum, sumWords } from '../../../../src-main/network/codec/checksum.ts'
import { buildIcmp, ICMP, ICMPV6, ICMP_UNREACHABLE, ICMPV6_UNREACHABLE } from '../../../../src-main/network/codec/icmp.ts'
import { formatMac, parseMac } from '../../../../src-main/network/codec/ethernet.ts'
import { PROTOCOL } from '../../../../src-main/network/codec/ip.ts'
import { writeTcp } from '../../../../src-main/network/codec/tcp.ts'
import { buildNeighbour } from '../../../../src-main/network/codec/neighbour.ts'
import { ALL_ROUTERS, multicastMac } from '../../../../src-main/network/gateway/addresses.ts'
import { Gateway } from '../../../../src-main/network/gateway/gateway.ts'
import { Reassembly } from '../../../../src-main/network/gateway/reassembly.ts'
import type { IncomingPacket } from '../../../../src-main/network/ip-output.ts'
import { tooBigOf } from '../../../../src-main/network/nat/tcp/path-mtu.ts'
import { planRoutes } from '../../../../src-main/network/routers/plan-routes.ts'
import { Routers } from '../../../../src-main/network/routers/routers.ts'
import { Switch } from '../../../../src-main/network/switch/switch.ts'
import { gatewayMac, routerMac } from '../../../../src-shared/model/mac.ts'
import { formatIp, formatSubnet, inSubnet, parseIp, parseSubnet } from '../../../../src-shared/model/ip.ts'
import { hasGateway, networkSchema, routerSchema } from '../../../../src-shared/model/network.ts'
import { interfacesOf, learningOf } from '../../../../src-shared/model/router-interfaces.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { ipFrame, type SeenFrame } from '../../../support/network-board.ts'
import { NetworkStation } from '../../../support/network-station.ts'
import { seeded } from '../../../support/seeded.ts'

const net = (name: string, kind: string, nth: number, changes: object = {}) =>
  networkSchema.parse({ name, kind, ipv4: `10.0.${nth}.0/24`, ipv6: `fd00:${nth}::/64`, ...changes })
const quiet = { dhcp: { enabled: false }, dns: { enabled: false }, ntp: false }
const router = (name: string, ...nths: [string, number, number?][]) =>
  routerSchema.parse({
    name,
    interfaces: nths.map(([network, nth, host = 254]) => ({
      network,
      ipv4: `10.0.${nth}.${host}`,
      ipv6: `fd00:${nth}::${host}`,
    })),
  })
const routerCard = (name: string, network: string): number => parseMac(routerMac(name, network))

/** As a station pings. */
function pingFrame(one: NetworkStation, via: number, destination: Uint8Array, bytes: number): Uint8Array {
  const four = destination.length === 4
  const message = { type: four ? ICMP.echoRequest : ICMPV6.echoRequest, code: 0, rest: 1, body: new Uint8Array(bytes) }
  const protocol = four ? PROTOCOL.icmp : PROTOCOL.icmpv6
  return ipFrame(via, one.mac, { source: one.ip, destination, protocol }, buildIcmp(one.ip, destination, message))
}

/** A right checksum, so that what is behind it is reached. */
function mendIpv4(frame: Uint8Array): void {
  const end = Math.min(frame.length, 14 + Math.max(20, (frame[14]! & 15) * 4))
  frame[24] = frame[25] = 0
  const sum = foldSum(sumWords(frame, 14, end))
  frame[24] = sum >> 8
  frame[25] = sum & 255
}

const open: (() => void)[] = []
afterEach(() =>
  open
    .splice(0)
    .reverse()
    .forEach((close) => close()),
)

function setUp(networks: ReturnType<typeof net>[], routers: ReturnType<typeof router>[]) {
  const clock = new FakeClock()
  const plan = planRoutes(networks, routers)
  const boards = new Map(networks.map(({ name }) => [name, new Switch(clock)]))
  const warn = (): void => {}
  const outside: IncomingPacket[] = []
  const gateways = networks.flatMap((network) => {
    if (!hasGateway(network)) return []
    const gateway = new Gateway({ network, board: boards.get(network.name)!, clock, warn })
    gateway.setRoutes(plan.networks.get(network.name)!)
    gateway.outside = { receive: (packet) => outside.push({ ...packet, source: packet.source.slice() }) }
    open.push(() => gateway.dispose())
    return [[network.name, gateway] as const]
  })
  const all = new Routers({ clock, warn })
  open.push(() => all.dispose())
  all.configure(plan.routers, (name) => boards.get(name)!)
  const station = (network: string, address: string, nth = 1): NetworkStation =>
    new NetworkStation(boards.get(network)!, `m${nth}/nic0`, parseMac('52:54:00:00:00:00') + nth, address)
  return { clock, plan, boards, gateways: new Map(gateways), outside, all, station }
}

describe('the plan', () => {
  const text = (routes: readonly { subnet: Parameters<typeof formatSubnet>[0]; address: Uint8Array }[]): string[] =>
    routes
      .map(({ subnet, address }) => `${formatSubnet(subnet)} via ${formatIp(address)}`)
      .filter((line) => !line.includes('fd00') && !line.includes('::'))

  it('leads over the fewest routers to each subnet, and from segments outside', () => {
    const networks = [net('a', 'nat', 1), net('b', 'segment', 2), net('c', 'segment', 3, quiet), net('d', 'host-only', 4)]
    const plan = planRoutes(networks, [router('r1', ['a', 1], ['b', 2]), router('r2', ['b', 2, 253], ['c', 3], ['d', 4])])
    expect(text(plan.networks.get('a')!.routes)).toEqual([
      '10.0.2.0/24 via 10.0.1.254',
      '10.0.3.0/24 via 10.0.1.254',
      '10.0.4.0/24 via 10.0.1.254',
    ])
    expect(text(plan.networks.get('b')!.routes).sort()).toEqual([
      '0.0.0.0/0 via 10.0.2.254',
      '10.0.1.0/24 via 10.0.2.254',
      '10.0.3.0/24 via 10.0.2.253',
      '10.0.4.0/24 via 10.0.2.253',
    ])
    // A host-only network does not lead outside because a router does.
    expect(text(plan.networks.get('d')!.routes).some((line) => line.startsWith('0.0.0.0'))).toBe(false)
    const [first, second] = plan.routers
    expect(text(first!.routes)).toEqual(['0.0.0.0/0 via 10.0.1.1', '10.0.3.0/24 via 10.0.2.253', '10.0.4.0/24 via 10.0.2.253'])
    expect(text(second!.routes)).toEqual(['10.0.1.0/24 via 10.0.2.254', '0.0.0.0/0 via 10.0.2.254'])
    // For DHCP: which router leads where.
    expect(plan.networks.get('b')!.routers.map(({ address, to }) => [formatIp(address), to.map(formatSubnet)])).toEqual([
      ['10.0.2.254', ['10.0.1.0/24']],
      ['10.0.2.253', ['10.0.3.0/24', '10.0.4.0/24']],
    ])
    expect(plan.networks.get('b')!.relays.map(formatMac)).toEqual([routerMac('r1', 'b'), routerMac('r2', 'b')])
    expect(first!.interfaces[1]!.relays.map(formatMac)).toEqual([routerMac('r2', 'b'), gatewayMac('b')])
    expect(second!.interfaces.map(({ network, advertise }) => [network, advertise])).toEqual([
      ['b', false],
      ['c', true],
      ['d', false],
    ])
  })

  it('says what an interface cannot do, and leaves it out', () => {
    const networks = [
      net('a', 'nat', 1),
      networkSchema.parse({ name: 'bare', kind: 'segment' }),
      networkSchema.parse({ name: 'wire', kind: 'bridged' }),
    ]
    const wrong = routerSchema.parse({
      name: 'r',
      interfaces: [
        { network: 'a', ipv4: '10.0.1.1' },
        { network: 'bare', ipv4: '10.9.0.1' },
        { network: 'wire' },
        { network: 'a', ipv4: '10.0.1.9' },
      ],
    })
    expect(interfacesOf(wrong, networks).map(({ network, problem }) => [network, problem])).toEqual([
      ['a', '10.0.1.1 is the address of the gateway of “a”.'],
      ['bare', '“bare” has no subnet for 10.9.0.1.'],
      ['wire', '“wire” is the network of this computer’s card: a router cannot stand in it.'],
    ])
    expect(planRoutes(networks, [wrong]).routers[0]!.interfaces).toEqual([])
    for (const address of ['10.0.1.0', '10.0.1.255', '10.0.2.4'])
      expect(interfacesOf(routerSchema.parse({ name: 'r', interfaces: [{ network: 'a', ipv4: address }] }), networks)[0]).toMatchObject({
        ipv4: null,
        problem: `${address} is no address for a router in 10.0.1.0/24.`,
      })
    const unaddressed = routerSchema.parse({ name: 'r', interfaces: [{ network: 'a' }, { network: 'bare' }] })
    expect(interfacesOf(unaddressed, networks).map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/^It has no address in “a”.*Give it one\.$/),
      expect.stringMatching(/^“bare” has no subnet/),
    ])
    // An address that two routers have is the first one's.
    const plan = planRoutes(networks, [router('x', ['a', 1]), router('y', ['a', 1])])
    expect(plan.routers.map(({ interfaces }) => interfaces.length)).toEqual([1, 0])
  })
})

it('says which machines learn of a router late, or not by themselves', () => {
  const networks = [net('a', 'nat', 1), net('b', 'host-only', 2), net('c', 'segment', 3, quiet)]
  expect(learningOf(router('r', ['a', 1], ['b', 2], ['c', 3]), networks)).toEqual([
    expect.stringMatching(/^Machines that already run in “b” learn .* a route through 10\.0\.2\.1\.$/),
    'Machines in “c” need a route through 10.0.3.254 that is set in them: no DHCP tells them of it.',
  ])
})

describe('a router', () => {
  const two = () => setUp([net('a', 'nat', 1), net('b', 'nat', 2)], [router('r', ['a', 1], ['b', 2])])

  it('hands packets from one network to the other, one hop older, both families', () => {
    for (const [here, there] of [
      ['10.0.1.15', '10.0.2.15'],
      ['fd00:1::15', 'fd00:2::15'],
    ] as const) {
      const { station } = two()
      const from = station('a', here, 1)
      const to = station('b', there, 2)
      from.ping(routerCard('r', 'a'), to.ip)
      const [seen] = to.take()
      expect(seen).toMatchObject({
        source: routerCard('r', 'b'),
        destination: to.mac,
        ip: { source: from.ip, destination: to.ip, ttl: 63 },
      })
      // Its checksums are right still.
      expect(seen!.icmp).not.toBeNull()
    }
  })

  it('is who a gateway hands packets for the other subnet to', () => {
    const { station, outside } = two()
    const from = station('a', '10.0.1.15', 1)
    const to = station('b', '10.0.2.15', 2)
    from.ping(parseMac(gatewayMac('a')), to.ip)
    expect(to.take()).toMatchObject([{ ip: { source: from.ip, ttl: 62 } }])
    // The way back is the short one: the gateway's card is not the machine's.
    to.ping(routerCard('r', 'b'), from.ip)
    expect(from.take()).toMatchObject([{ source: routerCard('r', 'a'), ip: { source: to.ip, ttl: 63 } }])
    // So is that of an error.
    from.ping(parseMac(gatewayMac('a')), to.ip, { ttl: 2 })
    expect(from.take()).toMatchObject([{ source: routerCard('r', 'a'), icmp: { type: ICMP.timeExceeded } }])
    expect(outside).toEqual([])
  })

  it('leads a segment outside, and the answers back', () => {
    const { station, outside, gateways } = setUp([net('a', 'nat', 1), net('b', 'segment', 2)], [router('r', ['a', 1], ['b', 2])])
    const from = station('b', '10.0.2.15', 1)
    from.ping(routerCard('r', 'b'), parseIp('192.0.2.7')!)
    expect(outside).toMatchObject([{ source: from.ip, ttl: 63, sourceMac: routerCard('r', 'a') }])
    const output = gateways.get('a')!.output
    expect(output.send({ source: parseIp('192.0.2.7')!, destination: from.ip, protocol: PROTOCOL.udp }, new Uint8Array(30))).toBe(true)
    expect(from.take()).toMatchObject([{ source: routerCard('r', 'b'), ip: { destination: from.ip, ttl: 63 } }])
  })

  it('refuses what has no hop left, no way, and no neighbour', () => {
    for (const four of [true, false]) {
      const { station, clock } = two()
      const from = station('a', four ? '10.0.1.15' : 'fd00:1::15', 1)
      const ip = (text: string): Uint8Array => parseIp(text)!
      const own = four ? ip('10.0.1.254') : ip('fd00:1::254')
      from.ping(routerCard('r', 'a'), ip(four ? '10.0.2.15' : 'fd00:2::15'), { ttl: 1 })
      expect(from.take()).toMatchObject([{ ip: { source: own }, icmp: { type: four ? ICMP.timeExceeded : ICMPV6.timeExceeded, code: 0 } }])
      // There is nobody: told when three questions were not answered.
      from.ping(routerCard('r', 'a'), ip(four ? '10.0.2.77' : 'fd00:2::77'))
      expect(from.take()).toEqual([])
      clock.advance(3000)
      const code = four ? ICMP_UNREACHABLE.host : ICMPV6_UNREACHABLE.address
      expect(from.take()).toMatchObject([{ ip: { source: own }, icmp: { type: four ? ICMP.unreachable : ICMPV6.unreachable, code } }])
      // Its neighbours are reached without it.
      from.ping(routerCard('r', 'a'), ip(four ? '10.0.1.77' : 'fd00:1::77'))
      const prohibited = four ? ICMP_UNREACHABLE.prohibited : ICMPV6_UNREACHABLE.prohibited
      expect(from.take()).toMatchObject([{ icmp: { code: prohibited } }])
    }
    const { station } = setUp([net('b', 'segment', 2), net('c', 'segment', 3)], [router('r', ['b', 2], ['c', 3])])
    const from = station('b', '10.0.2.15', 1)
    from.ping(routerCard('r', 'b'), parseIp('192.0.2.7')!)
    expect(from.take()).toMatchObject([{ icmp: { type: ICMP.unreachable, code: ICMP_UNREACHABLE.network } }])
  })

  it('answers echo at all of its addresses, and refuses other packets to itself', () => {
    const { station } = two()
    const from = station('a', '10.0.1.15', 1)
    const six = station('a', 'fd00:1::15', 3)
    for (const [one, text] of [
      [from, '10.0.1.254'],
      [from, '10.0.2.254'],
      [six, 'fd00:1::254'],
      [six, 'fd00:2::254'],
    ] as const) {
      one.ping(routerCard('r', 'a'), parseIp(text)!)
      expect(one.take()).toMatchObject([
        { ip: { source: parseIp(text) }, icmp: { type: text.includes(':') ? ICMPV6.echoReply : ICMP.echoReply } },
      ])
      // Nobody else has them.
      one.ping(routerCard('r', 'a'), one.ip, { source: parseIp(text)! })
      expect(one.take()).toEqual([])
    }
    from.send(routerCard('r', 'a'), parseIp('10.0.1.254')!, PROTOCOL.udp, new Uint8Array(20))
    expect(from.take()).toMatchObject([{ icmp: { type: ICMP.unreachable, code: ICMP_UNREACHABLE.port } }])
    from.send(routerCard('r', 'a'), parseIp('10.0.1.254')!, 99, new Uint8Array(20))
    expect(from.take()).toMatchObject([{ icmp: { type: ICMP.unreachable, code: ICMP_UNREACHABLE.protocol } }])
  })

  it('drops packets whose source cannot be in the network', () => {
    const { station } = two()
    const from = station('a', '10.0.1.15', 1)
    const to = station('b', '10.0.2.15', 2)
    for (const source of ['10.0.2.16', '192.0.2.1', '10.0.1.254', '10.0.1.255', '127.0.0.1', '0.0.0.0'])
      from.ping(routerCard('r', 'a'), to.ip, { source: parseIp(source)! })
    expect(to.take()).toEqual([])
    from.ping(routerCard('r', 'a'), to.ip)
    expect(to.take()).toHaveLength(1)
  })

  it('cuts what does not fit where it may, and says how much does where it may not', () => {
    const { station, clock } = setUp(
      [net('a', 'nat', 1, { mtu: 1500 }), net('b', 'nat', 2, { mtu: 1280 })],
      [router('r', ['a', 1], ['b', 2])],
    )
    const from = station('a', '10.0.1.15', 1)
    const to = station('b', '10.0.2.15', 2)
    from.ping(routerCard('r', 'a'), to.ip, { bytes: 1400 })
    expect(from.take()).toMatchObject([{ icmp: { type: ICMP.unreachable, code: ICMP_UNREACHABLE.fragmentationNeeded, rest: 1280 } }])
    from.ping(routerCard('r', 'a'), to.ip, { bytes: 1400, flags: 0 })
    const pieces = to.take()
    expect(pieces.map(({ ip }) => [ip!.whole.length, ip!.fragment!.offset, ip!.fragment!.more, ip!.ttl])).toEqual([
      [1276, 0, true, 63],
      [172, 1256, false, 63],
    ])
    const reassembly = new Reassembly(
      clock,
      (mac) => mac,
      () => {},
    )
    const whole = pieces.map(({ ip }) => reassembly.add({ ...ip!, sourceMac: 1 }))
    expect(whole[1]!.payload).toHaveLength(1408)
    const six = station('a', 'fd00:1::15', 3)
    six.ping(routerCard('r', 'a'), parseIp('fd00:2::15')!, { bytes: 1400 })
    expect(six.take()).toMatchObject([{ icmp: { type: ICMPV6.packetTooBig, rest: 1280 } }])
  })

  it('tells a gateway’s NAT what fits behind it', () => {
    const networks = [net('a', 'nat', 1), net('b', 'segment', 2, { mtu: 1280 }), net('c', 'segment', 3)]
    const { gateways, outside, station } = setUp(networks, [router('r1', ['a', 1], ['b', 2]), router('r2', ['b', 2, 253], ['c', 3])])
    for (const [here, remote] of [
      ['10.0.3.15', '192.0.2.7'],
      ['fd00:3::15', '2001:db8::7'],
    ] as const) {
      const from = station('c', here)
      const source = parseIp(remote)!
      const segment = new Uint8Array(1400)
      const fields = { sourcePort: 80, destinationPort: 5000, sequence: 0xfeed_beef, acknowledgment: 0, flags: 16, window: 1 }
      writeTcp(segment, 0, source, from.ip, { ...fields, options: new Uint8Array() }, 1380)
      gateways.get('a')!.output.send({ source, destination: from.ip, protocol: PROTOCOL.tcp }, segment)
      expect(outside.splice(0).map(tooBigOf)).toEqual([
        { remote: source, remotePort: 80, guest: from.ip, guestPort: 5000, sequence: 0xfeed_beef, mtu: 1280 },
      ])
      gateways.get('a')!.output.send({ source, destination: from.ip, protocol: PROTOCOL.tcp }, segment.subarray(0, 1200))
      expect(from.take()).toHaveLength(1)
      from.port.dispose()
    }
  })

  it('hands on nothing that is broken, too old or from where it is not, whatever comes', () => {
    const random = seeded(5)
    const { station, clock } = two()
    const [from, six] = [station('a', '10.0.1.15', 1), station('a', 'fd00:1::15', 3)]
    const [to, to6] = [station('b', '10.0.2.15', 2), station('b', 'fd00:2::15', 4)]
    const seeds: Uint8Array[] = []
    for (const [one, other] of [
      [from, to],
      [six, to6],
    ] as const) {
      const frames = [600, 32, 0].map((bytes) => pingFrame(one, routerCard('r', 'a'), other.ip, bytes))
      seeds.push(...frames, ...frames.map((frame) => frame.subarray(0, frame.length - 3)))
    }
    for (let run = 0; run < 20_000; run++) {
      const frame = seeds[random(seeds.length)]!.slice()
      for (let flips = random(4); flips > 0; flips--) frame[14 + random(Math.min(60, frame.length - 14))] = random(256)
      if (random(2) === 0 && frame[12] === 8 && frame[13] === 0) mendIpv4(frame)
      from.port.send(frame)
      if (run % 100 === 0) clock.advance(random(500))
    }
    for (const { ip } of [...to.take(), ...to6.take()]) {
      expect(ip).not.toBeNull()
      expect(ip!.ttl).toBeGreaterThan(0)
      expect(inSubnet(ip!.source, parseSubnet(ip!.version === 4 ? '10.0.1.0/24' : 'fd00:1::/64')!)).toBe(true)
    }
    // It goes on.
    clock.advance(60_000)
    for (const one of [from, to]) one.take()
    from.ping(routerCard('r', 'a'), to.ip)
    expect(to.take()).toHaveLength(1)
  })

  it('lets a packet that goes round in circles die', () => {
    // r1 thinks that r2 knows, and r2 that r1 does: as after a document that was applied to one of them only.
    const { boards, clock, station } = setUp([net('a', 'segment', 1, quiet), net('b', 'segment', 2, quiet)], [])
    const way = planRoutes(
      [net('a', 'segment', 1), net('b', 'segment', 2)],
      [router('r1', ['a', 1], ['b', 2]), router('r2', ['a', 1, 253], ['b', 2, 253])],
    )
    const lost = { subnet: { address: parseIp('192.0.2.0')!, prefix: 24 }, network: 'b' }
    const [r1, r2] = way.routers
    const routers = new Routers({ clock, warn: () => {} })
    open.push(() => routers.dispose())
    routers.configure(
      [
        { ...r1!, routes: [{ ...lost, address: parseIp('10.0.2.253')!, mac: routerCard('r2', 'b') }] },
        { ...r2!, routes: [{ ...lost, address: parseIp('10.0.2.254')!, mac: routerCard('r1', 'b') }] },
      ],
      (name) => boards.get(name)!,
    )
    const from = station('a', '10.0.1.15', 1)
    from.ping(routerCard('r1', 'a'), parseIp('192.0.2.7')!, { ttl: 255 })
    expect(from.take()).toMatchObject([{ ip: { destination: from.ip }, icmp: { type: ICMP.timeExceeded } }])
  })

  it('advertises itself where no gateway does', () => {
    const { station } = setUp([net('a', 'nat', 1), net('b', 'segment', 2, quiet)], [router('r', ['a', 1], ['b', 2])])
    for (const [network, expected] of [
      ['a', gatewayMac('a')],
      ['b', routerMac('r', 'b')],
    ] as const) {
      const from = station(network, network === 'a' ? 'fd00:1::15' : 'fd00:2::15', 1)
      const heard: SeenFrame[] = []
      from.onDiscovery = (frame) => heard.push(frame)
      const solicitation = buildIcmp(from.ip, ALL_ROUTERS, buildNeighbour({ kind: 'router-solicitation', options: [] }))
      from.send(multicastMac(ALL_ROUTERS), ALL_ROUTERS, PROTOCOL.icmpv6, solicitation, { ttl: 255 })
      const advertised = heard.filter(({ neighbour }) => neighbour?.kind === 'router-advertisement')
      expect(advertised.map(({ source, destination }) => [formatMac(source), destination === from.mac])).toContainEqual([expected, true])
      expect(new Set(advertised.map(({ source }) => formatMac(source)))).toEqual(new Set([expected]))
      const last = advertised.at(-1)!.neighbour
      expect(last).toMatchObject({ lifetime: 9000 })
      expect(last!.options).toContainEqual(expect.objectContaining({ kind: 'prefix', autonomous: true, onLink: true, prefix: 64 }))
    }
  })

  it('is reached through gateways at once when it is drawn, and no more when it is gone', () => {
    const networks = [net('a', 'nat', 1), net('b', 'nat', 2)]
    const { boards, gateways, all, outside, station } = setUp(networks, [])
    const draw = (...routers: ReturnType<typeof router>[]): void => {
      const plan = planRoutes(networks, routers)
      for (const [name, gateway] of gateways) gateway.setRoutes(plan.networks.get(name)!)
      all.configure(plan.routers, (name) => boards.get(name)!)
    }
    for (const [here, there] of [
      ['10.0.1.15', '10.0.2.15'],
      ['fd00:1::15', 'fd00:2::15'],
    ] as const) {
      // Machines that run and know their gateways.
      const from = station('a', here)
      const to = station('b', there, 2)
      const ping = (one: NetworkStation, network: string, other: NetworkStation): void => one.ping(parseMac(gatewayMac(network)), other.ip)
      ping(from, 'a', to)
      expect(to.take()).toEqual([])
      expect(outside.splice(0)).toMatchObject([{ source: from.ip }])
      draw(router('r', ['a', 1], ['b', 2]))
      ping(from, 'a', to)
      expect(to.take()).toMatchObject([{ ip: { source: from.ip, ttl: 62 } }])
      ping(to, 'b', from)
      expect(from.take()).toMatchObject([{ ip: { source: to.ip, ttl: 62 } }])
      // Another takes its place, at another address.
      draw(router('other', ['a', 1, 99], ['b', 2, 99]))
      ping(from, 'a', to)
      expect(to.take()).toMatchObject([{ source: routerCard('other', 'b'), ip: { source: from.ip } }])
      expect(outside).toEqual([])
      draw()
      ping(from, 'a', to)
      expect(to.take()).toEqual([])
      expect(outside.splice(0)).toMatchObject([{ source: from.ip }])
      for (const { port } of [from, to]) port.dispose()
    }
  })

  it('is told of to silent machines as it comes and goes: of ways, and as the last choice for everything where it leads only to some', () => {
    const networks = [net('a', 'host-only', 1), net('b', 'host-only', 2), net('c', 'segment', 3, quiet)]
    const { boards, gateways, all, station, clock } = setUp(networks, [])
    const heard = new Map(networks.map(({ name }) => [name, [] as SeenFrame[]] as const))
    for (const [nth, { name }] of networks.entries())
      station(name, `fd00:${nth + 1}::15`).onDiscovery = (frame) => heard.get(name)!.push(frame)
    const draw = (...routers: ReturnType<typeof router>[]): void => {
      for (const frames of heard.values()) frames.length = 0
      const plan = planRoutes(networks, routers)
      for (const [name, gateway] of gateways) gateway.setRoutes(plan.networks.get(name)!)
      all.configure(plan.routers, (name) => boards.get(name)!)
    }
    /** Each once: the router's coming is a reason to say it again. */
    const told = (name: string) => {
      const all = heard.get(name)!.flatMap(({ neighbour, source }) => {
        if (neighbour?.kind !== 'router-advertisement') return []
        const ways = neighbour.options.flatMap((one) => (one.kind === 'route' ? `${formatSubnet(one)} ${one.lifetime}` : []))
        return { by: formatMac(source), lifetime: neighbour.lifetime, preference: neighbour.preference, ways: ways.sort() }
      })
      return all.filter((one, at) => all.findIndex((other) => JSON.stringify(other) === JSON.stringify(one)) === at)
    }
    clock.advance(3_600_000)
    draw(router('r', ['a', 1], ['b', 2], ['c', 3]))
    const low = { lifetime: 9000, preference: 'low' }
    expect(told('a')).toEqual([{ by: gatewayMac('a'), ...low, ways: ['fd00:2::/64 9000', 'fd00:3::/64 9000'] }])
    expect(told('c')).toEqual([{ by: routerMac('r', 'c'), ...low, ways: ['fd00:1::/64 9000', 'fd00:2::/64 9000'] }])
    clock.advance(3_600_000)
    // It leaves one network: those that are left hear that they cannot go there, and go on to the other.
    draw(router('r', ['a', 1], ['c', 3]))
    expect(told('a')[0]).toEqual({ by: gatewayMac('a'), ...low, ways: ['fd00:2::/64 0', 'fd00:3::/64 9000'] })
    expect(told('b')).toEqual([{ by: gatewayMac('b'), lifetime: 0, preference: 'medium', ways: ['fd00:1::/64 0', 'fd00:3::/64 0'] }])
    expect(told('c').at(-1)).toEqual({ by: routerMac('r', 'c'), ...low, ways: ['fd00:1::/64 9000'] })
    draw()
    expect(told('c')).toEqual([{ by: routerMac('r', 'c'), lifetime: 0, preference: 'medium', ways: ['fd00:1::/64 0'] }])
  })

  it('goes on undisturbed where its plan did not change', () => {
    const { all, boards, plan } = two()
    const before = [...boards.get('a')!.ports]
    all.configure(plan.routers, (name) => boards.get(name)!)
    expect(boards.get('a')!.ports).toEqual(before)
    all.configure([], (name) => boards.get(name)!)
    expect(boards.get('a')!.ports.map(({ id }) => id)).toEqual(['gateway'])
  })
})
