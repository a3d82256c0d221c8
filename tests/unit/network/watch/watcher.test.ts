import { describe, expect, test } from 'vitest'
import { ICMPV6 } from '../../../../src-main/network/codec/icmp.ts'
import { ARP, buildArp } from '../../../../src-main/network/codec/arp.ts'
import { buildNeighbour, type NeighbourMessage } from '../../../../src-main/network/codec/neighbour.ts'
import { BROADCAST, formatMac, parseMac, writeMac } from '../../../../src-main/network/codec/ethernet.ts'
import { TCP } from '../../../../src-main/network/codec/tcp.ts'
import { buildQuery } from '../../../../src-main/network/services/dns/query.ts'
import { Watcher } from '../../../../src-main/network/watch/watcher.ts'
import { parseIp, sameIp } from '../../../../src-shared/model/ip.ts'
import { watchSchema } from '../../../../src-shared/model/network.ts'
import type { NetworkAlert } from '../../../../src-shared/threads/network-thread.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { arpFrame, icmpFrame, tcpFrame, udpFrame } from '../../../support/frames.ts'
import type { z } from 'zod'

const EVIL = { port: 'evil/nic0', name: 'evil', mac: parseMac('52:54:00:00:00:01') }
const GOOD = { port: 'good/nic0', name: 'good', mac: parseMac('52:54:00:00:00:02') }
const GATEWAY = { address: parseIp('10.0.2.1')!, mac: parseMac('52:55:00:00:00:01') }
const ENDS = { from: '10.0.2.15', to: '10.0.2.9' }

function watching(rules: z.input<typeof watchSchema> = {}) {
  const clock = new FakeClock()
  const alerts: NetworkAlert[] = []
  const watcher = new Watcher(watchSchema.parse(rules), {
    ...{ network: 'lab', clock },
    ownerOf: (address) => (sameIp(address, GATEWAY.address) ? GATEWAY.mac : null),
    onAlert: (alert) => alerts.push(alert),
  })
  return { clock, alerts, watcher, see: (frame: Uint8Array, from = EVIL) => watcher.see(from, frame) }
}

function syn(destinationPort: number, to = ENDS.to): Uint8Array {
  return tcpFrame({ ...ENDS, to }, { sourcePort: 40_000, destinationPort, flags: TCP.syn })
}

function asks(name: string): Uint8Array {
  const query = buildQuery({ name, type: 1, class: 1, checkingDisabled: false, edns: null }, 1)
  return udpFrame(ENDS, 5000, 53, query)
}

function discover(mac: number): Uint8Array {
  const bytes = new Uint8Array(300)
  bytes.set([1, 1, 6, 0])
  for (let at = 0; at < 6; at++) bytes[28 + at] = Math.floor(mac / 256 ** (5 - at)) & 255
  bytes.set([99, 130, 83, 99, 53, 1, 1, 255], 236)
  return udpFrame({ from: '0.0.0.0', to: '255.255.255.255' }, 68, 67, bytes)
}

describe('a port scan', () => {
  test('is found by ports, by machines, and by questions for addresses', () => {
    const { alerts, see } = watching()
    for (let port = 1; port <= 100; port++) see(syn(port))
    expect(alerts.map(({ watch, message }) => [watch, message])).toEqual([
      ['port-scan', '“evil” scans the ports of 10.0.2.9 (15 within 10 s).'],
    ])
    for (let host = 1; host <= 30; host++) see(syn(22, `10.0.2.${host}`))
    expect(alerts.at(-1)?.message).toContain('port 22 of one machine after the other')
    for (let host = 1; host <= 60; host++) see(arpFrame({ from: '10.0.2.15', to: `10.0.2.${host}` }, ARP.request))
    expect(alerts.at(-1)?.message).toContain('asks for one address after the other')
    for (let port = 1; port <= 100; port++) see(udpFrame({ ...ENDS, to: '10.0.2.77' }, 40_000, port, 'x'))
    expect(alerts.at(-1)?.message).toContain('10.0.2.77')
  })

  test('is not what browsers, slow programs and traceroute do', () => {
    const { alerts, clock, see } = watching()
    for (let host = 1; host <= 200; host++) see(syn(443, `93.184.${host}.1`))
    for (let step = 0; step < 90; step++) see(udpFrame({ ...ENDS, to: '9.9.9.9' }, 40_000, 33_434 + step, 'x'))
    for (let port = 1; port <= 100; port++) {
      see(syn(port))
      clock.advance(1000)
    }
    for (let again = 0; again < 100; again++) see(syn(80))
    for (let port = 1; port <= 100; port++) see(tcpFrame(ENDS, { sourcePort: 80, destinationPort: port, flags: TCP.ack | TCP.psh }))
    expect(alerts).toEqual([])
  })
})

describe('another’s address', () => {
  test('is not taken unseen: of the gateway, of a neighbour, over IPv6', () => {
    const { alerts, see } = watching()
    see(arpFrame({ from: '10.0.2.1', to: '10.0.2.9', fromMac: '52:54:00:00:00:01' }, ARP.reply))
    expect(alerts.at(-1)).toMatchObject({
      watch: 'arp-spoofing',
      message: '“evil” says that it is 10.0.2.1, which is the address of 52:55:00:00:00:01.',
    })
    see(arpFrame({ from: '10.0.2.9', to: '10.0.2.15', fromMac: '52:54:00:00:00:02' }, ARP.reply), GOOD)
    see(arpFrame({ from: '10.0.2.9', to: '10.0.2.1', fromMac: '52:54:00:00:00:01' }, ARP.reply))
    expect(alerts.at(-1)).toMatchObject({
      message: '“evil” says that it is 10.0.2.9, which is the address of 52:54:00:00:00:02.',
      port: EVIL.port,
    })
    const advertisement = { type: ICMPV6.neighbourAdvertisement, body: parseIp('fd00::9')! }
    see(icmpFrame({ from: 'fd00::9', to: 'ff02::1', fromMac: '52:54:00:00:00:02' }, advertisement), GOOD)
    expect(alerts).toHaveLength(2)
    see(icmpFrame({ from: 'fd00::9', to: 'ff02::1' }, advertisement))
    expect(alerts).toHaveLength(3)
  })

  test('is found in every message that tells of addresses, whatever card the frame is said to come from', () => {
    const { alerts, see } = watching()
    const rightful = formatMac(GATEWAY.mac)
    see(icmpFrame({ from: 'fd00::9', to: 'ff02::1', fromMac: '52:54:00:00:00:02' }, { type: 136, body: parseIp('fd00::9')! }), GOOD)
    const says = (from: string, fromMac: string, message: NeighbourMessage): void =>
      see(icmpFrame({ from, to: 'ff02::1', fromMac }, buildNeighbour(message)))
    const mine = { mac: EVIL.mac }
    const target = parseIp('fd00::9')!
    // As the neighbour's own card, with another one in the message.
    says('fd00::9', formatMac(GOOD.mac), {
      ...{ kind: 'neighbour-advertisement', target, router: false, solicited: false, override: true },
      options: [{ kind: 'target-mac', ...mine }],
    })
    expect(alerts.at(-1)?.message).toContain('fd00::9')
    says('fd00::9', formatMac(EVIL.mac), { kind: 'router-solicitation', options: [{ kind: 'source-mac', ...mine }] })
    expect(alerts.at(-1)?.message).toContain('fd00::9')
    says('fd00::77', rightful, {
      ...{ kind: 'neighbour-solicitation', target: parseIp('fd00::1')! },
      options: [{ kind: 'source-mac', ...mine }],
    })
    expect(alerts.at(-1)?.message).toContain('for another card')
    const tagged = arpFrame({ from: '10.0.2.1', to: '10.0.2.9' }, ARP.reply)
    see(Uint8Array.from([...tagged.subarray(0, 12), 0x81, 0, 0, 0, ...tagged.subarray(12)]))
    expect(alerts.at(-1)?.message).toContain('10.0.2.1,')
  })

  test('is not said for another card', () => {
    const { alerts, see } = watching()
    const lie = { operation: ARP.reply, senderMac: GOOD.mac, senderIp: parseIp('10.0.2.50')!, targetMac: 0, targetIp: parseIp('10.0.2.1')! }
    const frame = buildArp(BROADCAST, lie)
    writeMac(frame, 6, EVIL.mac)
    see(frame)
    expect(alerts.at(-1)?.message).toContain('for another card')
  })

  test('may be one’s own, again and again, and another’s after a while', () => {
    const { alerts, clock, see } = watching()
    see(arpFrame(ENDS, ARP.request))
    see(arpFrame(ENDS, ARP.request))
    see(arpFrame({ ...ENDS, from: '0.0.0.0' }, ARP.request))
    clock.advance(121_000)
    see(arpFrame({ ...ENDS, fromMac: formatMac(GOOD.mac) }, ARP.request), GOOD)
    expect(alerts).toEqual([])
  })
})

test('made-up cards are found, a machine’s own few are not', () => {
  const { alerts, see } = watching()
  for (let at = 0; at < 20; at++) see(tcpFrame({ ...ENDS, fromMac: formatMac(2 + at * 256) }, { sourcePort: 1, destinationPort: 2 }))
  expect(alerts).toEqual([])
  for (let at = 0; at < 60; at++) see(arpFrame({ from: '0.0.0.0', to: '10.0.2.3', fromMac: formatMac(2 + at * 256) }, ARP.request))
  expect(alerts.map(({ watch }) => watch)).toEqual(['mac-flooding'])
})

test('addresses asked for in many names are found, one’s own again and again are not', () => {
  const { alerts, see } = watching()
  for (let again = 0; again < 50; again++) see(discover(EVIL.mac))
  expect(alerts).toEqual([])
  for (let card = 0; card < 20; card++) see(discover(0x5254_0000_1000 + card))
  expect(alerts.map(({ watch }) => watch)).toEqual(['dhcp-starvation'])
})

test('data in names is found, ordinary names are not', () => {
  const { alerts, see } = watching()
  for (let at = 0; at < 200; at++) see(asks(`www${at}.example.org`))
  for (let at = 0; at < 200; at++) see(asks('a-very-long-but-always-the-same-name.cdn.example.org'))
  expect(alerts).toEqual([])
  for (let at = 0; at < 60; at++) see(asks(`${at}deadbeefdeadbeefdeadbeefdeadbeef.t.tunnel.example`))
  expect(alerts.map(({ watch, message }) => [watch, message.includes('tunnel.example')])).toEqual([['dns-tunnel', true]])
})

test('own patterns are found in any packet, as text and as bytes', () => {
  const patterns = [
    { name: 'secret', bytes: 'TOP SECRET' },
    { name: 'magic', bytes: '0xdeadbeef' },
  ]
  const { alerts, see } = watching({ patterns })
  see(tcpFrame(ENDS, { sourcePort: 1, destinationPort: 2, flags: TCP.ack, payload: new TextEncoder().encode('this is TOP SECRET!') }))
  see(udpFrame(ENDS, 1, 2, Uint8Array.of(1, 0xde, 0xad, 0xbe, 0xef)))
  see(udpFrame(ENDS, 1, 2, 'top secret'))
  expect(alerts.map(({ message }) => message)).toEqual(['“evil” sent “secret”.', '“evil” sent “magic”.'])
})

describe('alerts', () => {
  test('are one for the same thing, with how often, until it is quiet', () => {
    const { alerts, clock, see } = watching()
    const scan = (): void => {
      for (let port = 1; port <= 15; port++) see(syn(port))
    }
    scan()
    scan()
    expect(alerts).toHaveLength(1)
    clock.advance(3000)
    scan()
    expect(alerts.map(({ count }) => count)).toEqual([1, 3])
    expect(new Set(alerts.map(({ id }) => id)).size).toBe(1)
    clock.advance(61_000)
    scan()
    expect(alerts.at(-1)?.count).toBe(1)
    expect(new Set(alerts.map(({ id }) => id)).size).toBe(2)
  })

  test('that are open cut as soon as that is asked for, and no longer than it is', () => {
    const { alerts, clock, watcher, see } = watching()
    const scan = (): void => {
      for (let port = 1; port <= 20; port++) see(syn(port))
    }
    scan()
    watcher.set(watchSchema.parse({ cut: ['port-scan'] }))
    scan()
    expect(alerts.map(({ cut }) => cut)).toEqual([false, true])
    expect(new Set(alerts.map(({ id }) => id)).size).toBe(1)
    watcher.set(watchSchema.parse({}))
    clock.advance(5000)
    scan()
    expect(alerts.at(-1)).toMatchObject({ cut: false, id: alerts[0]!.id })
  })

  test('are of what is on, and cut where that is asked for', () => {
    const { alerts, watcher, see } = watching({ cut: ['port-scan'] })
    for (let port = 1; port <= 15; port++) see(syn(port))
    expect(alerts.at(-1)?.cut).toBe(true)
    watcher.set(watchSchema.parse({ off: ['port-scan'] }))
    for (let port = 1; port <= 15; port++) see(syn(port, '10.0.2.33'))
    watcher.set(watchSchema.parse({ enabled: false, patterns: [{ name: 'x', bytes: 'xx' }] }))
    see(udpFrame(ENDS, 1, 2, 'xxxx'))
    expect(alerts).toHaveLength(1)
  })

  test('are few, however many things a machine makes up, and count them all', () => {
    const { alerts, clock, see } = watching()
    const lies = (): void => {
      for (let at = 0; at < 5000; at++) {
        const from = `10.1.${at >> 8}.${at & 255}`
        const lie = { operation: ARP.reply, senderMac: GOOD.mac, senderIp: parseIp(from)!, targetMac: 0, targetIp: parseIp(ENDS.to)! }
        const frame = buildArp(BROADCAST, lie)
        writeMac(frame, 6, EVIL.mac)
        see(frame)
        if (at % 10 === 0) clock.advance(10)
      }
    }
    lies()
    expect(new Set(alerts.map(({ id }) => id)).size).toBeLessThan(10)
    expect(alerts.length).toBeLessThan(30)
    expect(alerts.at(-1)!.count).toBeGreaterThan(2000)
    // Other machines' alerts, and later ones, have their own.
    for (let port = 1; port <= 15; port++) see(syn(port), GOOD)
    expect(alerts.at(-1)).toMatchObject({ port: GOOD.port, count: 1 })
    clock.advance(61_000)
    const before = new Set(alerts.map(({ id }) => id)).size
    lies()
    expect(new Set(alerts.map(({ id }) => id)).size).toBeGreaterThan(before)
  })

  test('come of no bytes that are none', () => {
    const { alerts, see } = watching({ patterns: [{ name: 'x', bytes: 'never there' }] })
    for (let seed = 0; seed < 3000; seed++) {
      const frame = Uint8Array.from({ length: 14 + (seed % 120) }, (_, at) => (seed * (at + 7) * 2_654_435_761) >>> 24)
      frame.set(
        [
          [8, 0],
          [8, 6],
          [0x86, 0xdd],
        ][seed % 3]!,
        12,
      )
      frame.set([0x52, 0x54, 0, 0, 0, 1], 6)
      see(frame)
    }
    expect(alerts).toEqual([])
  })
})
