import { expect, test } from 'vitest'
import { UsageError } from '../../../../../src-main/app/cli/errors.ts'
import { NETWORK_KEYS, networkPatchOf } from '../../../../../src-main/app/cli/net/settable.ts'
import { networkPatchSchema, networkSchema, type NetworkPatch } from '../../../../../src-shared/model/network.ts'

const NETWORK = networkSchema.parse({
  name: 'lab',
  ipv4: '10.0.5.0/24',
  dhcp: { reservations: [{ mac: '52:54:00:00:00:01', address: '10.0.5.9' }] },
})
const set = (...assignments: string[]): NetworkPatch => networkPatchOf(assignments, NETWORK)

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
  expect(networkPatchOf(['record=web.lab='], { ...NETWORK, dns: { ...NETWORK.dns, records: records } }).dns!.records).toHaveLength(1)
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
  ] as const)
    expect(() => set(text)).toThrow(sentence)
})

test('each key makes a valid change', () => {
  const values: Record<string, string> = {
    ...{ kind: 'segment', mtu: '1400', 'dhcp-range': '10.0.5.2-10.0.5.9', 'lease-time': '1h', reserve: '52:54:00:00:00:03=10.0.5.11' },
    ...{ router: '10.0.5.1', 'boot-file': 'a', 'boot-server': '10.0.5.1', tftp: '/srv', domain: 'a.b', upstream: '9.9.9.9' },
    ...{ record: 'a.b=AAAA=fd00::1', capture: '1M', 'watch-off': 'dns-tunnel', 'watch-cut': '', interface: 'eth0', ipv4: '', ipv6: '' },
  }
  for (const key of Object.keys(NETWORK_KEYS))
    expect(networkPatchSchema.safeParse(set(`${key}=${values[key] ?? 'on'}`)).error, key).toBeUndefined()
})
