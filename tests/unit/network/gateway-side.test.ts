/**
 * The whole gateway against a hostile machine: traffic as machines send it, mutated, with checksums put right again so that it gets far. Whatever comes: nothing is thrown,
 * an honest neighbour is still served, and when it is quiet nothing is left.
 */
import fc from 'fast-check'
import { afterEach, expect, it } from 'vitest'
import { foldSum, pseudoSum, sumWords } from '../../../src-main/network/codec/checksum.ts'
import { ETHERNET_HEADER, parseMac } from '../../../src-main/network/codec/ethernet.ts'
import { ICMP, ICMPV6 } from '../../../src-main/network/codec/icmp.ts'
import { PROTOCOL } from '../../../src-main/network/codec/ip.ts'
import { buildNeighbour } from '../../../src-main/network/codec/neighbour.ts'
import { TCP } from '../../../src-main/network/codec/tcp.ts'
import { ALL_ROUTERS, linkLocalOf, multicastMac, solicitedNodeOf } from '../../../src-main/network/gateway/addresses.ts'
import { cutIpv4, cutIpv6 } from '../../../src-main/network/gateway/fragments.ts'
import { GatewaySide } from '../../../src-main/network/gateway-side.ts'
import { buildDhcp6, DHCP6 } from '../../../src-main/network/services/dhcp6/codec.ts'
import { buildDhcp, DHCP } from '../../../src-main/network/services/dhcp/codec.ts'
import { Leases } from '../../../src-main/network/services/dhcp/leases.ts'
import { OPTION } from '../../../src-main/network/services/dhcp/options.ts'
import { CLASS_IN, TYPE } from '../../../src-main/network/services/dns/codec.ts'
import { buildQuery } from '../../../src-main/network/services/dns/query.ts'
import { Switch } from '../../../src-main/network/switch/switch.ts'
import { gatewayMac } from '../../../src-shared/model/mac.ts'
import { formatIp, parseIp, type IpAddress } from '../../../src-shared/model/ip.ts'
import { networkSchema } from '../../../src-shared/model/network.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { arpFrame, icmpFrame, tcpFrame, udpFrame, type Ends } from '../../support/frames.ts'
import { see, type SeenFrame } from '../../support/network-board.ts'

const GATEWAY = gatewayMac('lab')
const BAD = '52:54:00:00:00:66'
const GOOD = '52:54:00:00:00:01'
const four: Ends = { from: '10.7.0.66', to: '10.7.0.1', fromMac: BAD, toMac: GATEWAY }
const six: Ends = { from: 'fd07::66', to: 'fd07::1', fromMac: BAD, toMac: GATEWAY }
const out4: Ends = { ...four, to: '192.0.2.1' }
const out6: Ends = { ...six, to: '2001:db8::1' }
const ALL = { to: '255.255.255.255', toMac: 'ff:ff:ff:ff:ff:ff' }

const mac = (text: string): number => parseMac(text)
const macText = (number: number): string =>
  number
    .toString(16)
    .padStart(12, '0')
    .replace(/..(?!$)/g, '$&:')
const many = (address: IpAddress): Pick<Ends, 'to' | 'toMac'> => ({ to: formatIp(address), toMac: macText(multicastMac(address)) })
const query = (name: string, type: number, id = 9): Uint8Array =>
  buildQuery({ name, type, class: CLASS_IN, checkingDisabled: false, edns: null }, id)
const dhcp = (type: number, options: [number, Uint8Array][] = [], from = BAD): Uint8Array =>
  buildDhcp({ op: 'request', chaddr: mac(from), xid: 7, type, options: new Map(options) })
const nd = (ends: Ends, message: Parameters<typeof buildNeighbour>[0]): Uint8Array => {
  const frame = icmpFrame(ends, buildNeighbour(message))
  frame[ETHERNET_HEADER + 7] = 255
  return frame
}
const syn = { sourcePort: 4000, destinationPort: 53, sequence: 1000, flags: TCP.syn, options: Uint8Array.of(2, 4, 5, 180, 4, 2, 1, 1) }
const piecesOf = (frame: Uint8Array): Uint8Array[] => {
  const cut = frame[12] === 8 ? cutIpv4 : cutIpv6
  return cut(frame.subarray(ETHERNET_HEADER), 576, 5).map((piece) => Uint8Array.from([...frame.subarray(0, ETHERNET_HEADER), ...piece]))
}

/** As machines send it. */
const SEEDS: readonly Uint8Array[] = [
  arpFrame({ ...four, toMac: ALL.toMac }, 1),
  arpFrame({ ...four, from: '10.7.0.1' }, 2),
  udpFrame({ ...four, ...ALL, from: '0.0.0.0' }, 68, 67, dhcp(DHCP.discover)),
  udpFrame(
    { ...four, ...ALL, from: '0.0.0.0' },
    68,
    67,
    dhcp(DHCP.request, [
      [OPTION.requestedAddress, parseIp('10.7.0.66')!],
      [OPTION.serverId, parseIp('10.7.0.1')!],
    ]),
  ),
  udpFrame(four, 68, 67, dhcp(DHCP.inform)),
  udpFrame(four, 68, 67, dhcp(DHCP.release)),
  udpFrame(four, 5000, 53, query('db.lab.internal', TYPE.a)),
  udpFrame(six, 5000, 53, query('nobody.lab.internal', TYPE.aaaa)),
  udpFrame(four, 123, 123, Uint8Array.from([0x23, ...new Uint8Array(47)])),
  udpFrame(four, 6000, 69, Uint8Array.of(0, 1, 97, 0, ...Buffer.from('octet'), 0)),
  udpFrame(
    { ...six, from: 'fe80::66', ...many(parseIp('ff02::1:2')!) },
    546,
    547,
    buildDhcp6({ type: DHCP6.informationRequest, transaction: 1, options: [] }),
  ),
  udpFrame(four, 7000, 9, 'nobody listens'),
  udpFrame(out4, 7000, 9, 'outside'),
  udpFrame(out6, 7000, 9, 'outside'),
  icmpFrame(four, { type: ICMP.echoRequest, rest: 1, body: new Uint8Array(40) }),
  icmpFrame(six, { type: ICMPV6.echoRequest, rest: 1, body: new Uint8Array(40) }),
  icmpFrame(out4, { type: ICMP.echoRequest, rest: 1, body: new Uint8Array(40) }),
  icmpFrame(out4, {
    type: ICMP.unreachable,
    code: 3,
    body: udpFrame({ ...out4, from: '192.0.2.1', to: '10.7.0.66' }, 9, 7000, 'x').subarray(14),
  }),
  nd({ ...six, from: '::', ...many(ALL_ROUTERS) }, { kind: 'router-solicitation', options: [] }),
  nd(
    { ...six, ...many(solicitedNodeOf(parseIp('fd07::1')!)) },
    { kind: 'neighbour-solicitation', target: parseIp('fd07::1')!, options: [{ kind: 'source-mac', mac: mac(BAD) }] },
  ),
  nd(six, {
    kind: 'neighbour-advertisement',
    target: parseIp('fd07::66')!,
    router: false,
    solicited: true,
    override: true,
    options: [{ kind: 'target-mac', mac: mac(BAD) }],
  }),
  tcpFrame(four, syn),
  tcpFrame(six, syn),
  tcpFrame(out4, { ...syn, destinationPort: 80 }),
  tcpFrame(four, { ...syn, sequence: 1001, flags: TCP.ack, options: new Uint8Array() }),
  tcpFrame(four, {
    ...syn,
    sequence: 1001,
    flags: TCP.ack | TCP.psh,
    options: new Uint8Array(),
    payload: Uint8Array.from([0, 33, ...query('db.lab.internal', TYPE.a)]),
  }),
  tcpFrame(four, { ...syn, sequence: 1001, flags: TCP.ack | TCP.fin, options: new Uint8Array() }),
  tcpFrame(four, { ...syn, sequence: 1001, flags: TCP.rst, options: new Uint8Array() }),
  ...piecesOf(icmpFrame(four, { type: ICMP.echoRequest, rest: 2, body: new Uint8Array(1500) })),
  ...piecesOf(icmpFrame(six, { type: ICMPV6.echoRequest, rest: 2, body: new Uint8Array(1500) })),
]

/** Puts the checksums of a frame right, as far as it has any. */
function mend(frame: Uint8Array): Uint8Array {
  const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0)
  const at = ETHERNET_HEADER
  const write = (place: number, sum: number): void => void frame.set([sum >> 8, sum & 255], place)
  let start = at + 40
  let protocol = frame[at + 6] ?? 0
  if (type === 0x0800 && frame.length >= at + 20) {
    start = at + (frame[at]! & 15) * 4
    protocol = frame[at + 9]!
    if (start > frame.length) return frame
    write(at + 10, 0)
    write(at + 10, foldSum(sumWords(frame, at, start)))
  } else if (type !== 0x86dd) return frame
  const place = { [PROTOCOL.tcp]: 16, [PROTOCOL.udp]: 6, [PROTOCOL.icmp]: 2, [PROTOCOL.icmpv6]: 2 }[protocol]
  if (place === undefined || start + place + 2 > frame.length) return frame
  const [source, destination] = type === 0x0800 ? [at + 12, at + 16] : [at + 8, at + 24]
  const length = type === 0x0800 ? 4 : 16
  const pseudo = pseudoSum(
    frame.slice(source, source + length),
    frame.slice(destination, destination + length),
    protocol,
    frame.length - start,
  )
  write(start + place, 0)
  write(start + place, foldSum(sumWords(frame, start, frame.length, protocol === PROTOCOL.icmp ? 0 : pseudo)))
  return frame
}

const mutation = fc.record({
  seed: fc.nat(SEEDS.length - 1),
  bytes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
  /** Cut off, or put behind. */
  length: fc.option(fc.integer({ min: -40, max: 40 }), { freq: 3 }),
  mended: fc.boolean(),
  /** Behind it, ms. */
  pause: fc.constantFrom(0, 0, 0, 10, 1000, 70_000),
})

function mutated({
  seed,
  bytes,
  length,
  mended,
}: {
  seed: number
  bytes: [number, number][]
  length: number | null
  mended: boolean
}): Uint8Array {
  const from = SEEDS[seed]!
  const frame = new Uint8Array(Math.max(0, from.length + (length ?? 0)))
  frame.set(from.subarray(0, frame.length))
  for (const [at, value] of bytes) if (frame.length > ETHERNET_HEADER) frame[12 + (at % (frame.length - 12))] = value
  return mended ? mend(frame) : frame
}

/** What was answered later has been. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(() => setImmediate(resolve)))

const open: (() => void)[] = []
afterEach(() =>
  open
    .splice(0)
    .reverse()
    .forEach((close) => close()),
)

function setUp() {
  const document = networkSchema.parse({
    ...{ name: 'lab', kind: 'host-only', ipv4: '10.7.0.0/24', ipv6: 'fd07::/64' },
    dns: { records: [{ type: 'A', name: 'db.lab.internal', value: '10.7.0.99' }], upstream: ['127.0.0.1'] },
  })
  const clock = new FakeClock()
  const lan = new Switch(clock)
  let leases: Leases | null = null
  const warnings: string[] = []
  const side = new GatewaySide(
    document,
    { routes: [], relays: [], routers: [] },
    {
      ...{
        lan,
        clock,
        hosts: () => [],
        onNeighbour: () => {},
        ownerOf: () => null,
        onForwards: () => {},
        warn: (message: string) => warnings.push(message),
      },
      leasesIn: (pool) => (leases ??= new Leases('lab', clock, pool)),
    },
  )
  let frames: SeenFrame[] = []
  const good = lan.plug('good/nic0', (frame) => frames.push(see(frame.slice())) > 0)
  const bad = lan.plug('bad/nic0', () => true)
  lan.pin(mac(GOOD), good.id)
  const close = (): void => {
    side.dispose()
    leases?.dispose()
    lan.dispose()
  }
  open.push(close)
  const exchange = async (frame: Uint8Array): Promise<SeenFrame[]> => {
    frames = []
    good.send(frame)
    // Some look around before they answer.
    for (let step = 0; step < 3; step++) {
      await settled()
      clock.advance(500)
    }
    return frames.filter(({ destination }) => destination === mac(GOOD))
  }
  return { clock, side, bad, exchange, warnings, close }
}

/** An honest neighbour gets what it asks for. */
async function served(exchange: (frame: Uint8Array) => Promise<SeenFrame[]>): Promise<void> {
  const own = { fromMac: GOOD, toMac: GATEWAY }
  const ends4 = { ...own, from: '10.7.0.5', to: '10.7.0.1' }
  const ends6 = { ...own, from: 'fd07::5', to: 'fd07::1' }
  const routers = { ...own, from: formatIp(linkLocalOf(mac(GOOD))), ...many(ALL_ROUTERS) }
  const asks: [string, Uint8Array, (answer: SeenFrame) => boolean][] = [
    ['ARP', arpFrame({ ...ends4, toMac: ALL.toMac }, 1), ({ arp }) => arp?.operation === 2 && arp.senderMac === mac(GATEWAY)],
    ['echo', icmpFrame(ends4, { type: ICMP.echoRequest }), ({ icmp }) => icmp?.type === ICMP.echoReply],
    ['echo 6', icmpFrame(ends6, { type: ICMPV6.echoRequest }), ({ icmp }) => icmp?.type === ICMPV6.echoReply],
    ['DNS', udpFrame(ends4, 5000, 53, query('db.lab.internal', TYPE.a)), ({ udp }) => udp?.sourcePort === 53],
    ['router', nd(routers, { kind: 'router-solicitation', options: [] }), ({ neighbour }) => neighbour?.kind === 'router-advertisement'],
    ['DHCP', udpFrame({ ...own, ...ALL, from: '0.0.0.0' }, 68, 67, dhcp(DHCP.discover, [], GOOD)), ({ udp }) => udp?.sourcePort === 67],
  ]
  for (const [name, frame, fits] of asks) expect([name, (await exchange(frame)).some(fits)]).toEqual([name, true])
}

it('serves an honest neighbour', async () => {
  const { exchange } = setUp()
  await served(exchange)
})

it('takes whatever a machine sends, goes on serving its neighbour, and keeps nothing of it for ever', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 60 }), async (mutations) => {
      const { clock, side, bad, exchange, close } = setUp()
      for (const one of mutations) {
        bad.send(mutated(one))
        if (one.pause > 0) {
          await settled()
          clock.advance(one.pause)
        }
      }
      await served(exchange)
      // Quiet for two days: what was offered, asked for or half open is over.
      clock.advance(48 * 3_600_000)
      expect(side.state.flows).toEqual({ tcp: 0, udp: 0 })
      close()
      await settled()
      expect(clock.waiting).toBe(0)
    }),
  )
})
