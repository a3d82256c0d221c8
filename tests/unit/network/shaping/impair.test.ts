import { describe, expect, test } from 'vitest'
import { Impairer } from '../../../../src-main/network/shaping/impair.ts'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { impairmentSchema, type Impairment } from '../../../../src-shared/model/network.ts'
import { FakeClock } from '../../../support/fake-clock.ts'

const SEED = 7

/** Its timers are late, as an event loop's are. */
class LateClock extends FakeClock {
  override after(ms: number, run: () => void): Disposable {
    return super.after(ms + 3, run)
  }
}

function link(wish: Partial<Impairment>, take = true, clock = new FakeClock()) {
  const arrived: { at: number; frame: Uint8Array; number: number }[] = []
  const impairer = new Impairer(
    (frame) => {
      if (take)
        arrived.push({
          at: clock.now(),
          frame: frame.slice(),
          number: frame.length > 17 ? new DataView(frame.buffer, frame.byteOffset).getUint32(14) : 0,
        })
      return take
    },
    clock,
    impairmentSchema.parse({ seed: SEED, ...wish }),
  )
  const send = (number: number, length = 1000): boolean => {
    const frame = new Uint8Array(length)
    new DataView(frame.buffer).setUint32(14, number)
    const sent = impairer.send(frame)
    // It was lent.
    frame.fill(0xee)
    return sent
  }
  return { clock, arrived, impairer, send }
}

describe('a link', () => {
  test('that does nothing hands frames on at once, and no timer runs', () => {
    const { clock, arrived, send } = link({})
    for (let at = 0; at < 10; at++) expect(send(at)).toBe(true)
    expect(arrived.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(clock.waiting).toBe(0)
  })

  test('delays each frame by as much, and keeps what it was lent', () => {
    const { clock, arrived, send } = link({ delay: 50 })
    send(1)
    clock.advance(20)
    send(2)
    clock.advance(29)
    expect(arrived).toEqual([])
    clock.advance(100)
    expect(arrived.map(({ at, number }) => [at, number])).toEqual([
      [50, 1],
      [70, 2],
    ])
    expect(clock.waiting).toBe(0)
  })

  test('jitter swings both ways and never changes the order', () => {
    const { clock, arrived, send } = link({ delay: 50, jitter: 40 })
    const sent: number[] = []
    for (let at = 0; at < 500; at++) {
      sent.push(clock.now())
      send(at)
      clock.advance(100)
    }
    clock.advance(1000)
    const delays = arrived.map(({ at }, index) => at - sent[index]!)
    expect(arrived.map(({ number }) => number)).toEqual(sent.map((_, at) => at))
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(10)
    expect(Math.min(...delays)).toBeLessThan(15)
    expect(Math.max(...delays)).toBeGreaterThan(85)
    expect(Math.max(...delays)).toBeLessThanOrEqual(90)
    const close = link({ delay: 50, jitter: 40 })
    for (let at = 0; at < 500; at++) {
      close.send(at)
      close.clock.advance(1)
    }
    close.clock.advance(1000)
    expect(close.arrived.map(({ number }) => number)).toEqual(sent.map((_, at) => at))
  })

  test('has a rate, however late its timer is, and drops what finds a full queue', () => {
    const { clock, arrived, impairer, send } = link({ rate: 10_000_000 }, true, new LateClock())
    // Twice as much as fits: 1250 bytes take 1 ms. Time goes on in steps of 7 ms.
    let taken = 0
    for (let at = 0; at < 1000; at++) {
      for (let index = 0; index < 14; index++) if (send(at, 1250)) taken++
      clock.advance(7)
    }
    expect(arrived.length).toBeGreaterThanOrEqual(6995)
    expect(arrived.length).toBeLessThanOrEqual(7001)
    expect(impairer.dropped).toBe(14_000 - taken)
    clock.advance(1000)
    expect(arrived).toHaveLength(taken)
    // 100 ms of frames wait.
    expect(taken - 7000).toBeGreaterThan(90)
    expect(taken - 7000).toBeLessThan(105)
  })

  test('loses, doubles and damages by chance, in about the share that was asked for', () => {
    const count = 20_000
    const lossy = link({ loss: 10 })
    for (let at = 0; at < count; at++) expect(lossy.send(at, 60)).toBe(true)
    expect(lossy.arrived.length + lossy.impairer.lost).toBe(count)
    expect(lossy.impairer.lost / count).toBeCloseTo(0.1, 2)

    const doubling = link({ duplicate: 25 })
    for (let at = 0; at < count; at++) doubling.send(at, 60)
    expect(doubling.arrived.length / count).toBeCloseTo(1.25, 2)

    const damaging = link({ corrupt: 5 })
    let changed = 0
    for (let at = 0; at < count; at++) damaging.send(at, 60)
    for (const { frame } of damaging.arrived) {
      expect(frame.subarray(0, 14).every((byte) => byte === 0)).toBe(true)
      const bits = frame.subarray(18).reduce((sum, byte) => sum + popcount(byte), 0)
      if (bits === 1) changed++
      else expect(bits).toBe(0)
    }
    // Some bits fall onto the number.
    expect(changed / count).toBeGreaterThan(0.04)
    expect(changed / count).toBeLessThan(0.06)
    expect(damaging.impairer.lost).toBe(0)
  })

  test('reorders: some are there at once, the others after their time, none is lost', () => {
    const { clock, arrived, send } = link({ delay: 10, reorder: 30 })
    for (let at = 0; at < 1000; at++) {
      send(at)
      clock.advance(1)
    }
    clock.advance(20)
    expect(arrived.map(({ number }) => number).sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, at) => at))
    const early = arrived.filter(({ at, number }) => at === number)
    expect(early.length / 1000).toBeGreaterThan(0.25)
    expect(early.length / 1000).toBeLessThan(0.35)
  })

  test('the same seed has the same fate, another has another', () => {
    const fate = (seed: number): number[] => {
      const { arrived, send } = link({ loss: 50, seed })
      for (let at = 0; at < 100; at++) send(at)
      return arrived.map(({ number }) => number)
    }
    expect(fate(1)).toEqual(fate(1))
    expect(fate(1)).not.toEqual(fate(2))
  })

  test('a change is in force at once, for what waits too, in its order', () => {
    const { clock, arrived, impairer, send } = link({ rate: 1000 })
    for (let at = 0; at < 5; at++) send(at)
    clock.advance(100)
    impairer.set(impairmentSchema.parse({ delay: 5 }))
    send(5)
    clock.advance(5)
    expect(arrived.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5])
    impairer.set(impairmentSchema.parse({}))
    send(6)
    expect(arrived.at(-1)?.number).toBe(6)
    expect(clock.waiting).toBe(0)
  })

  test('what nobody takes is dropped and counted; after its end nothing arrives and no timer runs', () => {
    const full = link({ delay: 5 }, false)
    full.send(1)
    full.clock.advance(5)
    expect(full.impairer.dropped).toBe(1)
    const ended = link({ delay: 5 })
    ended.send(1)
    ended.impairer.dispose()
    expect(ended.send(2)).toBe(false)
    ended.clock.advance(100)
    expect(ended.arrived).toEqual([])
    expect(ended.clock.waiting).toBe(0)
  })
})

function popcount(byte: number): number {
  return [...byte.toString(2)].filter((bit) => bit === '1').length
}
