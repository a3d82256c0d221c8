import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildNtp, MODE, parseNtp, toTimestamp, type NtpHeader } from '../../../../../src-main/network/services/ntp/codec.ts'
import { NtpServer } from '../../../../../src-main/network/services/ntp/server.ts'
import { takesAnyBytes } from '../../../../support/any-bytes.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'

const timestamp = fc.uint8Array({ minLength: 8, maxLength: 8 })
const fixed = fc.nat(0xffff_ffff).map((value) => value / 0x10000)
const header: fc.Arbitrary<NtpHeader> = fc.record({
  leap: fc.nat(3),
  version: fc.nat(7),
  mode: fc.nat(7),
  stratum: fc.nat(255),
  poll: fc.integer({ min: -128, max: 127 }),
  precision: fc.integer({ min: -128, max: 127 }),
  rootDelay: fixed,
  rootDispersion: fixed,
  reference: fc.uint8Array({ minLength: 4, maxLength: 4 }),
  updated: timestamp,
  origin: timestamp,
  received: timestamp,
  sent: timestamp,
})

function ask(payload: Uint8Array, clock = new FakeClock()): Uint8Array | null {
  let answer: Uint8Array | null = null
  const address = new Uint8Array(4)
  new NtpServer(clock).receive(
    { source: address, destination: address, sourcePort: 1, destinationPort: 123, payload, sourceMac: 1 },
    (bytes) => (answer = bytes),
  )
  return answer
}

describe('NTP', () => {
  it('headers are read as they were built, and from any bytes, or not', () => {
    fc.assert(
      fc.property(header, (one) => {
        expect(parseNtp(buildNtp(one))).toEqual(one)
      }),
    )
    takesAnyBytes(ask, header.map(buildNtp), 80)
  })

  it('timestamps count from 1900, with 2036 behind it', () => {
    expect([...toTimestamp(500)]).toEqual([0x83, 0xaa, 0x7e, 0x80, 0x80, 0, 0, 0])
    expect([...toTimestamp(Date.UTC(2036, 1, 7, 6, 28, 16))]).toEqual([0, 0, 0, 0, 0, 0, 0, 0])
  })

  it('a client is told the time, with its own timestamp', () => {
    const sent = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
    const none = new Uint8Array(8)
    const request: NtpHeader = {
      leap: 3,
      version: 4,
      mode: MODE.client,
      stratum: 0,
      poll: 6,
      precision: 0,
      rootDelay: 0,
      rootDispersion: 0,
      reference: new Uint8Array(4),
      updated: none,
      origin: none,
      received: none,
      sent,
    }
    const clock = new FakeClock()
    const now = toTimestamp(clock.date())
    // An authenticator behind it changes nothing.
    for (const more of [0, 20])
      expect(parseNtp(ask(new Uint8Array([...buildNtp(request), ...new Uint8Array(more)]), clock)!)).toMatchObject({
        leap: 0,
        version: 4,
        mode: MODE.server,
        stratum: 10,
        poll: 6,
        origin: sent,
        received: now,
        sent: now,
      })
    expect(parseNtp(ask(buildNtp({ ...request, mode: MODE.symmetricActive }))!)).toMatchObject({ mode: MODE.symmetricPassive })
    // Answers, and what no version has, are not answered: two servers would talk for ever.
    expect(ask(buildNtp({ ...request, mode: MODE.server }))).toBeNull()
    expect(ask(buildNtp({ ...request, mode: 6 }))).toBeNull()
    expect(ask(buildNtp({ ...request, version: 0 }))).toBeNull()
  })
})
