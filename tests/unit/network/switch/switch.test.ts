import { expect, test } from 'vitest'
import { NO_IMPAIRMENT } from '../../../../src-shared/model/network.ts'
import { BROADCAST, writeEthernet } from '../../../../src-main/network/codec/ethernet.ts'
import { MAX_FRAME } from '../../../../src-main/network/port.ts'
import { AGEING, MAX_ADDRESSES } from '../../../../src-main/network/switch/address-table.ts'
import { Switch } from '../../../../src-main/network/switch/switch.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const [A, B, C] = [0x525400000001, 0x525400000002, 0x5254ff000003]

function frame(to: number, from: number, length = 60): Uint8Array {
  const bytes = new Uint8Array(length)
  writeEthernet(bytes, to, from, 0x88b5)
  return bytes
}

function make(count = 3) {
  const clock = new FakeClock()
  const lan = new Switch(clock)
  const got = Array.from({ length: count }, () => [] as Uint8Array[])
  const ports = got.map((frames, at) => lan.plug(`port-${at}`, (bytes) => frames.push(bytes.slice()) > 0))
  /** How many frames each port got since the last time. */
  const counts = (): number[] => got.map((frames) => frames.splice(0).length)
  return { clock, lan, ports, got, counts }
}

test('what is not known goes to all others, what was seen to one alone', () => {
  const { ports, counts, got } = make()
  expect(ports[0]!.send(frame(B, A))).toBe(true)
  expect(counts()).toEqual([0, 1, 1])
  ports[1]!.send(frame(A, B))
  expect(counts()).toEqual([1, 0, 0])
  ports[0]!.send(frame(B, A))
  expect(got[1]![0]).toEqual(frame(B, A))
  expect(counts()).toEqual([0, 1, 0])
})

test('broadcasts and groups go to all others, always', () => {
  const { ports, counts } = make()
  ports[1]!.send(frame(A, B))
  counts()
  for (const group of [BROADCAST, 0x3333_0000_0001, 0x0100_5e00_0001]) {
    ports[0]!.send(frame(group, A))
    expect(counts()).toEqual([0, 1, 1])
  }
})

test('an address that moved is found where it is now', () => {
  const { ports, counts } = make()
  ports[0]!.send(frame(BROADCAST, A))
  ports[2]!.send(frame(BROADCAST, A))
  counts()
  ports[1]!.send(frame(A, B))
  expect(counts()).toEqual([0, 0, 1])
})

test('addresses age, unless they are refreshed or pinned', () => {
  const { clock, lan, ports, counts } = make()
  lan.pin(C, 'port-2')
  ports[0]!.send(frame(BROADCAST, A))
  clock.advance(AGEING)
  counts()
  ports[1]!.send(frame(A, B))
  expect(counts()).toEqual([1, 0, 0])
  clock.advance(1)
  ports[1]!.send(frame(A, B))
  expect(counts()).toEqual([1, 0, 1])
  clock.advance(100 * AGEING)
  ports[1]!.send(frame(C, B))
  expect(counts()).toEqual([0, 0, 1])
})

test('a frame to where it comes from goes nowhere', () => {
  const { ports, counts } = make()
  ports[0]!.send(frame(BROADCAST, A))
  counts()
  ports[0]!.send(frame(A, B))
  expect(counts()).toEqual([0, 0, 0])
})

test('nobody speaks for a group, or in the name of a pinned address', () => {
  const { lan, ports, counts } = make()
  lan.pin(C, 'port-2')
  expect(ports[0]!.send(frame(B, BROADCAST))).toBe(false)
  expect(ports[0]!.send(frame(B, 0x0100_0000_0000))).toBe(false)
  expect(ports[0]!.send(frame(BROADCAST, C))).toBe(false)
  expect(counts()).toEqual([0, 0, 0])
  expect(ports[0]!.counters).toMatchObject({ framesOut: 3, dropped: 3 })
  ports[2]!.send(frame(BROADCAST, C))
  ports[1]!.send(frame(C, B))
  expect(counts()).toEqual([1, 1, 1])
})

test('a pinned address is nobody else’s while its link is up, and comes back with it', () => {
  const { lan, ports, counts } = make()
  lan.pin(C, 'port-2')
  expect([C, C + 1].map((mac) => lan.isCard(mac))).toEqual([true, false])
  ports[2]!.link = false
  ports[0]!.send(frame(BROADCAST, C))
  counts()
  ports[1]!.send(frame(C, B))
  expect(counts()).toEqual([1, 0, 0])
  ports[2]!.link = true
  ports[1]!.send(frame(C, B))
  expect(counts()).toEqual([0, 0, 1])
  expect(ports[0]!.send(frame(BROADCAST, C))).toBe(false)
  // Two cannot have it: the first has.
  lan.pin(C, 'port-0')
  expect(ports[0]!.send(frame(BROADCAST, C))).toBe(false)
  // It has others, too.
  ports[2]!.send(frame(BROADCAST, A))
  counts()
  ports[1]!.send(frame(A, B))
  expect(counts()).toEqual([0, 0, 1])
})

test('runts and giants are dropped and counted, the smallest and largest frames pass', () => {
  const { ports, counts } = make()
  for (const length of [0, 1, 13, MAX_FRAME + 1]) expect(ports[0]!.send(new Uint8Array(length))).toBe(false)
  expect(counts()).toEqual([0, 0, 0])
  expect(ports[0]!.counters).toMatchObject({ framesOut: 0, dropped: 4 })
  ports[0]!.send(frame(B, A, 14))
  ports[0]!.send(frame(B, A, MAX_FRAME))
  expect(counts()).toEqual([0, 2, 2])
})

test('counts what left and what reached each port', () => {
  const { lan, ports } = make(2)
  const full = lan.plug('full', () => false)
  ports[0]!.send(frame(BROADCAST, A, 100))
  expect(ports[0]!.counters).toEqual({ framesOut: 1, bytesOut: 100, framesIn: 0, bytesIn: 0, dropped: 0, lost: 0, denied: 0 })
  expect(ports[1]!.counters).toMatchObject({ framesIn: 1, bytesIn: 100, dropped: 0 })
  expect(full.counters).toMatchObject({ framesIn: 0, bytesIn: 0, dropped: 1 })
  full.send(frame(A, B))
  expect(ports[0]!.send(frame(B, A))).toBe(false)
})

test('a link that is down passes nothing either way, and its addresses are forgotten', () => {
  const { ports, counts } = make()
  ports[0]!.send(frame(BROADCAST, A))
  counts()
  ports[0]!.link = false
  expect(ports[0]!.send(frame(BROADCAST, A))).toBe(false)
  ports[1]!.send(frame(A, B))
  expect(counts()).toEqual([0, 0, 1])
  ports[0]!.link = true
  ports[1]!.send(frame(A, B))
  expect(counts()).toEqual([1, 0, 1])
})

test('ports come and go while a frame passes', () => {
  const { lan, ports, counts } = make(2)
  const passing = lan.plug('passing', () => {
    passing.dispose()
    lan.plug('late', () => true)
    return true
  })
  const last = lan.plug('last', () => true)
  ports[0]!.send(frame(BROADCAST, A))
  expect(counts()).toEqual([0, 1])
  expect(last.counters.framesIn).toBe(1)
  expect(lan.ports.map(({ id }) => id)).toEqual(['port-0', 'port-1', 'last', 'late'])
  expect(passing.send(frame(BROADCAST, C))).toBe(false)
})

test('a port that makes up addresses without end pushes out its own alone', () => {
  const { clock, ports, counts } = make(3)
  ports[0]!.send(frame(BROADCAST, A))
  ports[1]!.send(frame(BROADCAST, B))
  for (let at = 0; at < 20 * MAX_ADDRESSES; at++) ports[2]!.send(frame(A, 0x0200_0000_0000 + at * 7919))
  expect(ports[2]!.addresses).toBeLessThanOrEqual(MAX_ADDRESSES - 2)
  expect(ports[2]!.addresses).toBeGreaterThan(MAX_ADDRESSES / 2)
  counts()
  ports[0]!.send(frame(B, A))
  expect(counts()).toEqual([0, 1, 0])
  // And one who comes later is learned all the same.
  ports[0]!.send(frame(BROADCAST, C))
  counts()
  ports[1]!.send(frame(C, B))
  expect(counts()).toEqual([1, 0, 0])
  // What it made up ages, too, and its places are free again.
  clock.advance(AGEING + 1)
  for (let at = 0; at < 1000; at++) ports[1]!.send(frame(A, 0x0600_0000_0000 + at))
  expect(ports[1]!.addresses).toBeGreaterThan(900)
  ports[2]!.dispose()
  expect(ports[2]!.addresses).toBe(0)
})

test('the policy is asked for each port that would get a frame', () => {
  const { lan, ports, counts } = make(4)
  const logged: string[] = []
  lan.policy = (from, to) => (to === 'port-2' || to === 'port-3' ? 'deny' : from === 'port-1' ? 'log' : 'allow')
  lan.onLogged = (from, to) => logged.push(`${from.id} ${to.id}`)
  ports[0]!.send(frame(BROADCAST, A))
  expect(counts()).toEqual([0, 1, 0, 0])
  // One frame, however many do not get it.
  expect(ports[0]!.counters.denied).toBe(1)
  ports[1]!.send(frame(A, B))
  expect(counts()).toEqual([1, 0, 0, 0])
  expect(logged).toEqual(['port-1 port-0'])
})

test('what a port loses by its impairment is counted at that port, and taps see what left and what came', () => {
  const { lan, ports, counts } = make(2)
  const seen: string[] = []
  for (const port of ports) port.tap = (id, bytes, direction) => seen.push(`${id} ${direction} ${bytes.length}`)
  ports[0]!.send(frame(B, A, 70))
  expect(seen).toEqual(['port-0 out 70', 'port-1 in 70'])
  ports[1]!.impair({ ...NO_IMPAIRMENT, loss: 100 })
  ports[0]!.send(frame(B, A))
  ports[1]!.send(frame(A, B, 80))
  expect(counts()).toEqual([0, 1])
  expect(seen.slice(2)).toEqual(['port-0 out 60', 'port-1 out 80'])
  expect(ports[1]!.counters.lost).toBe(2)
  ports[1]!.impair(NO_IMPAIRMENT)
  ports[0]!.send(frame(B, A))
  expect(counts()).toEqual([0, 1])
  lan.dispose()
  expect(lan.ports).toEqual([])
})

test('a delayed frame does not reach a port that was cut or pulled out meanwhile', () => {
  const { clock, lan, ports, counts } = make(3)
  for (const port of ports) port.impair({ ...NO_IMPAIRMENT, delay: 10 })
  ports[0]!.send(frame(BROADCAST, A))
  clock.advance(10)
  ports[1]!.link = false
  ports[2]!.dispose()
  clock.advance(10)
  expect(counts()).toEqual([0, 0, 0])
  lan.dispose()
})
