import { describe, expect, test } from 'vitest'
import { CaptureBudget, FrameStore } from '../../../../src-main/network/capture/frame-store.ts'
import { KiB } from '../../../../src-shared/base/units.ts'

const CHUNK = 128 * KiB

function frame(number: number, length = 1000): Uint8Array {
  const bytes = new Uint8Array(length).fill(number)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

function filled(limit: number, count: number, budget = new CaptureBudget()): FrameStore {
  const store = new FrameStore(limit, budget)
  for (let at = 0; at < count; at++) store.add(frame(at), at % 2 === 0 ? 'out' : 'in', 1000 + at)
  return store
}

function numbers(store: FrameStore, from = 0): number[] {
  return [...store.from(from)].map(({ number }) => number)
}

describe('a store of frames', () => {
  test('has them as they were, whatever happens to what it was lent', () => {
    const store = new FrameStore(CHUNK, new CaptureBudget())
    const lent = frame(7, 61)
    store.add(lent, 'in', 1234.567)
    lent.fill(0)
    expect([...store.from(0)]).toEqual([{ number: 0, at: 1234.567, direction: 'in', bytes: frame(7, 61) }])
    expect(store.get(0)?.direction).toBe('in')
    expect(store.get(1)).toBeNull()
  })

  test('keeps the newest, numbers them all, and never takes more than it may', () => {
    const store = filled(4 * CHUNK, 5000)
    const kept = numbers(store)
    expect(kept.at(-1)).toBe(4999)
    expect(kept[0]).toBe(store.oldest)
    expect(kept).toEqual(Array.from({ length: 5000 - store.oldest }, (_, at) => store.oldest + at))
    expect(store.bytes).toBeLessThanOrEqual(4 * CHUNK)
    expect(store.bytes).toBeGreaterThan(3 * CHUNK)
    expect(numbers(store, 4990)).toEqual([4990, 4991, 4992, 4993, 4994, 4995, 4996, 4997, 4998, 4999])
    expect(store.get(4711)?.bytes).toEqual(frame(4711))
    for (const { number, at, direction } of store.from(0)) {
      expect(at).toBe(1000 + number)
      expect(direction).toBe(number % 2 === 0 ? 'out' : 'in')
    }
  })

  test('knows where its newest begin, and begins to count where it is told', () => {
    const store = filled(4 * CHUNK, 5000)
    const newest = store.newest(2 * CHUNK)
    const bytes = [...store.from(newest)].reduce((sum, frame) => sum + frame.bytes.length, 0)
    expect(bytes).toBeGreaterThan(CHUNK / 2)
    expect(bytes).toBeLessThanOrEqual(2 * CHUNK)
    expect(store.newest(100 * CHUNK)).toBe(store.oldest)
    const later = new FrameStore(CHUNK, new CaptureBudget(), 1_790_000_000_000_000)
    expect([later.oldest, later.newest(CHUNK), later.next]).toEqual(new Array(3).fill(1_790_000_000_000_000))
    for (let at = 0; at < 3; at++) later.add(frame(at), 'in', at)
    expect(numbers(later)).toEqual([1_790_000_000_000_000, 1_790_000_000_000_001, 1_790_000_000_000_002])
  })

  test('takes the largest frame', () => {
    const store = filled(CHUNK, 3)
    store.add(frame(9, 65_534), 'out', 1)
    store.add(frame(9, 65_534), 'out', 2)
    store.add(frame(9, 65_534), 'out', 3)
    expect([...store.from(0)].at(-1)?.bytes).toHaveLength(65_534)
  })

  test('keeps nothing where it may keep nothing, and less from now on where that is asked for', () => {
    const none = filled(0, 10)
    expect(numbers(none)).toEqual([])
    expect(none.bytes).toBe(0)
    const store = filled(4 * CHUNK, 5000)
    store.setLimit(CHUNK)
    expect(store.bytes).toBeLessThanOrEqual(CHUNK)
    expect(numbers(store).at(-1)).toBe(4999)
    store.setLimit(0)
    expect(store.bytes).toBe(0)
    expect(store.oldest).toBe(store.next)
  })

  test('shares a budget: who finds it empty makes room in its own', () => {
    const budget = new CaptureBudget(3 * CHUNK)
    const greedy = filled(10 * CHUNK, 2000, budget)
    const late = filled(10 * CHUNK, 300, budget)
    expect(greedy.bytes + late.bytes).toBeLessThanOrEqual(3 * CHUNK)
    expect(numbers(greedy).at(-1)).toBe(1999)
    // There was nothing left for it, and it goes on counting.
    expect(late.next).toBe(300)
    greedy.clear()
    late.add(frame(1), 'in', 1)
    expect(numbers(late)).toEqual([300])
  })
})
