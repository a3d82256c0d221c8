import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { CHUNK } from '../../../../src-main/network/capture/frame-chunk.ts'
import { CaptureBudget, FrameStore } from '../../../../src-main/network/capture/frame-store.ts'
import { mergeFrames, type HeldFrames } from '../../../../src-main/network/capture/held-frames.ts'

/** Frames of 1 kB: some 125 in a chunk. */
function add(store: FrameStore, from: number, count: number): void {
  for (let at = from; at < from + count; at++) {
    const bytes = new Uint8Array(1000).fill(at)
    new DataView(bytes.buffer).setUint32(0, at)
    store.add(bytes, 'out', at)
  }
}

function rest(held: HeldFrames): number[] {
  const found: number[] = []
  for (let frame = held.take(); frame; frame = held.take()) {
    expect(new DataView(frame.bytes.buffer, frame.bytes.byteOffset).getUint32(0)).toBe(frame.number)
    found.push(frame.number)
  }
  return found
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at)

describe('frames that a reader holds', () => {
  test('stay as they were while the store goes on, and cost no more than the budget', () => {
    const budget = new CaptureBudget(9 * CHUNK)
    const store = new FrameStore(4 * CHUNK, budget)
    add(store, 0, 1000)
    const { oldest } = store
    const held = store.hold(0)
    add(store, 1000, 5000)
    expect(store.oldest).toBeGreaterThan(1000)
    expect(rest(held)).toEqual(range(oldest, 1000))
    expect(held.missed).toBe(0)
    held.dispose()
    store.clear()
    // Every byte was given back once.
    expect(budget.take(9 * CHUNK)).toBe(true)
    expect(budget.take(1)).toBe(false)
  })

  test('are given back piece by piece by who reads them', () => {
    const budget = new CaptureBudget(8 * CHUNK)
    const store = new FrameStore(4 * CHUNK, budget)
    add(store, 0, 500)
    const held = store.hold(0)
    add(store, 500, 500)
    for (let at = 0; at < 300; at++) held.take()
    expect(budget.take(2 * CHUNK)).toBe(true)
    held.dispose()
    expect(budget.take(2 * CHUNK)).toBe(true)
    expect(budget.take(1)).toBe(false)
  })

  test('are the oldest of before where the budget is used up: the newest are kept, and what is missing is counted', () => {
    const store = new FrameStore(4 * CHUNK, new CaptureBudget(4 * CHUNK))
    add(store, 0, 500)
    const { oldest } = store
    const held = store.hold(0)
    expect(held.take()?.number).toBe(oldest)
    add(store, 500, 200)
    const found = rest(held)
    expect(found.at(-1)).toBe(499)
    expect(held.missed).toBe(found[0]! - oldest - 1)
    expect(held.missed).toBeGreaterThan(100)
    add(store, 700, 1000)
    expect(rest(store.hold(1600))).toEqual(range(1600, 1700))
  })

  test('outlive their store', () => {
    const budget = new CaptureBudget(4 * CHUNK)
    const store = new FrameStore(4 * CHUNK, budget)
    add(store, 0, 300)
    const [one, other] = [store.hold(0), store.hold(250)]
    store.setLimit(0)
    expect(rest(one)).toEqual(range(0, 300))
    expect(budget.take(4 * CHUNK)).toBe(false)
    expect(rest(other)).toEqual(range(250, 300))
    expect(budget.take(4 * CHUNK)).toBe(true)
  })

  test('begin where they are asked to, or not much before', () => {
    const store = new FrameStore(8 * CHUNK, new CaptureBudget())
    add(store, 0, 900)
    expect(rest(store.hold(700))).toEqual(range(700, 900))
    expect(rest(store.hold(900))).toEqual([])
    const since = rest(store.hold(0, 700))
    expect(since[0]).toBeLessThanOrEqual(700)
    expect(since[0]).toBeGreaterThan(700 - CHUNK / 1000)
    expect(since.at(-1)).toBe(899)
    expect(rest(new FrameStore(0, new CaptureBudget()).hold(0))).toEqual([])
  })
})

describe('frames of several ports', () => {
  test('come in the order of their times, each port’s in its own', () => {
    const ports = fc.array(fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 40 }), { maxLength: 12 })
    fc.assert(
      fc.property(ports, (times) => {
        const budget = new CaptureBudget()
        const held = times.map((list) => {
          const store = new FrameStore(CHUNK, budget)
          for (const at of [...list].sort((a, b) => a - b)) store.add(Uint8Array.of(1), 'in', at)
          return store.hold(0)
        })
        const found = [...mergeFrames(held)].map(({ from, frame }) => ({ from, at: frame.at, number: frame.number }))
        const all = times.flatMap((list, from) => [...list].sort((a, b) => a - b).map((at, number) => ({ from, at, number })))
        expect(found).toEqual(all.sort((a, b) => a.at - b.at || a.from - b.from || a.number - b.number))
      }),
    )
  })

  test('keep their order where some are forgotten meanwhile', () => {
    const budget = new CaptureBudget(4 * CHUNK)
    const [one, other] = [new FrameStore(2 * CHUNK, budget), new FrameStore(2 * CHUNK, budget)]
    add(one, 0, 240)
    add(other, 0, 240)
    const held = [one.hold(0), other.hold(0)]
    const times: number[] = []
    for (const { frame } of mergeFrames(held)) {
      if (times.push(frame.at) === 20) add(one, 240, 20)
    }
    expect(times).toEqual([...times].sort((a, b) => a - b))
    expect(held.map(({ missed }) => missed > 0)).toEqual([true, false])
    expect(times).toHaveLength(480 - held[0]!.missed)
  })
})
