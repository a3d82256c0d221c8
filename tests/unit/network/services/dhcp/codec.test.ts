import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildDhcp, DHCP, parseDhcp } from '../../../../../src-main/network/services/dhcp/codec.ts'
import { takesAnyBytes } from '../../../../support/any-bytes.ts'

const address = fc.uint8Array({ minLength: 4, maxLength: 4 })
const message = fc.record({
  op: fc.constantFrom('request' as const, 'reply' as const),
  type: fc.integer({ min: 1, max: 255 }),
  xid: fc.nat(0xffff_ffff),
  secs: fc.nat(0xffff),
  broadcast: fc.boolean(),
  ciaddr: address,
  yiaddr: address,
  siaddr: address,
  giaddr: address,
  chaddr: fc.nat(2 ** 48 - 1),
  file: fc.string({ maxLength: 127, unit: 'binary-ascii' }).filter((text) => !text.includes('\0')),
  options: fc
    .uniqueArray(
      fc.tuple(
        fc.integer({ min: 1, max: 254 }).filter((code) => code !== 52 && code !== 53),
        fc.uint8Array({ maxLength: 700 }),
      ),
      { selector: ([code]) => code, maxLength: 4 },
    )
    .map((entries) => new Map(entries)),
})

describe('DHCP messages', () => {
  it('are read as they were built, long options too', () => {
    fc.assert(
      fc.property(message, (one) => {
        expect(parseDhcp(buildDhcp(one))).toEqual(one)
      }),
    )
  })

  it('are read from any bytes, or not', () => {
    takesAnyBytes(
      parseDhcp,
      message.map((one) => buildDhcp(one)),
    )
  })

  it('may have options in the places of the file and the server’s name', () => {
    const bytes = buildDhcp({ op: 'request', type: DHCP.discover, chaddr: 1, options: new Map([[52, Uint8Array.of(3)]]) })
    bytes.set([12, 2, 97, 98, 255], 108)
    bytes.set([12, 1, 99, 255], 44)
    expect(parseDhcp(bytes)).toMatchObject({ file: '', options: new Map([[12, Uint8Array.of(97, 98, 99)]]) })
  })

  it('leave out what has no room, and are as long as BOOTP asks at least', () => {
    const options = new Map([
      [1, new Uint8Array(4)],
      [200, new Uint8Array(400)],
      [201, new Uint8Array(8)],
    ])
    const bytes = buildDhcp({ op: 'reply', type: DHCP.ack, chaddr: 1, options }, 548)
    expect(bytes).toHaveLength(300)
    expect([...parseDhcp(bytes)!.options.keys()]).toEqual([1, 201])
  })

  it('of other cards than Ethernet’s, of impossible length or without a type are none', () => {
    const fine = buildDhcp({ op: 'request', type: DHCP.discover, chaddr: 1 })
    expect(parseDhcp(fine)).not.toBeNull()
    for (const [at, value] of [
      [0, 3],
      [1, 32],
      [2, 8],
      [236, 0],
      [240, 54],
      [241, 255],
    ] as const)
      expect(parseDhcp(fine.with(at, value))).toBeNull()
    expect(parseDhcp(new Uint8Array([...fine, ...new Uint8Array(4000)]))).toBeNull()
  })
})
