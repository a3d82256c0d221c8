import { describe, expect, test } from 'vitest'
import { freeIpv4, freeIpv6, subnetsMeet } from '../../../../src-main/host/networks/choose-subnet.ts'
import { parseSubnet, type Subnet } from '../../../../src-shared/model/ip.ts'

const subnets = (...texts: string[]): Subnet[] => texts.map((text) => parseSubnet(text)!)

test.each([
  ['10.0.2.0/24', '10.0.2.128/25', true],
  ['10.0.0.0/8', '10.0.2.0/24', true],
  ['10.0.2.0/24', '10.0.3.0/24', false],
  ['0.0.0.0/0', '10.0.3.0/24', true],
  ['10.0.2.0/24', 'fd00::/64', false],
  ['fd00:1::/64', 'fd00:1::/48', true],
])('%s and %s: %s', (a, b, meet) => {
  const [one, other] = subnets(a, b)
  expect([subnetsMeet(one!, other!), subnetsMeet(other!, one!)]).toEqual([meet, meet])
})

describe('a subnet that is chosen', () => {
  test('is the first that meets none that is taken', () => {
    expect(freeIpv4([])).toBe('10.0.2.0/24')
    expect(freeIpv4(subnets('10.0.2.0/23', 'fd00::/8'))).toBe('10.0.4.0/24')
    expect(freeIpv4(subnets('10.0.0.0/8'))).toBe('172.30.0.0/24')
    expect(freeIpv4(subnets('10.0.0.0/8', '172.16.0.0/12'))).toBe('192.168.100.0/24')
    expect(freeIpv4(subnets('0.0.0.0/0'))).toBeNull()
  })

  test('is a unique local one of IPv6, and another where that is taken', () => {
    let next = 0
    const random = (bytes: Uint8Array): void => void bytes.fill(++next)
    expect(freeIpv6([], random)).toBe('fd01:101:101::/64')
    next = 0
    expect(freeIpv6(subnets('fd01:101:101::/48'), random)).toBe('fd02:202:202::/64')
    expect(freeIpv6([])).toMatch(/^fd[0-9a-f]{2}:/)
  })
})
