import { expect, test } from 'vitest'
import {
  makeDefault,
  portOf,
  routerProblem,
  withForward,
  withNetwork,
  withoutNetwork,
  withPatch,
  withPort,
  withRouter,
} from '../../../../src-main/host/networks/network-edits.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { parseSubnet } from '../../../../src-shared/model/ip.ts'
import { MAX_PORTS, newNetworkSchema, NO_IMPAIRMENT, type Network, type Networks } from '../../../../src-shared/model/network.ts'

const EMPTY: Networks = { schema: 1, networks: [makeDefault([], [])], routers: [], ports: [], map: {} }
const make = (now: Networks, wish: object): Networks => withNetwork(now, newNetworkSchema.parse(wish), [])
const named = (now: Networks, name: string): Network => now.networks.find((network) => network.name === name)!

function fieldsOf(work: () => unknown): string[] {
  try {
    work()
  } catch (error) {
    if (error instanceof AppError) return error.details.fields?.map(({ path }) => path) ?? []
    throw error
  }
  throw new Error('It was taken.')
}

test('the default network keeps out of the way of this computer’s', () => {
  expect(makeDefault([], [parseSubnet('10.0.2.0/24')!])).toMatchObject({ name: 'default', kind: 'nat', ipv4: '10.0.3.0/24' })
})

test('subnets that are left out are chosen, those that are given are taken, none is none', () => {
  let now = make(EMPTY, { name: 'a' })
  now = make(now, { name: 'b', ipv4: '10.9.0.0/16', ipv6: null })
  now = make(now, { name: 'c', kind: 'segment' })
  expect(['a', 'b', 'c'].map((name) => named(now, name).ipv4)).toEqual(['10.0.3.0/24', '10.9.0.0/16', null])
  expect(named(now, 'a').ipv6).toMatch(/^fd/)
  expect([named(now, 'b').ipv6, named(now, 'c').ipv6]).toEqual([null, null])
  expect(fieldsOf(() => make(now, { name: 'a' }))).toEqual(['name'])
  // A segment that is to reach outside needs some.
  expect(named(withPatch(now, 'c', { kind: 'nat' }, []), 'c').ipv4).toBe('10.0.4.0/24')
  expect(fieldsOf(() => withPatch(now, 'c', { kind: 'nat', ipv4: null, ipv6: null }, []))).toEqual(['ipv4'])
})

test('a change keeps what it does not name, and reports every wrong field', () => {
  const now = make(EMPTY, { name: 'a', mtu: 1400, hostAccess: true })
  expect(named(withPatch(now, 'a', { ntp: false }, []), 'a')).toEqual({ ...named(now, 'a'), ntp: false })
  const dhcp = { ...named(now, 'a').dhcp, from: '10.77.0.1', to: '10.0.3.255' }
  expect(fieldsOf(() => withPatch(now, 'a', { dhcp }, []))).toEqual(['dhcp.from', 'dhcp.to'])
})

test('two forwards do not listen at one place, in whatever network', () => {
  const forward = { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, guest: '10.0.2.15', guestPort: 80 } as const
  const now = make(withForward(EMPTY, 'default', forward), { name: 'a' })
  const inA = { ...forward, guest: '10.0.3.15' }
  expect(fieldsOf(() => withForward(now, 'a', inA))).toEqual(['forwards.0.hostPort'])
  expect(fieldsOf(() => withForward(now, 'a', { ...inA, hostAddress: '0.0.0.0' }))).toEqual(['forwards.0.hostPort'])
  expect(fieldsOf(() => withForward(now, 'a', { ...inA, hostPort: 1, guest: '10.0.2.15' }))).toEqual(['forwards.0.guest'])
  expect(named(withForward(now, 'a', { ...inA, protocol: 'udp' }), 'a').forwards).toHaveLength(1)
})

test('nor do two of one network; each family has its ports', () => {
  const forward = { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, guest: '10.0.2.15', guestPort: 80 } as const
  const now = withForward(EMPTY, 'default', forward)
  for (const hostAddress of ['127.0.0.1', '0.0.0.0'])
    expect(() => withForward(now, 'default', { ...forward, hostAddress })).toThrow(/port 8080 of 127\.0\.0\.1 is forwarded .* already/)
  const six = withForward(now, 'default', { ...forward, hostAddress: '::' })
  expect(fieldsOf(() => withForward(six, 'default', { ...forward, hostAddress: '0:0::1' }))).toEqual(['forwards.2.hostPort'])
  expect(named(withForward(six, 'default', { ...forward, hostPort: 8081 }), 'default').forwards).toHaveLength(3)
  for (const kind of ['segment', 'bridged'])
    expect(() => withForward(make(EMPTY, { name: 'a', kind }), 'a', { ...forward, guest: '10.9.0.2' })).toThrow(/forwards no ports/)
})

test('what no person means is refused, and does not hold up other changes where it was so before', () => {
  for (const ipv4 of ['127.0.0.0/8', '0.0.0.0/8', '169.254.7.0/24', '224.0.0.0/8', '255.255.255.0/24'])
    expect(
      fieldsOf(() => make(EMPTY, { name: 'a', ipv4 })),
      ipv4,
    ).toEqual(['ipv4'])
  for (const ipv6 of ['::/64', 'fe80::/64', 'ff02::/64'])
    expect(
      fieldsOf(() => make(EMPTY, { name: 'a', ipv6 })),
      ipv6,
    ).toEqual(['ipv6'])
  const { dhcp } = named(EMPTY, 'default')
  const reversed = { ...dhcp, from: '10.0.2.9', to: '10.0.2.5' }
  expect(fieldsOf(() => withPatch(EMPTY, 'default', { dhcp: reversed }, []))).toEqual(['dhcp.from'])
  const reservations = [{ mac: '52:54:00:00:00:01', address: '10.0.2.1', name: null }]
  expect(fieldsOf(() => withPatch(EMPTY, 'default', { dhcp: { ...dhcp, reservations } }, []))).toEqual(['dhcp.reservations.0.address'])
  const before = { ...EMPTY, networks: [{ ...named(EMPTY, 'default'), dhcp: reversed }] }
  expect(named(withPatch(before, 'default', { ntp: false }, []), 'default')).toMatchObject({ ntp: false, dhcp: reversed })
})

test('a router gets addresses that are free, and goes out of a network that is removed', () => {
  let now = withRouter(make(EMPTY, { name: 'a' }), {
    name: 'r1',
    interfaces: [
      { network: 'a', ipv4: null, ipv6: null },
      { network: 'default', ipv4: '10.0.2.9', ipv6: null },
    ],
  })
  now = withRouter(now, { name: 'r2', interfaces: [{ network: 'a', ipv4: null, ipv6: null }] })
  expect(now.routers.map(({ interfaces }) => interfaces.map(({ ipv4 }) => ipv4))).toEqual([['10.0.3.254', '10.0.2.9'], ['10.0.3.253']])
  expect(routerProblem(now.routers[0]!, now)).toBeNull()
  const wrong = [
    { network: 'a', ipv4: '10.0.3.1', ipv6: null },
    { network: 'nowhere', ipv4: null, ipv6: null },
    { network: 'a', ipv4: null, ipv6: null },
  ]
  expect(fieldsOf(() => withRouter(now, { name: 'r3', interfaces: wrong }))).toEqual(
    expect.arrayContaining(['interfaces.0.ipv4', 'interfaces.1.network', 'interfaces.2.network']),
  )
  expect(withoutNetwork(now, 'a').routers[0]!.interfaces.map(({ network }) => network)).toEqual(['default'])
  expect(() => withoutNetwork(now, 'default')).toThrow(/stays/)
  // Two networks with the same addresses cannot be told apart.
  const twins = make(make(EMPTY, { name: 'x', ipv4: '10.9.0.0/24' }), { name: 'y', ipv4: '10.9.0.0/24' })
  const joined = withRouter(twins, { name: 'r', interfaces: ['x', 'y'].map((network) => ({ network, ipv4: null, ipv6: null })) })
  expect(routerProblem(joined.routers[0]!, joined)?.message).toContain('the same addresses')
})

test('a card that is as every other is not kept', () => {
  const cut = withPort(EMPTY, { machine: crypto.randomUUID(), nic: 'nic0', cut: true })
  const { machine, nic } = cut.ports[0]!
  expect(portOf(cut, machine, nic)).toEqual({ machine, nic, cut: true, impairment: NO_IMPAIRMENT })
  const worse = withPort(cut, { machine, nic, impairment: { ...NO_IMPAIRMENT, loss: 5 } })
  expect(worse.ports).toMatchObject([{ cut: true, impairment: { loss: 5 } }])
  expect(withPort(withPort(worse, { machine, nic, cut: false }), { machine, nic, impairment: NO_IMPAIRMENT }).ports).toEqual([])
})

test('cards of machines that are gone make room for others', () => {
  const gone = Array.from({ length: MAX_PORTS }, () => ({
    machine: crypto.randomUUID(),
    nic: 'nic0',
    impairment: NO_IMPAIRMENT,
    cut: true,
  }))
  const [here, other] = [crypto.randomUUID(), crypto.randomUUID()]
  const isThere = (id: string): boolean => id === here
  const one = withPort({ ...EMPTY, ports: gone.slice(1) }, { machine: here, nic: 'nic0', cut: true }, isThere)
  expect(one.ports).toHaveLength(MAX_PORTS)
  expect(withPort(one, { machine: other, nic: 'nic0', cut: true }, isThere).ports.map(({ machine }) => machine)).toEqual([here, other])
})

test('a pattern that was to be bytes and is none is refused, unless it was there already', () => {
  const patterns = (...bytes: string[]) => bytes.map((text, at) => ({ name: `p${at}`, bytes: text }))
  const watch = { ...named(EMPTY, 'default').watch, patterns: patterns('0xabc') }
  const of = (...bytes: string[]) => withPatch(EMPTY, 'default', { watch: { ...watch, patterns: patterns(...bytes) } }, [])
  expect(fieldsOf(() => of('0xDEad', 'x0', '0xzz'))).toEqual(['watch.patterns.2.bytes'])
  expect(fieldsOf(() => of('0x'))).toEqual(['watch.patterns.0.bytes'])
  const before = { ...EMPTY, networks: EMPTY.networks.map((network) => ({ ...network, watch })) }
  expect(named(withPatch(before, 'default', { ntp: false }, []), 'default').watch).toEqual(watch)
})
