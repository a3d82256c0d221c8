import { describe, expect, it } from 'vitest'
import { judge } from '../../../../src-main/network/nat/address-policy.ts'
import type { NatOptions } from '../../../../src-main/network/nat/nat.ts'
import { parseIp, parseSubnet } from '../../../../src-shared/model/ip.ts'

const OPTIONS: NatOptions = {
  kind: 'nat',
  gateway: { ipv4: parseIp('10.0.2.1')!, ipv6: parseIp('fd00:2::1')! },
  subnets: [parseSubnet('10.0.2.0/24')!, parseSubnet('fd00:2::/64')!],
  hostAccess: false,
  linkLocalAccess: false,
}
const verdict = (address: string, more: Partial<NatOptions> = {}): string => judge(parseIp(address)!, { ...OPTIONS, ...more })

describe('where a machine may go', () => {
  it.each(['192.0.2.1', '8.8.8.8', '192.168.1.7', '10.0.3.1', '2001:db8::1', 'fd00:3::1', '64:ff9b::808:808', '2002:808:808::1'])(
    '%s is outside',
    (address) => {
      expect(verdict(address)).toBe('outside')
      expect(verdict(address, { kind: 'host-only' })).toBe('prohibited')
    },
  )

  it.each(['10.0.2.1', 'fd00:2::1'])('%s is the host, where it is open', (address) => {
    expect(verdict(address)).toBe('refused')
    expect(verdict(address, { hostAccess: true })).toBe('host')
    expect(verdict(address, { hostAccess: true, kind: 'host-only' })).toBe('host')
  })

  it.each([
    ...['127.0.0.1', '127.9.9.9', '0.0.0.0', '0.1.2.3', '10.0.2.77', '::', '::1', '::7f00:1', 'fd00:2::77'],
    // The same by another name.
    ...[
      '::ffff:127.0.0.1',
      '::ffff:10.0.2.1',
      '::ffff:8.8.8.8',
      '::ffff:0:127.0.0.1',
      '64:ff9b::127.0.0.1',
      '2002:7f00:1::',
      '64:ff9b::10.0.2.77',
    ],
  ])('%s is never reached', (address) => {
    expect(verdict(address)).toBe('prohibited')
    expect(verdict(address, { hostAccess: true, linkLocalAccess: true })).toBe('prohibited')
  })

  it.each([
    ...['169.254.169.254', '169.254.1.1', '100.100.100.200', '224.0.0.251', '255.255.255.255', '240.0.0.1'],
    ...['fe80::1', 'fec0::1', 'ff02::fb', 'fd00:ec2::254', '64:ff9b::169.254.169.254', '2002:a9fe:a9fe::'],
  ])('%s is reached where that is allowed alone', (address) => {
    expect(verdict(address)).toBe('prohibited')
    expect(verdict(address, { linkLocalAccess: true })).toBe('outside')
    expect(verdict(address, { linkLocalAccess: true, kind: 'host-only' })).toBe('prohibited')
  })
})
