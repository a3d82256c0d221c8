import { expect, test } from 'vitest'
import { UsageError } from '../../../../../src-main/app/cli/errors.ts'
import { NETWORK_KEYS, networkPatchOf } from '../../../../../src-main/app/cli/net/settable.ts'
import { ruleWords } from '../../../../../src-main/app/cli/net/words.ts'
import { networkPatchSchema, networkSchema, type NetworkPatch } from '../../../../../src-shared/model/network.ts'

const NETWORK = networkSchema.parse({
  name: 'lab',
  ipv4: '10.0.5.0/24',
  dhcp: { reservations: [{ mac: '52:54:00:00:00:01', address: '10.0.5.9' }] },
})
const MACHINE = '7f3c1f6e-93c1-4c5e-9d39-5a3a0d3b1a11'
const machineOf = (name: string): string => {
  if (name !== 'web-1') throw new Error(`There is no machine “${name}”.`)
  return MACHINE
}
const set = (...assignments: string[]): NetworkPatch => networkPatchOf(assignments, NETWORK, machineOf)

test('what several keys change of one field comes together', () => {
  expect(set('dhcp=off', 'dhcp-range=10.0.5.50-10.0.5.99', 'lease-time=2h', 'boot-file=pxelinux.0').dhcp).toEqual({
    ...NETWORK.dhcp,
    ...{ enabled: false, from: '10.0.5.50', to: '10.0.5.99', leaseTime: 7200, bootFile: 'pxelinux.0' },
  })
  expect(set('dhcp-range=').dhcp).toMatchObject({ from: null, to: null })
})

test('reservations and records are added and taken back', () => {
  expect(set('reserve=52:54:00:00:00:02=10.0.5.10=db', 'reserve=52:54:00:00:00:01=').dhcp!.reservations).toEqual([
    { mac: '52:54:00:00:00:02', address: '10.0.5.10', name: 'db' },
  ])
  expect(() => set('reserve=52:54:00:00:00:09=')).toThrow(UsageError)
  const { records } = set('record=web.lab=A=10.0.5.9', 'record=note.lab=TXT=a=b').dns!
  expect(records).toEqual([
    { name: 'web.lab', type: 'A', value: '10.0.5.9' },
    { name: 'note.lab', type: 'TXT', value: 'a=b' },
  ])
  expect(
    networkPatchOf(['record=web.lab='], { ...NETWORK, dns: { ...NETWORK.dns, records: records } }, machineOf).dns!.records,
  ).toHaveLength(1)
})

test('zones, rules and patterns', () => {
  const { policy } = set('zone=guests=web-1,web-1', 'rules=guests:gateway:allow:udp:53,guests:*:deny,*:*:log', 'otherwise=deny')
  expect(policy).toEqual({
    zones: [{ name: 'guests', machines: [MACHINE] }],
    rules: [
      { from: 'guests', to: 'gateway', protocol: 'udp', port: 53, action: 'allow' },
      { from: 'guests', to: '*', protocol: 'any', port: null, action: 'deny' },
      { from: '*', to: '*', protocol: 'any', port: null, action: 'log' },
    ],
    otherwise: 'deny',
  })
  expect(policy!.rules.map(ruleWords).join()).toBe('guests:gateway:allow:udp:53,guests:*:deny,*:*:log')
  const again = networkPatchOf(['zone=guests=', 'rules=', 'otherwise=allow'], { ...NETWORK, policy: policy! }, machineOf)
  expect(again.policy).toEqual(NETWORK.policy)
  expect(set('pattern=beacon=0xdeadbeef', 'pattern=words=a=b', 'pattern=beacon=').watch!.patterns).toEqual([
    { name: 'words', bytes: 'a=b' },
  ])
})

test('the rest', () => {
  expect(
    set('host-access=on', 'ntp=off', 'ipv6=', 'mtu=9000', 'capture=off', 'watch-cut=port-scan,arp-spoofing', 'kind=host-only'),
  ).toMatchObject({
    ...{ hostAccess: true, ntp: false, ipv6: null, mtu: 9000, captureBytes: 0, kind: 'host-only' },
    watch: { cut: ['port-scan', 'arp-spoofing'] },
  })
})

test('what cannot be is refused with the key', () => {
  for (const [text, sentence] of [
    ['speed=fast', /no key “speed”/],
    ['mtu', /Write mtu=VALUE/],
    ['mtu=9', /mtu: “9” is not an MTU/],
    ['watch-off=dragons', /watch-off: “dragons”/],
    ['record=a=MX=b', /record: “MX”/],
    ['record=a', /record: Write it as/],
    ['record=a=', /record: There is no record of “a”/],
    ['dhcp-range=10.0.5.9', /dhcp-range: Write the first and the last/],
    ['zone=guests', /zone: Write it as/],
    ['zone=guests=', /zone: There is no zone “guests”/],
    ['zone=guests=db', /no machine “db”/],
    ['rules=guests:gateway', /rules: “guests:gateway” is not a rule/],
    ['rules=*:*:drop', /rules: “drop” is not what a rule does/],
    ['rules=*:*:deny:arp:25', /only TCP and UDP have ports/],
    ['rules=*:*:deny:tcp:0', /rules: “0” is not a port/],
    ['pattern=x=', /pattern: There is no pattern “x”/],
  ] as const)
    expect(() => set(text)).toThrow(sentence)
})

test('each key makes a valid change', () => {
  const values: Record<string, string> = {
    ...{ kind: 'segment', mtu: '1400', 'dhcp-range': '10.0.5.2-10.0.5.9', 'lease-time': '1h', reserve: '52:54:00:00:00:03=10.0.5.11' },
    ...{ router: '10.0.5.1', 'boot-file': 'a', 'boot-server': '10.0.5.1', tftp: '/srv', domain: 'a.b', upstream: '9.9.9.9' },
    ...{ 'dhcp-dns': '9.9.9.9', pattern: 'a=secret', zone: 'guests=web-1', rules: '*:*:log', otherwise: 'deny' },
    ...{ record: 'a.b=AAAA=fd00::1', capture: '1M', 'watch-off': 'dns-tunnel', 'watch-cut': '', interface: 'eth0', ipv4: '', ipv6: '' },
  }
  for (const key of Object.keys(NETWORK_KEYS))
    expect(networkPatchSchema.safeParse(set(`${key}=${values[key] ?? 'on'}`)).error, key).toBeUndefined()
})
