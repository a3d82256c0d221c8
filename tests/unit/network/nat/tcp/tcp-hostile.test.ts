/** Packet scripts of machines that are odd, old, restarted or mean. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { TCP } from '../../../../../src-main/network/codec/tcp.ts'
import { checkSegment } from '../../../../../src-main/network/nat/tcp/segment-check.ts'
import { withLeakCheck } from '../../../../support/leak-check.ts'
import { GUEST, MAC, PLAIN_OPTIONS, PORT, sackOf, SERVER, SERVER_PORT, SYN_OPTIONS, TcpScript } from '../../../../support/tcp-script.ts'

withLeakCheck()
let script: TcpScript
beforeEach(() => (script = new TcpScript()))
afterEach(() => script.dispose())

const mss = (bytes: number): number[] => [2, 4, bytes >> 8, bytes & 255]
const scaled = (shift: number): Uint8Array => Uint8Array.of(...SYN_OPTIONS, 1, 3, 3, shift)
const timestamps = (value: number, echo: number): Uint8Array => {
  const bytes = Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0)
  new DataView(bytes.buffer).setUint32(4, value)
  new DataView(bytes.buffer).setUint32(8, echo)
  return bytes
}
/** What came with data, by the place of its first byte. */
const lengths = (): number[] => {
  script.turn()
  return script.segments.splice(0).flatMap(({ payload }) => (payload.length > 0 ? payload.length : []))
}

describe('options', () => {
  it.each([
    ['none', [1, 1], 536],
    ['0', mss(0), 88],
    ['1', mss(1), 88],
    ['more than the network has', mss(65_535), 1460],
    ['broken', [2, 3, 5, 180], 536],
    ['cut off', [1, 1, 2, 4], 536],
  ])('an MSS of %s', (_name, options, expected) => {
    const padded = [...options, ...new Array((4 - (options.length % 4)) % 4).fill(options.length === 3 ? 0 : 1)] as number[]
    script.connect(Uint8Array.from(padded))
    script.end.data('x'.repeat(3000))
    expect(lengths()[0]).toBe(expected)
  })

  it.each([14, 15, 255])('windows scaled by %i are of 1 GiB at most (RFC 7323, 2.3)', (shift) => {
    script.connect(scaled(shift), 1)
    script.end.data('x'.repeat(100_000))
    expect(lengths()).toEqual(new Array(10).fill(1460))
    // The window is 1 << 14, of which a little is left, and then all that can be said.
    script.guest('A', { seq: 1, ack: 1 + 14_600, window: 1 })
    expect(lengths().reduce((sum, length) => sum + length, 0)).toBe(11 * 1460)
    script.guest('A', { seq: 1, ack: 1 + 14_600 + 11 * 1460, window: 0xffff })
    expect(lengths().length).toBeGreaterThan(20)
  })

  it('time stamps are not agreed on, and those of who sends them all the same change nothing, wrapped or old', () => {
    script.guest('S', { options: Uint8Array.of(...SYN_OPTIONS, ...timestamps(0xffff_fff0, 0)) })
    script.end.events.connected()
    script.turn()
    expect(script.optionsOf(script.segments.at(-1)!)).toMatchObject({ timestamps: null, sackPermitted: true, mss: 1460 })
    script.guest('A', { seq: 1, ack: 1, options: timestamps(0xffff_fff8, 1) })
    script.guest('A', { seq: 1, ack: 1, data: 'abc', options: timestamps(5, 2) })
    script.guest('A', { seq: 4, ack: 1, data: 'def', options: timestamps(0x8000_0000, 0xffff_ffff) })
    script.turn()
    expect(script.end.text).toBe('abcdef')
  })

  it('asking whether we are still there is answered, with a byte or without (RFC 9293, 3.8.4)', () => {
    script.connect()
    script.guest('A', { seq: 0, ack: 1 })
    expect(script.out()).toEqual(['A 1+0 ack 1'])
    script.guest('A', { seq: 0, ack: 1, data: 'x' })
    expect(script.out()).toEqual(['A 1+0 ack 1'])
    expect(script.end.text).toBe('')
  })

  it('urgent data is data (RFC 6093, 3)', () => {
    script.connect()
    script.guest('AU', { seq: 1, ack: 1, data: 'now!' })
    expect(script.out()).toEqual(['A 1+0 ack 5'])
    expect(script.end.text).toBe('now!')
  })
})

describe('the FIN of a machine', () => {
  beforeEach(() => script.connect())

  it('counts once, however what is before it is cut the second time', () => {
    script.guest('FA', { seq: 4, ack: 1, data: 'def' })
    script.guest('FA', { seq: 2, ack: 1, data: 'bcdef' })
    script.guest('A', { seq: 5, ack: 1, data: 'ef' })
    expect(script.end.text).toBe('')
    script.guest('FA', { seq: 1, ack: 1, data: 'abcdef' })
    script.guest('FA', { seq: 7, ack: 1 })
    script.guest('FA', { seq: 3, ack: 1, data: 'cdef' })
    expect(script.out().at(-1)).toBe('A 1+0 ack 8')
    expect(script.end).toMatchObject({ text: 'abcdef', ended: true })
    expect(script.flows.count).toBe(1)
  })

  it('has nothing behind it; where it has, it is none', () => {
    script.guest('A', { seq: 4, ack: 1, data: 'def' })
    // In the middle of what came already.
    script.guest('FA', { seq: 3, ack: 1, data: 'cd' })
    script.guest('A', { seq: 1, ack: 1, data: 'ab' })
    script.turn()
    expect(script.end).toMatchObject({ text: 'abcdef', ended: false })
    script.guest('FA', { seq: 7, ack: 1, data: 'g' })
    script.guest('A', { seq: 8, ack: 1, data: 'more' })
    script.turn()
    expect(script.end).toMatchObject({ text: 'abcdefg', ended: true })
  })

  it('finds room in a shut window, and what follows is heard', () => {
    const { end } = script
    end.holds = true
    let seq = 1
    for (; seq < 128 * 1024; seq += 1024) script.guest('A', { seq, ack: 1, data: 'x'.repeat(1024) })
    script.turn()
    expect(script.segments.at(-1)).toMatchObject({ window: 0 })
    script.segments.length = 0
    script.guest('FA', { seq, ack: 1 })
    expect(script.out()).toEqual([`A 1+0 ack ${seq + 1}`])
    end.data('answer')
    expect(script.out()).toEqual([`PA 1+6 ack ${seq + 1}`])
    script.guest('A', { seq: seq + 1, ack: 7 })
    script.advance(60_000)
    // It was acknowledged: it is not sent again.
    expect(script.out()).toEqual([])
    expect(end.ended).toBe(true)
  })
})

describe('the window of a machine', () => {
  it('is kept to by the FIN as by data', () => {
    script.connect(PLAIN_OPTIONS, 4)
    script.end.data('1234')
    script.end.events.ended()
    expect(script.out()).toEqual(['PA 1+4 ack 1'])
    script.guest('A', { seq: 1, ack: 5, window: 0 })
    expect(script.out()).toEqual([])
    script.guest('A', { seq: 1, ack: 5, window: 1 })
    expect(script.out()).toEqual(['FA 5+0 ack 1'])
  })

  it('may be shut for hours while it answers probes: before data, before the FIN, and over what is under way', () => {
    for (const [data, ended, ack] of [
      ['more', false, 5],
      ['', true, 5],
      ['', true, 1],
    ] as const) {
      script.dispose()
      script = new TcpScript()
      script.connect(PLAIN_OPTIONS, 4)
      script.end.data('1234')
      script.out()
      script.guest('A', { seq: 1, ack, window: 0 })
      if (data) script.end.data(data)
      if (ended) script.end.events.ended()
      for (let minute = 0; minute < 180; minute++) {
        script.advance(60_000)
        const sent = script.out()
        expect(sent.filter((line) => !/^A -?\d+\+0 ack 1$/.test(line))).toEqual([])
        if (sent.length > 0) script.guest('A', { seq: 1, ack, window: 0 })
      }
      expect(script.flows.count).toBe(1)
      script.guest('A', { seq: 1, ack, window: 100 })
      script.advance(120_000)
      expect(script.out().join(' ')).toContain(ended ? 'F' : 'PA 5+4')
    }
  })
})

describe('the way to a machine', () => {
  const ends = { guest: GUEST, guestPort: PORT, remote: SERVER, remotePort: SERVER_PORT }

  it('that takes less is kept to, and what did not fit is sent again', () => {
    script.connect(SYN_OPTIONS)
    script.end.data('x'.repeat(1460 * 4))
    expect(lengths()).toEqual([1460, 1460, 1460, 1460])
    // Of what is not under way, and of no connection.
    for (const offset of [-1, 1 + 1460 * 4]) script.flows.tooBig({ ...ends, sequence: script.ours + offset, mtu: 1280 })
    script.flows.tooBig({ ...ends, guestPort: 1, sequence: script.ours + 1, mtu: 1280 })
    expect(lengths()).toEqual([])
    script.flows.tooBig({ ...ends, sequence: (script.ours + 1) >>> 0, mtu: 1280 })
    expect(lengths()).toEqual([1240, 1240, 1240, 1240, 880])
    // Each of the others did not fit either.
    script.flows.tooBig({ ...ends, sequence: (script.ours + 1461) >>> 0, mtu: 1280 })
    expect(lengths()).toEqual([])
    script.guest('A', { seq: 1, ack: 1 + 1460 * 4 })
    script.end.data('y'.repeat(1460))
    expect(lengths()).toEqual([1240, 220])
    // Nobody is made to send next to nothing.
    script.flows.tooBig({ ...ends, sequence: (script.ours + 1 + 1460 * 4) >>> 0, mtu: 0 })
    expect(lengths()).toEqual([512, 512, 436])
  })

  it('is looked for anew when nothing comes back', () => {
    script.connect()
    script.end.data('x')
    script.turn()
    expect(script.cards.at(-1)).toBe(MAC)
    script.advance(1000)
    expect(script.cards.at(-1)).toBeUndefined()
    // Not the one of whoever says something that is old, or to come.
    script.guest('A', { seq: 0, ack: 1, mac: 66 })
    script.guest('A', { seq: 500_000, ack: 1, data: 'x', mac: 66 })
    script.guest('A', { seq: 1, ack: 5000, mac: 66 })
    script.advance(1000)
    expect(script.cards).not.toContain(66)
    script.guest('A', { seq: 1, ack: 2, mac: 77 })
    script.end.data('y')
    script.turn()
    expect(script.cards.at(-1)).toBe(77)
  })
})

describe('a machine that tells of ranges', () => {
  it('of all, and never acknowledges: it may take them back (RFC 2018, 8), and is given up', () => {
    script.connect()
    script.end.data('x'.repeat(1460 * 3))
    script.out()
    let again = 0
    for (let minute = 0; minute < 30 && script.flows.count > 0; minute++) {
      script.guest('A', { seq: 1, ack: 1, options: sackOf(script.ours, [1, 1 + 1460 * 3]) })
      script.advance(60_000)
      again += script.out().filter((line) => line.startsWith('A 1+1460')).length
    }
    expect(again).toBeGreaterThan(3)
    expect(script.flows.count).toBe(0)
  })

  it('of more than anybody can keep', () => {
    script.connect(scaled(7), 0xffff)
    for (let round = 0; round < 30; round++) {
      script.end.data('x'.repeat(20_000))
      script.turn()
      for (const { sequence, payload } of script.segments.splice(0)) {
        const place = (sequence - script.ours) | 0
        for (let bit = 3; bit < payload.length; bit += 97)
          script.guest('A', { seq: 1, ack: 1, options: sackOf(script.ours, [place + bit, place + bit + 1]) })
      }
    }
    script.turn()
    script.segments.length = 0
    script.guest('A', { seq: 1, ack: 1 + 14_600 })
    script.advance(1000)
    expect(script.flows.count).toBe(1)
  })

  it('without having agreed on it, is not heard', () => {
    script.connect(PLAIN_OPTIONS)
    script.end.data('x'.repeat(1460 * 5))
    script.out()
    for (let count = 0; count < 3; count++)
      script.guest('A', { seq: 1, ack: 1, options: sackOf(script.ours, [1 + 1460 * 2, 1 + 1460 * 3]) })
    // By the duplicates alone: the first segment.
    expect(script.out()).toEqual(['A 1+1460 ack 1'])
  })
})

describe('who is at the other end', () => {
  it('a machine that restarted says so when it is challenged, and opens anew', () => {
    script.connect(PLAIN_OPTIONS)
    const old = script.end
    script.guest('S', { seq: 5_000_000, options: PLAIN_OPTIONS })
    expect(script.out()).toEqual(['A 1+0 ack 1'])
    // It knows nothing of this: RST with the number that was awaited (RFC 5961, 4.2).
    script.guest('R', { seq: 1 })
    expect(old.destroyed).toBe('reset')
    script.guest('S', { seq: 5_000_000, options: PLAIN_OPTIONS })
    script.end.events.connected()
    expect(script.out()).toEqual(['SA 0+0 ack 5000001'])
    expect(script.flows.count).toBe(1)
  })

  it('both open at once, and each answers the other’s SYN (RFC 9293, figure 8)', () => {
    script.open()
    expect(script.out()).toEqual(['S 0+0'])
    script.guest('S', { options: PLAIN_OPTIONS })
    expect(script.out()).toEqual(['SA 0+0 ack 1'])
    script.guest('SA', { seq: 0, ack: 1, options: PLAIN_OPTIONS })
    expect(script.out()).toEqual(['A 1+0 ack 1'])
    script.guest('A', { seq: 1, ack: 1, data: 'hello' })
    script.end.data('you')
    expect(script.out()).toEqual(['PA 1+3 ack 6'])
    expect(script.end.text).toBe('hello')
  })

  it('every flag with every other, anywhere, ends a connection only by the RST that is due', () => {
    const bits = [TCP.syn, TCP.ack, TCP.fin, TCP.rst, TCP.psh, TCP.urg]
    for (let set = 0; set < 64; set++) {
      const flags = bits.reduce((all, bit, at) => (set & (1 << at) ? all | bit : all), 0)
      for (const window of [0, 1, 1000])
        for (const offset of [-(2 ** 31), -1001, -1, 0, 1, 999, 1000, 1001, 2 ** 31 - 1])
          for (const payload of [0, 1, 500]) {
            const length = payload + (flags & TCP.syn ? 1 : 0) + (flags & TCP.fin ? 1 : 0)
            const verdict = checkSegment(flags, offset, length, window)
            if (verdict === 'reset') expect([flags & TCP.rst, offset]).toEqual([TCP.rst, 0])
            if (flags & TCP.rst) expect(['reset', 'challenge', 'drop']).toContain(verdict)
            if (verdict === 'take' || verdict === 'probe') {
              expect(flags & (TCP.ack | TCP.syn | TCP.rst)).toBe(TCP.ack)
              expect(offset + length).toBeGreaterThanOrEqual(0)
              expect(offset).toBeLessThanOrEqual(window)
            }
          }
    }
  })
})
