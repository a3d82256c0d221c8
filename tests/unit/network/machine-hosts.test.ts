import { describe, expect, test } from 'vitest'
import { addressOf, hostsOf, type AddressSources } from '../../../src-main/network/machine-hosts.ts'
import { PolicyLog } from '../../../src-main/network/policy/policy-log.ts'
import { formatIp, parseIp } from '../../../src-shared/model/ip.ts'
import type { Plug } from '../../../src-shared/threads/network-thread.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { udpFrame } from '../../support/frames.ts'

const plug = (machine: string, mac: number): Plug => ({ machine, name: `old ${machine}`, mac: `52:54:00:00:00:0${mac}` }) as Plug
const ip = (text: string) => parseIp(text)!
const SOURCES: AddressSources = {
  reservations: [{ mac: '52:54:00:00:00:02', address: '10.0.2.9', name: null }],
  leased: (mac) => (mac === 0x5254_0000_0001 ? ip('10.0.2.5') : null),
  seen: (mac) => (mac === 0x5254_0000_0003 ? [ip('fd00::3'), ip('10.0.2.3')] : []),
}

describe('a machine', () => {
  test.each([
    ['by its lease', [plug('a', 1)], '10.0.2.5'],
    ['by what is reserved for it', [plug('a', 2)], '10.0.2.9'],
    ['by what it was heard under, IPv4 first', [plug('a', 3)], '10.0.2.3'],
    ['by the first card that has an address', [plug('b', 1), plug('a', 4), plug('a', 2)], '10.0.2.9'],
  ])('is reached %s', (_how, plugs, address) => {
    expect(formatIp(addressOf('a', plugs, SOURCES)!)).toBe(address)
  })

  test('without an address is not reached', () => {
    expect(addressOf('a', [plug('a', 4), plug('b', 1)], SOURCES)).toBeNull()
  })

  test('has its name of now, and keeps it while it is off or elsewhere', () => {
    const hosts = hostsOf([plug('a', 1), plug('a', 3), plug('c', 4)], { a: 'Web', b: 'db' }, [], SOURCES)
    expect(hosts.map(({ names, addresses }) => [names[0], addresses.map(formatIp).toSorted()])).toEqual(
      expect.arrayContaining([
        ['Web', ['10.0.2.3', 'fd00::3']],
        ['db', []],
        ['old c', []],
      ]),
    )
  })
})

test('the policy’s log tells of ten frames a second, and not what private machines say', () => {
  const clock = new FakeClock()
  const log = new PolicyLog('lab', clock)
  const frame = udpFrame({ from: '10.0.2.15', to: '10.0.2.16' }, 4000, 53, 'secret')
  const line = (isPrivate = false): string | null => log.line('web', 'db', frame, () => isPrivate)
  expect(line()).toMatch(/^Network “lab”, from web to db: \S+ 10\.0\.2\.15 → 10\.0\.2\.16 ./)
  expect(line(true)).toMatch(/→ 10\.0\.2\.16$/)
  const more = Array.from({ length: 20 }, () => line())
  expect(more.filter((one) => one !== null)).toHaveLength(8)
  clock.advance(1000)
  expect(line()).not.toBeNull()
})
