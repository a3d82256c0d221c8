import { describe, expect, it } from 'vitest'
import { MAX_NEIGHBOURS, Neighbours } from '../../../../src-main/network/gateway/neighbours.ts'
import { formatIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const address = (nth: number): IpAddress => Uint8Array.of(10, nth >> 16, nth >> 8, nth)
const address6 = (nth: number): IpAddress => Uint8Array.from([0xfd, ...new Uint8Array(11), nth >> 24, nth >> 16, nth >> 8, nth])

function setUp() {
  const clock = new FakeClock()
  const asked: string[] = []
  const sent: [Uint8Array, number][] = []
  const neighbours = new Neighbours(clock, {
    ask: (of, mac) => asked.push(`${formatIp(of)} ${mac ?? 'all'}`),
    transmit: (packet, mac) => sent.push([packet, mac]),
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
    // Made-up addresses push others out; who is pushed out is known again by the next packet.
    for (let nth = 0; nth < 20_000; nth++) neighbours.heard(address(100_000 + nth), 9)
    expect(neighbours.size).toBeLessThanOrEqual(MAX_NEIGHBOURS)
    neighbours.heard(address(3), 3)
    expect(neighbours.find(address(3))).toBe(3)
    clock.advance(11 * 60_000)
    expect(neighbours.size).toBe(0)
    expect(clock.waiting).toBe(0)
  })

  it('are not asked for without end', () => {
    const { neighbours, clock, asked } = setUp()
    const lost: number[] = []
    const waits = Array.from({ length: 1000 }, (_, nth) =>
      neighbours.wait(address(nth), Uint8Array.of(nth), (packet) => lost.push(packet[0]!)),
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
