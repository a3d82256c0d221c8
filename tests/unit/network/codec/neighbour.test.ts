import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ICMPV6 } from '../../../../src-main/network/codec/icmp.ts'
import {
  buildNeighbour,
  macIn,
  parseNeighbour,
  type NeighbourMessage,
  type NeighbourOption,
} from '../../../../src-main/network/codec/neighbour.ts'
import { maskIp, parseIp } from '../../../../src-shared/model/ip.ts'
import { takesAnyBytes } from '../../../support/any-bytes.ts'
import { byte, bytes, half, ipv6, mac, word } from './arbitrary.ts'

const label = fc.stringMatching(/^[a-z0-9-]{1,63}$/)
const preference = fc.constantFrom('high' as const, 'medium' as const, 'low' as const)
const option: fc.Arbitrary<NeighbourOption> = fc.oneof(
  fc.record({ kind: fc.constantFrom('source-mac' as const, 'target-mac' as const), mac }),
  fc.record({
    ...{ kind: fc.constant('prefix' as const), address: ipv6, prefix: fc.nat(128), onLink: fc.boolean(), autonomous: fc.boolean() },
    ...{ valid: word, preferred: word },
  }),
  fc.record({ kind: fc.constant('mtu' as const), mtu: word }),
  fc.tuple(ipv6, fc.nat(128), preference, word).map(([address, prefix, preferred, lifetime]) => ({
    ...{ kind: 'route' as const, address: maskIp(address, prefix), prefix, preference: preferred, lifetime },
  })),
  fc.record({ kind: fc.constant('servers' as const), lifetime: word, addresses: fc.array(ipv6, { minLength: 1, maxLength: 4 }) }),
  fc.record({
    ...{ kind: fc.constant('domains' as const), lifetime: word },
    names: fc.array(
      fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join('.')),
      { minLength: 1, maxLength: 3 },
    ),
  }),
)
const options = fc.array(option, { maxLength: 6 })
/** No group. */
const target = ipv6.map((address) => Uint8Array.from([0xfd, ...address.subarray(1)]))
const message: fc.Arbitrary<NeighbourMessage> = fc.oneof(
  fc.record({ kind: fc.constant('neighbour-solicitation' as const), target, options }),
  fc.record({
    ...{ kind: fc.constant('neighbour-advertisement' as const), target, options },
    ...{ router: fc.boolean(), solicited: fc.boolean(), override: fc.boolean() },
  }),
  fc.record({ kind: fc.constant('router-solicitation' as const), options }),
  fc.record({
    ...{ kind: fc.constant('router-advertisement' as const), hopLimit: byte, managed: fc.boolean(), other: fc.boolean() },
    ...{ preference, lifetime: half, reachable: word, retransmit: word, options },
  }),
)

describe('neighbour discovery', () => {
  it('reads back what was built', () => {
    fc.assert(
      fc.property(message, (built) => {
        const icmp = buildNeighbour(built)
        expect(icmp.body.length % 8).toBe(0)
        expect(parseNeighbour(icmp)).toEqual(built)
      }),
    )
  })

  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 130, max: 140 }), fc.nat(1), word, bytes(), (type, code, rest, body) => {
        parseNeighbour({ type, code, rest, body })
      }),
    )
    for (const type of [133, 134, 135, 136])
      takesAnyBytes(
        (body) => parseNeighbour({ type, code: 0, rest: 0, body }),
        message.map((built) => buildNeighbour(built).body).filter(({ length }) => length > 0),
        200,
      )
  })

  it('refuses options that end nowhere, groups as targets and what is too short', () => {
    const icmp = (type: number, body: Uint8Array) => parseNeighbour({ type, code: 0, rest: 0, body })
    expect(icmp(ICMPV6.routerSolicitation, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))).toBeNull()
    expect(icmp(ICMPV6.routerSolicitation, Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0))).toBeNull()
    expect(icmp(ICMPV6.routerSolicitation, Uint8Array.of(1))).toBeNull()
    expect(icmp(ICMPV6.neighbourSolicitation, parseIp('ff02::1')!)).toBeNull()
    expect(icmp(ICMPV6.neighbourSolicitation, new Uint8Array(15))).toBeNull()
    expect(icmp(ICMPV6.routerAdvertisement, new Uint8Array(7))).toBeNull()
    expect(icmp(ICMPV6.echoRequest, new Uint8Array(16))).toBeNull()
    expect(parseNeighbour({ type: ICMPV6.routerSolicitation, code: 1, rest: 0, body: new Uint8Array() })).toBeNull()
    // A nonce (RFC 3971) is not known here, and no reason to refuse.
    expect(icmp(ICMPV6.routerSolicitation, Uint8Array.of(14, 1, 1, 2, 3, 4, 5, 6))).toEqual({ kind: 'router-solicitation', options: [] })
  })

  it('reads a router advertisement as radvd sends it', () => {
    const body = Uint8Array.from(
      Buffer.from(
        '0000000000000000' + // times
          '030440c0000151800000384000000000fd000000000000000000000000000000' +
          '190300000000012cfd000000000000000000000000000001' +
          '1f04000000000e10036c616208696e7465726e616c0000000000000000000000' +
          '05010000000005dc' +
          '0101525400123456',
        'hex',
      ),
    )
    const parsed = parseNeighbour({ type: ICMPV6.routerAdvertisement, code: 0, rest: 0x40400708, body })
    expect(parsed).toMatchObject({
      kind: 'router-advertisement',
      hopLimit: 64,
      managed: false,
      other: true,
      preference: 'medium',
      lifetime: 1800,
    })
    expect(parsed!.options).toEqual([
      {
        ...{ kind: 'prefix', address: parseIp('fd00::'), prefix: 64, onLink: true, autonomous: true },
        ...{ valid: 86_400, preferred: 14_400 },
      },
      { kind: 'servers', lifetime: 300, addresses: [parseIp('fd00::1')] },
      { kind: 'domains', lifetime: 3600, names: ['lab.internal'] },
      { kind: 'mtu', mtu: 1500 },
      { kind: 'source-mac', mac: 0x5254_0012_3456 },
    ])
    expect(macIn(parsed!.options, 'source-mac')).toBe(0x5254_0012_3456)
    expect(macIn(parsed!.options, 'target-mac')).toBeNull()
  })
})
