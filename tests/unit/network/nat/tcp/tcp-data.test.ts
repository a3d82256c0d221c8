/** Data both ways: windows, order, loss (RFC 9293, 3.8; RFC 5681; RFC 6298; RFC 2018; RFC 6675). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { withLeakCheck } from '../../../../support/leak-check.ts'
import { PLAIN_OPTIONS, SYN_OPTIONS, TcpScript, sackOf } from '../../../../support/tcp-script.ts'

withLeakCheck()
const SCALED = Uint8Array.of(...SYN_OPTIONS, 1, 3, 3, 7)
let script: TcpScript
const opened: TcpScript[] = []
const start = (options: Uint8Array = SYN_OPTIONS, window = 0xffff, first = 1000): void => {
  opened.splice(0).forEach((one) => one.dispose())
  script = new TcpScript(first)
  opened.push(script)
  script.connect(options, window)
}
beforeEach(() => start())
afterEach(() => {
  opened.splice(0).forEach((one) => one.dispose())
  expect(script.clock.waiting).toBe(0)
})

describe('from the machine', () => {
  it('is one write and one ACK for each turn', () => {
    for (let at = 0; at < 10; at++) script.guest('A', { seq: 1 + at * 100, ack: 1, data: String(at).repeat(100) })
    expect(script.out()).toEqual(['A 1+0 ack 1001'])
    expect(script.end.writes).toBe(1)
    expect(script.end.text).toHaveLength(1000)
  })

  it('out of order is kept, and told by ranges, the newest first', () => {
    script.guest('A', { seq: 11, ack: 1, data: 'ccccc' })
    expect(script.optionsOf(script.segments[0]!).sack.map(([left]) => left - 1000)).toEqual([11])
    script.guest('A', { seq: 21, ack: 1, data: 'eeeee' })
    script.guest('A', { seq: 6, ack: 1, data: 'bbbbb' })
    expect(script.optionsOf(script.segments[2]!).sack.map(([left, right]) => [left - 1000, right - 1000])).toEqual([
      [6, 16],
      [21, 26],
    ])
    // Each at once, for the machine counts them.
    expect(script.out()).toEqual(new Array(3).fill('A 1+0 ack 1'))
    script.guest('A', { seq: 1, ack: 1, data: 'aaaaa' })
    expect(script.out()).toEqual(['A 1+0 ack 16'])
    script.guest('A', { seq: 16, ack: 1, data: 'ddddd' })
    expect(script.out()).toEqual(['A 1+0 ack 26'])
    expect(script.end.text).toBe('aaaaabbbbbcccccdddddeeeee')
  })

  it('overlapping each other is joined', () => {
    script.guest('A', { seq: 5, ack: 1, data: 'efgh' })
    script.guest('A', { seq: 7, ack: 1, data: 'ghij' })
    script.guest('A', { seq: 1, ack: 1, data: 'abcdefg' })
    script.guest('A', { seq: 3, ack: 1, data: 'cdefghijkl' })
    script.turn()
    expect(script.end.text).toBe('abcdefghijkl')
    expect(script.out().at(-1)).toBe('A 1+0 ack 13')
  })

  it('again is acknowledged and dropped', () => {
    script.guest('PA', { seq: 1, ack: 1, data: 'once' })
    script.out()
    script.guest('PA', { seq: 1, ack: 1, data: 'once' })
    script.guest('PA', { seq: 3, ack: 1, data: 'ce' })
    expect(script.out()).toEqual(['A 1+0 ack 5'])
    expect(script.end.text).toBe('once')
  })

  it('wraps around 2^32', () => {
    start(SYN_OPTIONS, 0xffff, 0xffff_fff0)
    script.guest('A', { seq: 21, ack: 1, data: 'uvwxyz' })
    script.guest('A', { seq: 1, ack: 1, data: 'abcdefghij' })
    script.guest('A', { seq: 11, ack: 1, data: 'klmnopqrst' })
    script.guest('FA', { seq: 27, ack: 1 })
    expect(script.out().at(-1)).toBe('A 1+0 ack 28')
    expect(script.end.text).toBe('abcdefghijklmnopqrstuvwxyz')
  })

  it('a FIN that comes too early waits for what is before it', () => {
    script.guest('FA', { seq: 4, ack: 1, data: 'end' })
    script.turn()
    expect(script.end.ended).toBe(false)
    script.guest('A', { seq: 1, ack: 1, data: 'the' })
    expect(script.out().at(-1)).toBe('A 1+0 ack 8')
    expect(script.end).toMatchObject({ text: 'theend', ended: true })
  })

  it('meets a window that shuts while the host is slow, and opens with it', () => {
    start(SCALED)
    script.end.holds = true
    let seq = 1
    let window = Infinity
    for (let count = 0; window >= 1024 && count < 1000; count++) {
      script.guest('A', { seq, ack: 1, data: 'x'.repeat(1024) })
      seq += 1024
      script.turn()
      window = script.segments.splice(0).at(-1)!.window << 5
    }
    const { backlog } = script.end
    expect(backlog).toBe(128 * 1024)
    // A probe is answered and not taken.
    script.guest('A', { seq, ack: 1, data: 'z' })
    script.turn()
    expect(script.segments.at(-1)).toMatchObject({ window: 0, acknowledgment: 1000 + seq })
    script.segments.length = 0
    // A little is not told, much is.
    script.end.drain(1000)
    expect(script.out()).toEqual([])
    script.end.drain()
    script.turn()
    expect(script.segments.at(-1)!.window << 5).toBe(128 * 1024)
    expect(script.end.text).not.toContain('z')
  })

  it('beyond the window is cut off', () => {
    script.guest('A', { seq: 100_001, ack: 1, data: 'x'.repeat(50_000) })
    const [[left, right]] = script.optionsOf(script.segments[0]!).sack as [[number, number]]
    expect([left - 1000, right - 1000]).toEqual([100_001, 128 * 1024 + 1])
  })

  it('in more pieces than are kept', () => {
    for (let at = 0; at < 200; at++) script.guest('A', { seq: 101 + at * 10, ack: 1, data: 'xxxxx' })
    script.out()
    for (let seq = 1; seq < 2101; seq += 50) script.guest('A', { seq, ack: 1, data: 'y'.repeat(50) })
    script.turn()
    expect(script.end.text.replaceAll('x', 'y')).toBe('y'.repeat(2100))
  })
})

describe('to the machine', () => {
  it('is cut by its MSS, and pushed at its end', () => {
    script.end.data('x'.repeat(3000))
    expect(script.out()).toEqual(['A 1+1460 ack 1', 'A 1461+1460 ack 1', 'PA 2921+80 ack 1'])
  })

  it('wraps around the ring and 2^32 unharmed', () => {
    let expected = ''
    let got = ''
    let acked = 1
    start(SCALED)
    for (let round = 0; round < 200; round++) {
      const text = String.fromCharCode(97 + (round % 26)).repeat(5000 + round)
      expected += text
      script.end.data(text)
      script.turn()
      for (const { payload, sequence } of script.segments.splice(0)) {
        expect((sequence - script.ours) | 0).toBe(acked)
        got += Buffer.from(payload).toString('latin1')
        acked += payload.length
      }
      script.guest('A', { seq: 1, ack: acked })
      script.turn()
    }
    expect(got).toBe(expected)
  })

  it('waits for a shut window, probing it', () => {
    script.guest('A', { seq: 1, ack: 1, window: 0 })
    script.end.data('held')
    expect(script.out()).toEqual([])
    // Each probe later than the one before; answered, they go on for ever.
    const times: number[] = []
    for (let ms = 0; ms < 600_000; ms += 100) {
      script.advance(100)
      for (const line of script.out()) {
        expect(line).toBe('A 0+0 ack 1')
        times.push(script.clock.now())
        script.guest('A', { seq: 1, ack: 1, window: 0 })
      }
    }
    expect(times.length).toBeGreaterThan(5)
    expect(times[3]! - times[2]!).toBeGreaterThan(times[1]! - times[0]!)
    script.guest('A', { seq: 1, ack: 1, window: 100 })
    expect(script.out()).toEqual(['PA 1+4 ack 1'])
  })

  it('gives up a machine that does not answer probes', () => {
    script.guest('A', { seq: 1, ack: 1, window: 0 })
    script.end.data('held')
    script.turn()
    for (let ms = 0; ms < 30 * 60_000; ms += 1000) script.advance(1000)
    expect(script.out().at(-1)).toBe('RA 1+0 ack 1')
    expect(script.end.destroyed).toBe('reset')
    expect(script.flows.count).toBe(0)
  })

  it('does not send little of much into a small window', () => {
    script.guest('A', { seq: 1, ack: 1, window: 1460 })
    script.end.data('x'.repeat(3000))
    expect(script.out()).toEqual(['A 1+1460 ack 1'])
    script.guest('A', { seq: 1, ack: 1461, window: 100 })
    expect(script.out()).toEqual([])
    // But in the end rather that than nothing.
    script.advance(3000)
    expect(script.out()[0]).toBe('A 1461+100 ack 1')
  })

  it('stops reading the host while the machine does not read', () => {
    start(SCALED, 0)
    const chunk = 'x'.repeat(64 * 1024)
    let given = 0
    for (; !script.end.paused && given < 100; given++) script.end.data(chunk)
    expect(given).toBe(2)
    script.turn()
    script.guest('A', { seq: 1, ack: 1, window: 1024 })
    let acked = 1
    for (let round = 0; round < 20 && script.end.paused; round++) {
      script.turn()
      for (const { payload } of script.segments.splice(0)) acked += payload.length
      script.guest('A', { seq: 1, ack: acked, window: 1024 })
    }
    script.turn()
    expect(script.end.paused).toBe(false)
    expect(acked).toBeGreaterThan(64 * 1024)
  })

  it('is sent again when nothing comes back, later and later, and given up', () => {
    script.end.data('lost')
    expect(script.out()).toEqual(['PA 1+4 ack 1'])
    const times: number[] = [script.clock.now()]
    while (script.flows.count > 0 && script.clock.now() < 3_600_000) {
      script.advance(10)
      for (const line of script.out()) {
        if (script.flows.count > 0) expect(line).toBe('PA 1+4 ack 1')
        times.push(script.clock.now())
      }
    }
    const waits = times.slice(1).map((time, at) => time - times[at]!)
    // RFC 1122, 4.2.3.5: no less than 100 s.
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(100_000)
    for (let at = 1; at < waits.length - 1; at++) expect(waits[at]!).toBeGreaterThanOrEqual(Math.min(waits[at - 1]! * 1.8, 120_000))
    expect(script.end.destroyed).toBe('reset')
  })

  it('goes back to what was lost after a time-out, and then slowly', () => {
    script.end.data('x'.repeat(1460 * 6))
    expect(script.out()).toHaveLength(6)
    script.advance(250)
    expect(script.out()).toEqual(['A 1+1460 ack 1'])
    script.guest('A', { seq: 1, ack: 1461 })
    expect(script.out()).toEqual(['A 1461+1460 ack 1', 'A 2921+1460 ack 1'])
  })

  it('is sent again after three duplicates (NewReno)', () => {
    start(PLAIN_OPTIONS)
    script.end.data('x'.repeat(1460 * 8))
    script.out()
    for (let count = 0; count < 2; count++) script.guest('A', { seq: 1, ack: 1 })
    expect(script.out()).toEqual([])
    script.guest('A', { seq: 1, ack: 1 })
    expect(script.out()).toEqual(['A 1+1460 ack 1'])
    // A fourth does not do it again; a partial acknowledgment shows the next hole.
    script.guest('A', { seq: 1, ack: 1 })
    expect(script.out()).toEqual([])
    script.guest('A', { seq: 1, ack: 1 + 1460 * 3 })
    expect(script.out()).toEqual([`A ${1 + 1460 * 3}+1460 ack 1`])
    script.guest('A', { seq: 1, ack: 1 + 1460 * 8 })
    expect(script.out()).toEqual([])
  })

  it('sends new data at the first two duplicates (limited transmit)', () => {
    start(PLAIN_OPTIONS)
    script.end.data('x'.repeat(1460 * 20))
    expect(script.out()).toHaveLength(10)
    script.guest('A', { seq: 1, ack: 1 })
    expect(script.out()).toEqual([`A ${1 + 14_600}+1460 ack 1`])
    script.guest('A', { seq: 1, ack: 1 })
    expect(script.out()).toEqual([`A ${1 + 16_060}+1460 ack 1`])
  })

  it('fills the holes alone where ranges are told', () => {
    const at = (segment: number): number => 1 + 1460 * segment
    script.end.data('x'.repeat(1460 * 10))
    expect(script.out()).toHaveLength(10)
    // 0, 3 and 4 are lost.
    const ranges: [number, number][][] = [
      [[at(1), at(2)]],
      [[at(1), at(3)]],
      [
        [at(5), at(6)],
        [at(1), at(3)],
      ],
      [
        [at(5), at(10)],
        [at(1), at(3)],
      ],
    ]
    for (const range of ranges) script.guest('A', { seq: 1, ack: 1, options: sackOf(script.ours, ...range) })
    expect(script.out()).toEqual([at(0), at(3), at(4)].map((seq) => `A ${seq}+1460 ack 1`))
    script.guest('A', { seq: 1, ack: at(3), options: sackOf(script.ours, [at(5), at(10)]) })
    expect(script.out()).toEqual([])
    script.guest('A', { seq: 1, ack: at(10) })
    expect(script.out()).toEqual([])
    expect(script.clock.waiting).toBe(1)
  })

  it('passes over ranges that make no sense', () => {
    script.end.data('x'.repeat(1460 * 4))
    script.out()
    for (const range of [
      [1, 1],
      [3000, 2000],
      [-500, 100],
      [1461, 900_000],
      [2 ** 31, 2 ** 31 + 5],
    ] as [number, number][])
      for (let count = 0; count < 3; count++) script.guest('A', { seq: 1, ack: 1, options: sackOf(script.ours, range) })
    expect(script.out()).toEqual([])
  })

  it('sends the FIN again', () => {
    script.end.data('last')
    script.end.events.ended()
    expect(script.out()).toEqual(['FPA 1+4 ack 1'])
    script.advance(250)
    expect(script.out()).toEqual(['FPA 1+4 ack 1'])
    script.guest('A', { seq: 1, ack: 5 })
    script.advance(5000)
    expect(script.out()[0]).toBe('FA 5+0 ack 1')
    script.guest('A', { seq: 1, ack: 6 })
    script.advance(60_000)
    script.segments.length = 0
    script.advance(60_000)
    expect(script.out()).toEqual([])
  })

  it('tries again where the link was full', () => {
    script.room = 2
    script.end.data('x'.repeat(1460 * 4))
    expect(script.out()).toHaveLength(2)
    script.room = Infinity
    script.guest('A', { seq: 1, ack: 1461 })
    expect(script.out()).toEqual(['A 2921+1460 ack 1', 'PA 4381+1460 ack 1'])
    script.guest('A', { seq: 1, ack: 5841 })
    script.room = 0
    script.end.data('more')
    expect(script.out()).toEqual([])
    script.room = Infinity
    script.advance(10)
    expect(script.out()).toEqual(['PA 5841+4 ack 1'])
  })

  it('measures how long answers take, and waits for so long', () => {
    for (let seq = 1, round = 0; round < 20; round++, seq += 4) {
      script.end.data('ping')
      script.turn()
      script.advance(900)
      script.guest('A', { seq: 1, ack: seq + 4 })
      script.turn()
    }
    script.segments.length = 0
    script.end.data('pong')
    script.turn()
    script.advance(1000)
    expect(script.segments).toHaveLength(1)
    script.advance(1000)
    expect(script.segments).toHaveLength(2)
  })
})

it('memory is let go in silence, and had again', () => {
  script.end.data('x'.repeat(1000))
  script.turn()
  script.guest('A', { seq: 1, ack: 1001 })
  script.guest('PA', { seq: 1, ack: 1001, data: 'hello' })
  script.turn()
  script.advance(30_000)
  script.segments.length = 0
  script.end.data('again')
  expect(script.out()).toEqual(['PA 1001+5 ack 6'])
  script.guest('PA', { seq: 6, ack: 1006, data: 'too' })
  script.turn()
  expect(script.end.text).toBe('hellotoo')
})
