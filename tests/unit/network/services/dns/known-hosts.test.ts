import { describe, expect, it } from 'vitest'
import { hostLabel, knownHosts, labelHosts } from '../../../../../src-main/network/services/dns/known-hosts.ts'
import { formatIp, parseIp } from '../../../../../src-shared/model/ip.ts'

const address = parseIp('10.0.0.9')!
const host = (names: string[], said: string[] = []) => ({ names, said, addresses: [address] })

describe('names of machines', () => {
  it.each([
    ['Web server 2', 'web-server-2'],
    ['Müller’s PC', 'muller-s-pc'],
    ['debian.12', 'debian-12'],
    ['--a--', 'a'],
    ['сервер', null],
    ['', null],
    ['a'.repeat(62) + '.b', 'a'.repeat(62)],
  ])('%s is %s', (text, label) => {
    expect(hostLabel(text)).toBe(label)
  })

  it('doubles are numbered, and nobody takes another’s by saying so', () => {
    const off = { names: ['db'], said: [], addresses: [] }
    const [one, two, thief] = [host(['web']), host(['Web!']), host(['other'], ['web', 'gateway.lab', 'wpad', 'db', 'free.lab'])]
    const labels = labelHosts([thief, one, two, off], new Set(['gateway']))
    expect([...labels].map(([label, { names }]) => `${label}=${names[0]}`)).toEqual([
      'other=other',
      'web=web',
      'web-2=Web!',
      'db=db',
      'web-3=other',
      'gateway-2=other',
      'db-2=other',
      'free=other',
    ])
  })

  it('come of machines with all their cards, of reservations and leases', () => {
    const lease = (mac: string, at: string, hostName: string | null) => ({ network: 'lab', mac, address: at, hostName, from: 0, until: 1 })
    const hosts = knownHosts(
      [
        { name: 'Router', macs: ['02:00:00:00:00:01', '02:00:00:00:00:02'] },
        { name: 'Off', macs: ['02:00:00:00:00:03'] },
      ],
      [
        { mac: '02:00:00:00:00:02', address: '10.0.0.50', name: 'edge' },
        { mac: '02:00:00:00:00:04', address: '10.0.0.60', name: 'printer' },
      ],
      [lease('02:00:00:00:00:01', '10.0.0.2', 'rt'), lease('02:00:00:00:00:05', '10.0.0.3', 'inner')],
      (mac) => (mac.endsWith('1') ? [parseIp('fd00::2')!, parseIp('10.0.0.2')!] : []),
    )
    expect(hosts.map(({ names, said, addresses }) => [names, said, addresses.map(formatIp)])).toEqual([
      [['edge', 'Router'], ['rt'], ['10.0.0.2', 'fd00::2', '10.0.0.50']],
      [['Off'], [], []],
      [['printer'], [], ['10.0.0.60']],
      [[], ['inner'], ['10.0.0.3']],
    ])
  })
})
