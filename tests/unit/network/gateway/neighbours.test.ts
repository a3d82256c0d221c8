import { describe, expect, it } from 'vitest'
import { cardShare } from '../../../../src-main/network/card-share.ts'
import { MAX_NEIGHBOURS, MAX_NEIGHBOURS_OF_CARD, Neighbours } from '../../../../src-main/network/gateway/neighbours.ts'
import { formatIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

/** Cards from here on are not plugged in. */
const MADE_UP = 1_000_000
const address = (nth: number): IpAddress => Uint8Array.of(10, nth >> 16, nth >> 8, nth)
const address6 = (nth: number): IpAddress => Uint8Array.from([0xfd, ...new Uint8Array(11), nth >> 24, nth >> 16, nth >> 8, nth])

function setUp() {
  const clock = new FakeClock()
  const asked: string[] = []
  const sent: [Uint8Array, number][] = []
  const neighbours = new Neighbours(clock, {
    ask: (of, mac) => asked.push(`${formatIp(of)} ${mac ?? 'all'}`),
    transmit: (packet, mac) => sent.push([packet, mac]),
    shareOf: cardShare({ isCard: (mac) => mac < MADE_UP }),
  })
  return { clock, asked, sent, neighbours }
}

describe('neighbours', () => {
  it('are known by their packets, and taken over only by who says so', () => {
    const { neighbours } = setUp()
    expect(neighbours.find(address(1))).toBe(-1)
    expect(neighbours.heard(address(1), 5)).toBe(true)
    expect(neighbours.heard(address(1), 6)).toBe(false)
    expect(neighbours.find(address(1))).toBe(5)
    neighbours.update(address(2), 6)
    expect(neighbours.find(address(2))).toBe(-1)
    neighbours.update(address(1), 6, false)
    expect(neighbours.find(address(1))).toBe(5)
    neighbours.update(address(1), 6)
    expect(neighbours.find(address(1))).toBe(6)
    neighbours.dispose()
  })

  it('keep both families apart, thousands of them, and no more than there is room for', () => {
    const { neighbours, clock } = setUp()
    for (let nth = 0; nth < MAX_NEIGHBOURS / 2; nth++) {
      neighbours.heard(address(nth), nth)
      neighbours.heard(address6(nth), 100_000 + nth)
    }
    for (let nth = 0; nth < MAX_NEIGHBOURS / 2; nth++) {
      expect(neighbours.find(address(nth))).toBe(nth)
      expect(neighbours.find(address6(nth))).toBe(100_000 + nth)
    }
    expect(neighbours.size).toBe(MAX_NEIGHBOURS)
    // Who makes up addresses pushes out his own.
    for (let nth = 0; nth < 20_000; nth++) neighbours.heard(address(100_000 + nth), 9)
    expect(neighbours.size).toBe(MAX_NEIGHBOURS)
    expect(neighbours.find(address(100_000 + 19_999))).toBe(9)
    for (let nth = 0; nth < MAX_NEIGHBOURS / 2; nth++) if (nth !== 9) expect(neighbours.find(address(nth))).toBe(nth)
    // A newcomer takes the place of who has the most.
    for (let nth = 0; nth < 20; nth++) neighbours.heard(address6(70_000 + nth), 100_000 + nth)
    neighbours.heard(address(90_000), 5000)
    expect(neighbours.size).toBe(MAX_NEIGHBOURS)
    expect(neighbours.find(address(90_000))).toBe(5000)
    clock.advance(11 * 60_000)
    expect(neighbours.size).toBe(0)
    expect(clock.waiting).toBe(0)
  })

  it('of one card are so many, and of all made-up cards together', () => {
    const { neighbours } = setUp()
    neighbours.heard(address(1), 1)
    for (let nth = 0; nth < 1000; nth++) neighbours.heard(address(100 + nth), 2)
    expect(neighbours.size).toBe(1 + MAX_NEIGHBOURS_OF_CARD)
    for (let nth = 0; nth < 1000; nth++) neighbours.heard(address6(nth), MADE_UP + nth)
    expect(neighbours.size).toBe(1 + 2 * MAX_NEIGHBOURS_OF_CARD)
    expect(neighbours.find(address(1))).toBe(1)
    // One that is another's now is in that one's share.
    for (let nth = 0; nth < 1000; nth++) neighbours.learn(address6(nth), 3)
    expect(neighbours.size).toBe(1 + 2 * MAX_NEIGHBOURS_OF_CARD)
    expect(neighbours.addressesOf(3)).toHaveLength(MAX_NEIGHBOURS_OF_CARD)
    neighbours.dispose()
  })

  it('are not asked for without end', () => {
    const { neighbours, clock, asked } = setUp()
    const lost: number[] = []
    const waits = Array.from({ length: 1000 }, (_, nth) =>
      neighbours.wait(address(nth), Uint8Array.of(nth), { lost: (packet) => lost.push(packet[0]!) }),
    )
    expect(waits.filter(Boolean)).toHaveLength(256)
    clock.advance(1000)
    expect(asked).toHaveLength(512)
    clock.advance(2000)
    expect(lost).toHaveLength(256)
    expect(neighbours.size).toBe(0)
    expect(neighbours.wait(address(5000), Uint8Array.of(1))).toBe(true)
    neighbours.dispose()
    expect(clock.waiting).toBe(0)
  })

  it('are asked for on behalf of one card so often, and of all made-up cards together', () => {
    const { neighbours, clock } = setUp()
    const asks = (asker: (nth: number) => number, first: number): number =>
      Array.from({ length: 100 }, (_, nth) =>
        neighbours.wait(address(first + nth), Uint8Array.of(1), { asker: asker(nth), lost: null }),
      ).filter(Boolean).length
    expect(asks(() => 1, 0)).toBe(64)
    expect(asks((nth) => MADE_UP + nth, 1000)).toBe(64)
    expect(asks(() => 2, 2000)).toBe(64)
    // What is asked for already, and ourselves.
    expect(neighbours.wait(address(2000), Uint8Array.of(1), { asker: 1, lost: null })).toBe(true)
    expect(neighbours.wait(address(9000), Uint8Array.of(1))).toBe(true)
    clock.advance(3000)
    expect(asks(() => 1, 0)).toBe(64)
    neighbours.dispose()
  })

  it('get what waited for them, copied, in its order', () => {
    const { neighbours, sent } = setUp()
    const packet = Uint8Array.of(1)
    neighbours.wait(address(1), packet)
    packet[0] = 2
    neighbours.wait(address(1), packet)
    neighbours.learn(address(1), 44)
    expect(sent).toEqual([
      [Uint8Array.of(1), 44],
      [Uint8Array.of(2), 44],
    ])
    neighbours.dispose()
  })

  it('show no growth in a day', () => {
    const { neighbours, clock } = setUp()
    for (let minute = 0; minute < 24 * 60; minute++) {
      for (let nth = 0; nth < 5; nth++) neighbours.heard(address(minute * 5 + nth), nth)
      neighbours.heard(address(0), 1)
      clock.advance(60_000)
      expect(neighbours.size).toBeLessThan(70)
    }
    neighbours.dispose()
  })
})
