import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildDhcp6, DHCP6, OPTION6, parseDhcp6, type Dhcp6Message } from '../../../../../src-main/network/services/dhcp6/codec.ts'
import { Dhcp6Server } from '../../../../../src-main/network/services/dhcp6/server.ts'
import { parseIp } from '../../../../../src-shared/model/ip.ts'
import { takesAnyBytes } from '../../../../support/any-bytes.ts'

const message: fc.Arbitrary<Dhcp6Message> = fc.record({
  type: fc.integer({ min: 1, max: 11 }),
  transaction: fc.nat(0xff_ffff),
  options: fc.array(fc.tuple(fc.nat(0xffff), fc.uint8Array({ maxLength: 40 })), { maxLength: 10 }),
})
const address = parseIp('fd00::1')!
const server = new Dhcp6Server({ mac: 0x5255_0000_0001, dns: [address], ntp: [address], domain: 'lab.internal' })

function ask(payload: Uint8Array): Dhcp6Message | null {
  let answer: Dhcp6Message | null = null
  server.receive(
    { source: address, destination: address, sourcePort: 546, destinationPort: 547, payload, sourceMac: 1 },
    (bytes) => (answer = parseDhcp6(bytes)),
  )
  return answer
}

const client: [number, Uint8Array] = [OPTION6.clientId, Uint8Array.of(0, 3, 0, 1, 1, 2, 3, 4, 5, 6)]
const SERVER_ID = Uint8Array.of(0, 3, 0, 1, 0x52, 0x55, 0, 0, 0, 1)
const request = (...options: [number, Uint8Array][]): Uint8Array =>
  buildDhcp6({ type: DHCP6.informationRequest, transaction: 0x123456, options })

describe('DHCPv6', () => {
  it('messages are read as they were built, and from any bytes, or not', () => {
    fc.assert(
      fc.property(message, (one) => {
        expect(parseDhcp6(buildDhcp6(one))).toEqual(one)
      }),
    )
    takesAnyBytes(ask, message.map(buildDhcp6), 100)
    expect(parseDhcp6(buildDhcp6({ type: 1, transaction: 0, options: new Array(65).fill(client) }))).toBeNull()
    expect(parseDhcp6(Uint8Array.of(12, 0, 0, 0))).toBeNull()
  })

  it('tells what it was asked for', () => {
    expect(ask(request(client, [OPTION6.wanted, Uint8Array.of(0, 23, 0, 24, 0, 56, 1, 0)]))).toEqual({
      type: DHCP6.reply,
      transaction: 0x123456,
      options: [
        [OPTION6.serverId, SERVER_ID],
        client,
        [OPTION6.dns, address],
        [OPTION6.domains, Uint8Array.of(3, 108, 97, 98, 8, ...new TextEncoder().encode('internal'), 0)],
        [OPTION6.ntp, Uint8Array.of(0, 1, 0, 16, ...address)],
      ],
    })
  })

  it('tells all where nothing is said, without a client’s identifier too', () => {
    expect(ask(request())!.options.map(([code]) => code)).toEqual([2, 23, 24, 31, 56, 32])
  })

  it('leaves addresses, and what is another server’s, unanswered', () => {
    expect(ask(request([OPTION6.serverId, SERVER_ID]))).not.toBeNull()
    expect(ask(request([OPTION6.serverId, Uint8Array.of(0, 3, 0, 1, 9)]))).toBeNull()
    expect(ask(request([OPTION6.nonTemporary, new Uint8Array(12)]))).toBeNull()
    expect(ask(buildDhcp6({ type: 1, transaction: 1, options: [client] }))).toBeNull()
  })
})
