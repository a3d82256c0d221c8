import { describe, expect, it } from 'vitest'
import { classlessRoutes, hostNameOf, maskOf, OPTION } from '../../../../../src-main/network/services/dhcp/options.ts'
import { utf8 } from '../../../../../src-shared/base/bytes.ts'
import { parseIpv4, parseSubnet } from '../../../../../src-shared/model/ip.ts'

describe('DHCP options', () => {
  it('routes are written as RFC 3442 has them', () => {
    const via = parseIpv4('10.0.0.1')!
    const route = (subnet: string) => ({ to: parseSubnet(subnet)!, via })
    expect([...classlessRoutes([route('10.17.0.0/16'), route('10.229.0.128/25'), route('0.0.0.0/0')])]).toEqual([
      16, 10, 17, 10, 0, 0, 1, 25, 10, 229, 0, 128, 10, 0, 0, 1, 0, 10, 0, 0, 1,
    ])
  })

  it('masks', () => {
    expect([...maskOf(parseSubnet('10.0.2.0/24')!)]).toEqual([255, 255, 255, 0])
    expect([...maskOf(parseSubnet('10.0.0.8/29')!)]).toEqual([255, 255, 255, 248])
  })

  it('a machine’s name is that of option 12, else of option 81 in both its spellings, without control characters', () => {
    expect(hostNameOf(new Map())).toBeNull()
    expect(hostNameOf(new Map([[OPTION.hostName, utf8('web\u001b[31m\u202e')]]))).toBe('web[31m')
    expect(hostNameOf(new Map([[OPTION.fullName, Uint8Array.of(0, 0, 0, ...utf8('pc.lab'))]]))).toBe('pc.lab')
    expect(hostNameOf(new Map([[OPTION.fullName, Uint8Array.of(4, 0, 0, 2, 112, 99, 3, 108, 97, 98, 0)]]))).toBe('pc.lab')
    expect(hostNameOf(new Map([[OPTION.fullName, Uint8Array.of(4, 0, 0, 63, 112)]]))).toBeNull()
    expect(hostNameOf(new Map([[OPTION.hostName, new Uint8Array(600).fill(97)]]))).toHaveLength(255)
  })
})
