import { describe, expect, test } from 'vitest'
import { ARP, buildArp } from '../../../../src-main/network/codec/arp.ts'
import { ETHERNET_HEADER, ETHERTYPE, writeEthernet } from '../../../../src-main/network/codec/ethernet.ts'
import { buildIcmp, ICMPV6 } from '../../../../src-main/network/codec/icmp.ts'
import { ipHeaderBytes, PROTOCOL, writeIp } from '../../../../src-main/network/codec/ip.ts'
import { TCP, writeTcp } from '../../../../src-main/network/codec/tcp.ts'
import { buildUdp } from '../../../../src-main/network/codec/udp.ts'
import { compilePolicy, type Judge } from '../../../../src-main/network/policy/policy.ts'
import { parseIp } from '../../../../src-shared/model/ip.ts'
import { policySchema } from '../../../../src-shared/model/network.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import type { z } from 'zod'

/** Ports a and b are in the lab, s is a server, x is in no zone. */
const ZONES: Record<string, string> = { a: 'lab', b: 'lab', s: 'server', gateway: 'gateway' }
const ADDRESSES: Record<string, [string, string]> = {
  a: ['10.0.0.2', 'fd00::2'],
  b: ['10.0.0.3', 'fd00::3'],
  s: ['10.0.0.9', 'fd00::9'],
  x: ['10.0.0.7', 'fd00::7'],
}

function judge(policy: z.input<typeof policySchema>): { judge: Judge; clock: FakeClock } {
  const clock = new FakeClock()
  const zones = [{ name: 'lab' }, { name: 'server' }]
  return { judge: compilePolicy(policySchema.parse({ zones, ...policy }), (port) => ZONES[port] ?? 'others', clock)!, clock }
}

function ip(from: string, to: string, protocol: number, payload: Uint8Array, family: 4 | 6 = 4, flags = 0x4000, id = 0): Uint8Array {
  const [source, destination] = [from, to].map((port) => parseIp(ADDRESSES[port]![family === 4 ? 0 : 1])!) as [Uint8Array, Uint8Array]
  const header = ipHeaderBytes(source)
  const frame = new Uint8Array(ETHERNET_HEADER + header + payload.length)
  writeEthernet(frame, 2, 4, family === 4 ? ETHERTYPE.ipv4 : ETHERTYPE.ipv6)
  writeIp(frame, ETHERNET_HEADER, { source, destination, protocol, flags, id }, payload.length)
  frame.set(payload, ETHERNET_HEADER + header)
  return frame
}

function addressesOf(from: string, to: string, family: 4 | 6): [Uint8Array, Uint8Array] {
  const at = family === 4 ? 0 : 1
  return [parseIp(ADDRESSES[from]![at])!, parseIp(ADDRESSES[to]![at])!]
}

function tcp(from: string, to: string, sourcePort: number, destinationPort: number, family: 4 | 6 = 4): Uint8Array {
  const bytes = new Uint8Array(20)
  const segment = { sourcePort, destinationPort, sequence: 1, acknowledgment: 0, flags: TCP.syn, window: 1000, options: new Uint8Array() }
  writeTcp(bytes, 0, ...addressesOf(from, to, family), segment, 0)
  return ip(from, to, PROTOCOL.tcp, bytes, family)
}

function udp(from: string, to: string, sourcePort: number, destinationPort: number, bytes = 4): Uint8Array {
  return buildUdp(...addressesOf(from, to, 4), { sourcePort, destinationPort, payload: new Uint8Array(bytes) })
}

function arp(from: string, to: string): Uint8Array {
  const [senderIp, targetIp] = addressesOf(from, to, 4)
  return buildArp(4, { operation: ARP.request, senderMac: 2, senderIp, targetMac: 0, targetIp })
}

function echo(from: string, to: string, type: number): Uint8Array {
  return ip(from, to, PROTOCOL.icmp, buildIcmp(...addressesOf(from, to, 4), { type, code: 0, rest: 0x1234_0001, body: new Uint8Array(8) }))
}

test('without rules nothing is judged', () => {
  expect(compilePolicy(policySchema.parse({}), () => 'others', new FakeClock())).toBeNull()
})

describe('rules', () => {
  test('the first that fits decides, by zone, protocol and port', () => {
    const { judge: asked } = judge({
      rules: [
        { from: 'lab', to: 'server', protocol: 'tcp', port: 80, action: 'allow' },
        { from: '*', to: 'server', action: 'deny' },
        { from: 'others', to: 'lab', protocol: 'udp', action: 'log' },
      ],
    })
    expect(asked('a', 's', tcp('a', 's', 4000, 80))).toBe('allow')
    expect(asked('a', 's', tcp('a', 's', 4000, 80, 6))).toBe('allow')
    expect(asked('a', 's', tcp('a', 's', 4000, 22))).toBe('deny')
    expect(asked('x', 's', tcp('x', 's', 4000, 80))).toBe('deny')
    expect(asked('a', 'b', tcp('a', 'b', 4000, 22))).toBe('allow')
    expect(asked('x', 'a', ip('x', 'a', PROTOCOL.udp, udp('x', 'a', 5, 6)))).toBe('log')
    // Once for a conversation.
    expect(asked('x', 'a', ip('x', 'a', PROTOCOL.udp, udp('x', 'a', 5, 6)))).toBe('allow')
    expect(asked('a', 'gateway', tcp('a', 's', 4000, 443))).toBe('allow')
  })

  test('answers pass, and nothing else of who answers', () => {
    const { judge: asked } = judge({ rules: [{ from: 'lab', to: 'server', action: 'allow' }], otherwise: 'deny' })
    expect(asked('s', 'a', tcp('s', 'a', 80, 4000))).toBe('deny')
    expect(asked('a', 's', tcp('a', 's', 4000, 80))).toBe('allow')
    expect(asked('s', 'a', tcp('s', 'a', 80, 4000))).toBe('allow')
    expect(asked('s', 'a', tcp('s', 'a', 80, 4001))).toBe('deny')
    expect(asked('s', 'a', tcp('s', 'a', 4000, 80))).toBe('deny')
    // The same addresses from another's plug are another's.
    expect(asked('x', 'a', tcp('s', 'a', 80, 4000))).toBe('deny')
    expect(asked('a', 's', echo('a', 's', 8))).toBe('allow')
    expect(asked('s', 'a', echo('s', 'a', 0))).toBe('allow')
    expect(asked('s', 'b', echo('s', 'b', 8))).toBe('deny')
  })

  test('a conversation is forgotten when nothing passes', () => {
    const { judge: asked, clock } = judge({ rules: [{ from: 'lab', to: 'server', action: 'allow' }], otherwise: 'deny' })
    const there = ip('a', 's', PROTOCOL.udp, udp('a', 's', 5, 6))
    const back = ip('s', 'a', PROTOCOL.udp, udp('s', 'a', 6, 5))
    asked('a', 's', there)
    clock.advance(119_000)
    expect(asked('s', 'a', back)).toBe('allow')
    clock.advance(119_000)
    expect(asked('s', 'a', back)).toBe('allow')
    clock.advance(121_000)
    expect(asked('s', 'a', back)).toBe('deny')
  })

  test('who is where may be asked between those that may talk, and between no others', () => {
    const { judge: asked } = judge({
      rules: [
        { from: 'lab', to: 'server', protocol: 'tcp', port: 80, action: 'allow' },
        { from: '*', to: '*', action: 'deny' },
      ],
    })
    expect(asked('a', 's', arp('a', 's'))).toBe('allow')
    expect(asked('s', 'a', arp('s', 'a'))).toBe('allow')
    expect(asked('x', 'a', arp('x', 'a'))).toBe('deny')
    const named = judge({ rules: [{ from: 'lab', to: '*', protocol: 'arp', action: 'deny' }] }).judge
    expect(named('a', 's', arp('a', 's'))).toBe('deny')
    expect(named('s', 'a', arp('s', 'a'))).toBe('allow')
    expect(named('a', 's', tcp('a', 's', 1, 2))).toBe('allow')
  })

  test('fragments go with their first one', () => {
    const { judge: asked } = judge({
      rules: [
        { from: 'lab', to: 'server', protocol: 'udp', port: 53, action: 'allow' },
        { from: 'lab', to: 'server', protocol: 'udp', port: 99, action: 'deny' },
      ],
      otherwise: 'deny',
    })
    const first = (id: number, port: number): Uint8Array => ip('a', 's', PROTOCOL.udp, udp('a', 's', 5, port, 16), 4, 0x2000, id)
    const later = (id: number): Uint8Array => ip('a', 's', PROTOCOL.udp, new Uint8Array(8), 4, 3, id)
    expect(asked('a', 's', later(7))).toBe('deny')
    expect(asked('a', 's', first(7, 53))).toBe('allow')
    expect(asked('a', 's', later(7))).toBe('allow')
    expect(asked('a', 's', first(8, 99))).toBe('deny')
    expect(asked('a', 's', later(8))).toBe('deny')
    // Of an answer as well.
    const answer = udp('s', 'a', 53, 5, 16)
    expect(asked('s', 'a', ip('s', 'a', PROTOCOL.udp, answer, 4, 0x2000, 3))).toBe('allow')
    expect(asked('s', 'a', ip('s', 'a', PROTOCOL.udp, answer, 4, 3, 3))).toBe('allow')
  })

  test('what is no IP is judged by rules for everything alone', () => {
    const frame = new Uint8Array(60)
    frame.set([0x81, 0], 12)
    const { judge: asked } = judge({ rules: [{ from: '*', to: 'server', protocol: 'tcp', action: 'allow' }], otherwise: 'deny' })
    expect(asked('a', 's', frame)).toBe('deny')
    expect(asked('a', 's', new Uint8Array(14))).toBe('deny')
    expect(judge({ rules: [{ from: 'lab', to: 'server', action: 'allow' }], otherwise: 'deny' }).judge('a', 's', frame)).toBe('allow')
  })

  test('nothing gets past a rule in other clothes', () => {
    const { judge: asked } = judge({ rules: [{ from: 'others', to: 'lab', protocol: 'tcp', action: 'deny' }] })
    const plain = tcp('x', 'a', 4000, 22, 6)
    expect(asked('x', 'a', plain)).toBe('deny')
    /** The frame with tags behind its addresses. */
    const tagged = (...tags: number[][]): Uint8Array => Uint8Array.from([...plain.subarray(0, 12), ...tags.flat(), ...plain.subarray(12)])
    // Of priority alone: every machine takes it off.
    expect(asked('x', 'a', tagged([0x81, 0, 0x20, 0]))).toBe('deny')
    expect(asked('x', 'a', tagged([0x88, 0xa8, 0, 1], [0x81, 0, 0, 2]))).toBe('deny')
    expect(asked('x', 'a', tagged([0x81, 0, 0, 1], [0x81, 0, 0, 2], [0x81, 0, 0, 3]))).toBe('deny')
    expect(asked('x', 'a', tagged([0x81, 0, 0, 1]).subarray(0, 16))).toBe('deny')
    // Behind more headers than are read, or behind those of a fragment.
    const segment = plain.slice(ETHERNET_HEADER + 40)
    const options = (count: number, next: number): number[] =>
      Array.from({ length: count }, (_, at) => [at === count - 1 ? next : 60, 0, 1, 4, 0, 0, 0, 0]).flat()
    expect(asked('x', 'a', ip('x', 'a', 60, Uint8Array.from([...options(9, 6), ...segment]), 6))).toBe('deny')
    const fragment = Uint8Array.from([60, 0, 0, 1, 0, 0, 0, 7, ...options(1, 6), ...segment.subarray(0, 16)])
    expect(asked('x', 'a', ip('x', 'a', 44, fragment, 6))).toBe('deny')
    // What is readable and of another kind passes still.
    expect(asked('x', 'a', ip('x', 'a', 60, Uint8Array.from([...options(1, 17), ...new Uint8Array(8)]), 6))).toBe('allow')
  })

  test('who is the way out is told by the network alone', () => {
    const { judge: asked } = judge({ rules: [{ from: 'lab', to: '*', action: 'allow' }], otherwise: 'deny' })
    const told = (from: string, to: string, type: number): Uint8Array => {
      const [source, destination] = addressesOf(from, to, 6)
      return ip(from, to, PROTOCOL.icmpv6, buildIcmp(source, destination, { type, code: 0, rest: 0, body: new Uint8Array(32) }), 6)
    }
    for (const type of [ICMPV6.routerAdvertisement, ICMPV6.redirect]) {
      expect(asked('s', 'a', told('s', 'a', type))).toBe('deny')
      expect(asked('a', 's', told('a', 's', type))).toBe('allow')
      expect(asked('s', 'a', told('s', 'a', type))).toBe('deny')
      expect(asked('gateway', 'a', told('s', 'a', type))).toBe('allow')
    }
    expect(asked('s', 'a', told('s', 'a', ICMPV6.neighbourAdvertisement))).toBe('allow')
  })
})
