/** Beginning and end of connections (RFC 9293, 3.5 and 3.6; RFC 5961). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MAX_TCP_OPENING, MAX_TCP_OPENING_OF_MACHINE } from '../../../../../src-main/network/nat/limits.ts'
import { withLeakCheck } from '../../../../support/leak-check.ts'
import { GUEST, PLAIN_OPTIONS, SERVER_PORT, SYN_OPTIONS, TcpScript } from '../../../../support/tcp-script.ts'

withLeakCheck()
let script: TcpScript
beforeEach(() => {
  script = new TcpScript()
})
afterEach(() => {
  script.dispose()
  expect(script.flows.count).toBe(0)
  expect(script.clock.waiting).toBe(0)
})

describe('the machine opens', () => {
  it('is answered when the host is connected, and once', () => {
    script.guest('S', { options: SYN_OPTIONS })
    script.guest('S', { options: SYN_OPTIONS })
    expect(script.out()).toEqual([])
    expect(script.ends).toHaveLength(1)
    script.end.events.connected()
    script.turn()
    expect(script.optionsOf(script.segments[0]!)).toMatchObject({ mss: 1460, windowScale: null, sackPermitted: true })
    expect(script.segments[0]!.window).toBe(0xffff)
    expect(script.out()).toEqual(['SA 0+0 ack 1'])
    script.guest('S', { options: SYN_OPTIONS })
    expect(script.out()).toEqual(['SA 0+0 ack 1'])
  })

  it('agrees on options that both know alone', () => {
    script.guest('S', { options: Uint8Array.of(2, 4, 2, 24, 1, 3, 3, 7) })
    script.end.events.connected()
    expect(script.optionsOf(script.segments[0]!)).toMatchObject({ mss: 1460, windowScale: 5, sackPermitted: false, timestamps: null })
    script.guest('A', { seq: 1, ack: 1, window: 512 })
    script.out()
    // The MSS is the machine's 536 and the window 512 << 7.
    script.end.data('x'.repeat(2000))
    expect(script.out()).toEqual(['A 1+536 ack 1', 'A 537+536 ack 1', 'A 1073+536 ack 1', 'PA 1609+392 ack 1'])
  })

  it('sends SYN-ACK again, and gives up', () => {
    script.guest('S')
    script.end.events.connected()
    script.advance(200_000)
    expect(script.out()).toEqual(new Array(6).fill('SA 0+0 ack 1'))
    expect(script.end.destroyed).toBe('reset')
    expect(script.flows.count).toBe(0)
  })

  it('has no more than its share of those that are being made; others still have theirs', () => {
    const at = (port: number, mac: number): void => script.guest('S', { port, mac })
    for (let port = 20_000; port < 20_600; port++) at(port, 0x5254_0000_0666)
    expect(script.flows.count).toBe(MAX_TCP_OPENING_OF_MACHINE)
    at(30_000, 0x5254_0000_0001)
    expect(script.flows.count).toBe(MAX_TCP_OPENING_OF_MACHINE + 1)
    // One that is over, or made, makes room.
    script.ends[0]!.events.closed('ECONNREFUSED')
    at(21_000, 0x5254_0000_0666)
    at(21_001, 0x5254_0000_0666)
    expect(script.flows.count).toBe(MAX_TCP_OPENING_OF_MACHINE + 1)
  })

  it('sees who refuses, and what is out of reach', () => {
    script.guest('S')
    script.end.events.closed('ECONNREFUSED')
    expect(script.segments).toMatchObject([{ flags: 20, acknowledgment: 1001, sequence: 0 }])
    script.segments = []
    for (const error of ['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EACCES', 'EMFILE']) {
      script.guest('S')
      script.end.events.closed(error)
    }
    expect(script.out()).toEqual([])
    expect(script.refused).toEqual(['host', 'network', 'host', 'prohibited', 'host'])
  })

  it('is told when the host takes too long', () => {
    script.guest('S')
    script.advance(61_000)
    expect(script.refused).toEqual(['host'])
    expect(script.end.destroyed).toBe('reset')
  })

  it('changes its mind', () => {
    script.guest('S')
    script.guest('R', { seq: 5 })
    expect(script.end.destroyed).toBeNull()
    script.guest('R', { seq: 1 })
    expect(script.end.destroyed).toBe('reset')
  })

  it('is refused by RST or ICMP where there is no way', () => {
    script.route = 'reset'
    script.guest('S')
    expect(script.segments).toMatchObject([{ flags: 20, acknowledgment: 1001 }])
    script.route = 'prohibited'
    script.guest('S')
    expect(script.refused).toEqual(['prohibited'])
  })

  it('cannot open more than the bound', () => {
    // Each time for another card.
    const at = (port: number): { port: number; mac: number } => ({ port, mac: 0x5254_0000_0000 + port })
    for (let port = 1; port <= 3000; port++) script.guest('S', at(port))
    expect(script.flows.count).toBe(MAX_TCP_OPENING)
    // One that ends makes place.
    script.guest('R', { seq: 1, ...at(1) })
    script.guest('S', at(3001))
    expect(script.flows.count).toBe(MAX_TCP_OPENING)
  })

  it('answers an ACK that acknowledges something else with RST', () => {
    script.guest('S')
    script.end.events.connected()
    script.guest('A', { seq: 1, ack: 77 })
    expect(script.out()).toEqual(['SA 0+0 ack 1', 'R 77+0'])
  })
})

describe('segments of no connection', () => {
  it('are reset, but no RST is', () => {
    script.guest('A', { seq: 9, ack: 50 })
    script.guest('F', { seq: 9, data: 'abc' })
    script.guest('R', { seq: 9 })
    script.guest('RA', { seq: 9, ack: 4 })
    expect(script.out()).toEqual(['R 50+0', 'RA 0+0 ack 13'])
  })
})

describe('the host opens', () => {
  it('and is answered', () => {
    script.open()
    expect(script.optionsOf(script.segments[0]!)).toMatchObject({ mss: 1460, windowScale: 5, sackPermitted: true })
    expect(script.out()).toEqual(['S 0+0'])
    // What the host says already, waits.
    script.end.data('early')
    expect(script.out()).toEqual([])
    script.guest('SA', { seq: 0, ack: 1 })
    expect(script.out()).toEqual(['PA 1+5 ack 1'])
    script.guest('PA', { seq: 1, ack: 6, data: 'answer' })
    script.turn()
    expect(script.end.text).toBe('answer')
  })

  it('tries some times', () => {
    script.open()
    script.advance(60_000)
    expect(script.out()).toEqual(new Array(4).fill('S 0+0'))
    expect(script.end.destroyed).toBe('reset')
  })

  it('is refused', () => {
    script.open()
    script.guest('RA', { seq: 0, ack: 77 })
    expect(script.flows.count).toBe(1)
    script.guest('RA', { seq: 0, ack: 1 })
    expect(script.end.destroyed).toBe('reset')
    expect(script.flows.count).toBe(0)
  })

  it('while the machine opens the same', () => {
    script.open()
    script.out()
    script.guest('S', { seq: 0, options: SYN_OPTIONS })
    expect(script.out()).toEqual(['SA 0+0 ack 1'])
    script.guest('A', { seq: 1, ack: 1 })
    script.end.data('both')
    expect(script.out()).toEqual(['PA 1+4 ack 1'])
  })

  it('resets what answers something else', () => {
    script.open()
    script.out()
    script.guest('SA', { seq: 0, ack: 900 })
    expect(script.out()).toEqual(['R 900+0'])
  })

  it('takes another port where its own is in use', () => {
    script.open()
    script.open()
    expect(script.segments.map(({ sourcePort }) => sourcePort === SERVER_PORT)).toEqual([true, false])
  })
})

describe('the end', () => {
  beforeEach(() => script.connect())

  it('of the machine first, then of the host', () => {
    script.guest('FA', { seq: 1, ack: 1, data: 'bye' })
    expect(script.out()).toEqual(['A 1+0 ack 5'])
    expect(script.end).toMatchObject({ text: 'bye', ended: true })
    // It still reads.
    script.end.data('and you')
    expect(script.out()).toEqual(['PA 1+7 ack 5'])
    script.guest('A', { seq: 5, ack: 8 })
    script.end.events.ended()
    expect(script.out()).toEqual(['FA 8+0 ack 5'])
    script.guest('A', { seq: 5, ack: 9 })
    script.turn()
    script.end.events.closed(null)
    expect(script.flows.count).toBe(0)
  })

  it('of the host first, then of the machine, with TIME-WAIT', () => {
    script.end.data('over')
    script.end.events.ended()
    expect(script.out()).toEqual(['FPA 1+4 ack 1'])
    script.guest('A', { seq: 1, ack: 6 })
    expect(script.out()).toEqual([])
    script.guest('PA', { seq: 1, ack: 6, data: 'still here' })
    expect(script.out()).toEqual(['A 6+0 ack 11'])
    expect(script.end.text).toBe('still here')
    script.guest('FA', { seq: 11, ack: 6 })
    expect(script.out()).toEqual(['A 6+0 ack 12'])
    expect(script.end.ended).toBe(true)
    script.end.events.closed(null)
    // Its ACK was lost.
    script.guest('FA', { seq: 11, ack: 6 })
    expect(script.out()).toEqual(['A 6+0 ack 12'])
    expect(script.flows.count).toBe(1)
    script.advance(1100)
    expect(script.flows.count).toBe(0)
  })

  it('of both at once', () => {
    script.end.events.ended()
    expect(script.out()).toEqual(['FA 1+0 ack 1'])
    script.guest('FA', { seq: 1, ack: 1 })
    expect(script.out()).toEqual(['A 2+0 ack 2'])
    script.guest('A', { seq: 2, ack: 2 })
    script.turn()
    script.end.events.closed(null)
    expect(script.flows.count).toBe(1)
    script.advance(1100)
    expect(script.flows.count).toBe(0)
  })

  it('makes place for a new connection of the same ports', () => {
    script.end.events.ended()
    script.out()
    script.guest('FA', { seq: 1, ack: 2 })
    script.out()
    script.end.events.closed(null)
    script.first = 50_000
    script.guest('S')
    expect(script.ends).toHaveLength(2)
    script.end.events.connected()
    expect(script.out()).toEqual(['SA 0+0 ack 1'])
  })

  it('waits for a host that still has to send, but not for ever', () => {
    script.end.holds = true
    script.guest('FA', { seq: 1, ack: 1, data: 'left behind' })
    script.out()
    script.end.events.ended()
    script.out()
    script.guest('A', { seq: 13, ack: 2 })
    script.turn()
    expect(script.flows.count).toBe(1)
    expect(script.end.destroyed).toBeNull()
    script.advance(300_001)
    expect(script.end.destroyed).toBe('reset')
    expect(script.flows.count).toBe(0)
  })

  it('by RST of the machine', () => {
    script.guest('R', { seq: 1 })
    expect(script.end.destroyed).toBe('reset')
    expect(script.out()).toEqual([])
    expect(script.flows.count).toBe(0)
  })

  it.each(['ECONNRESET', 'EPIPE', 'ETIMEDOUT'])('by %s of the host', (error) => {
    script.end.data('lost')
    script.out()
    script.end.events.closed(error)
    expect(script.out()).toEqual(['RA 5+0 ack 1'])
    expect(script.flows.count).toBe(0)
  })

  it('by a host that closes without having ended', () => {
    script.end.events.closed(null)
    expect(script.out()).toEqual(['RA 1+0 ack 1'])
  })

  it('from outside, for both', () => {
    script.flows.close(({ guest }) => guest.join() === GUEST.join())
    expect(script.out()).toEqual(['RA 1+0 ack 1'])
    expect(script.end.destroyed).toBe('reset')
  })
})

describe('what would end a connection but may not (RFC 5961)', () => {
  beforeEach(() => script.connect(PLAIN_OPTIONS))

  it.each([
    ['RST inside of the window', 'R', { seq: 100 }],
    ['SYN inside of the window', 'S', { seq: 100 }],
    ['SYN with the first number', 'S', { seq: 0 }],
    ['ACK of what was not sent', 'A', { seq: 1, ack: 5000 }],
    ['ACK from long ago', 'A', { seq: 1, ack: -100_000 }],
  ])('%s is challenged', (_name, flags, sent) => {
    script.guest(flags, sent)
    expect(script.out()).toEqual(['A 1+0 ack 1'])
    expect(script.flows.count).toBe(1)
    expect(script.end.destroyed).toBeNull()
  })

  it.each([
    ['RST before the window', 'R', { seq: 0 }],
    ['RST behind the window', 'R', { seq: 1_000_000 }],
    ['no ACK at all', 'P', { seq: 1, data: 'x' }],
  ])('%s is passed over', (_name, flags, sent) => {
    script.guest(flags, sent)
    expect(script.out()).toEqual([])
    expect(script.flows.count).toBe(1)
    expect(script.end.text).toBe('')
  })

  it('challenges are some a second', () => {
    for (let count = 0; count < 500; count++) script.guest('R', { seq: 100 })
    expect(script.out()).toHaveLength(100)
    script.advance(1000)
    script.guest('R', { seq: 100 })
    expect(script.out()).toHaveLength(1)
  })
})

describe('silence', () => {
  beforeEach(() => script.connect())

  it('is asked after two hours, and answered', () => {
    script.advance(2 * 3_600_000 + 1)
    expect(script.out()).toEqual(['A 0+0 ack 1'])
    script.guest('A', { seq: 1, ack: 1 })
    script.advance(3_600_000)
    expect(script.out()).toEqual([])
    expect(script.flows.count).toBe(1)
  })

  it('ends the connection at last', () => {
    script.advance(3 * 3_600_000)
    expect(script.out()).toEqual([...new Array(9).fill('A 0+0 ack 1'), 'RA 1+0 ack 1'])
    expect(script.end.destroyed).toBe('reset')
  })
})
