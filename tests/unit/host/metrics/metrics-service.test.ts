import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { MetricsService } from '../../../../src-main/host/metrics/metrics-service.ts'
import type { MetricsSample } from '../../../../src-shared/api/metrics.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'
import { Counters } from '../../../../src-shared/threads/counters.ts'

const call = { signal: new AbortController().signal, peer: { kind: 'test' } } as const

describe('MetricsService', () => {
  const running = new Map<string, Counters>()
  const changed = new Emitter<void>()
  let service: MetricsService
  let samples: MetricsSample[]

  beforeEach(() => {
    vi.useFakeTimers()
    running.clear()
    samples = []
    service = new MetricsService({
      machines: () => [...running].map(([id, counters]) => ({ id, counters })),
      onActiveChanged: changed.event,
    })
  })
  afterEach(() => {
    service.dispose()
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })
  const start = (id: string): Counters => {
    const counters = new Counters()
    running.set(id, counters)
    changed.fire()
    return counters
  }
  const stop = (id: string): void => {
    running.delete(id)
    changed.fire()
  }
  const listen = () => service.handlers.sample((sample) => samples.push(sample))

  test('no timer while nothing runs and nobody listens', async () => {
    expect(vi.getTimerCount()).toBe(0)
    const first = listen()
    const second = listen()
    expect(vi.getTimerCount()).toBe(1)
    first.dispose()
    expect(vi.getTimerCount()).toBe(1)
    second.dispose()
    second.dispose()
    expect(vi.getTimerCount()).toBe(0)
    start('a')
    start('b')
    expect(vi.getTimerCount()).toBe(1)
    stop('a')
    expect(vi.getTimerCount()).toBe(1)
    stop('b')
    expect(vi.getTimerCount()).toBe(0)
    await vi.advanceTimersByTimeAsync(10_000)
    expect((await service.handlers.hostHistory({}, call)).at).toEqual([])
  })

  test('a machine’s rates, once a second', async () => {
    listen()
    const counters = start('a')
    counters.add('instructions', 5_000_000)
    await vi.advanceTimersByTimeAsync(1000)
    counters.add('instructions', 1_000_000)
    counters.add('cpuMicros', 250_000)
    await vi.advanceTimersByTimeAsync(1000)
    expect(samples.map(({ machines }) => machines['a']?.instructionsPerSecond)).toEqual([5_000_000, 1_000_000])
    expect(samples[1]?.machines['a']?.cpu).toBe(0.25)
    expect(samples[1]?.host.memoryTotalBytes).toBeGreaterThan(0)
  })

  test('one that starts between two ticks is measured by its own time', async () => {
    listen()
    await vi.advanceTimersByTimeAsync(500)
    const counters = start('a')
    counters.add('instructions', 1000)
    await vi.advanceTimersByTimeAsync(500)
    expect(samples[0]?.machines['a']?.instructionsPerSecond).toBe(2000)
  })

  test('one that was started anew has a gap, not a negative or a huge rate', async () => {
    const first = start('a')
    first.add('instructions', 1e9)
    await vi.advanceTimersByTimeAsync(1000)
    running.set('a', new Counters()) // nobody was told yet
    await vi.advanceTimersByTimeAsync(1000)
    running.get('a')!.add('instructions', 7)
    await vi.advanceTimersByTimeAsync(1000)
    const { series } = await service.handlers.machineHistory({ id: 'a' }, call)
    expect(series.instructionsPerSecond).toEqual([1e9, null, 7])
  })

  test('a pause is a gap in the history', async () => {
    const listening = listen()
    await vi.advanceTimersByTimeAsync(2000)
    listening.dispose()
    await vi.advanceTimersByTimeAsync(60_000)
    listen()
    await vi.advanceTimersByTimeAsync(1000)
    const { at, series } = await service.handlers.hostHistory({}, call)
    expect(series.cpu).toEqual([expect.any(Number), expect.any(Number), null, expect.any(Number)])
    expect(at[2]! - at[1]!).toBe(1000)
    expect(at[3]! - at[2]!).toBe(60_000)
  })

  test('keeps an hour', async () => {
    listen()
    await vi.advanceTimersByTimeAsync(3700 * 1000)
    expect((await service.handlers.hostHistory({}, call)).at).toHaveLength(3600)
  })

  test('latest: the last sample while it is fresh, else one taken now, once for all who ask', async () => {
    const answers = Promise.all([service.handlers.latest({}, call), service.handlers.latest({}, call)])
    await vi.advanceTimersByTimeAsync(300)
    const [one, two] = await answers
    expect(one).toBe(two)
    expect(one.host.memoryTotalBytes).toBeGreaterThan(0)
    expect(await service.handlers.latest({}, call)).toBe(one)
    await vi.advanceTimersByTimeAsync(5000)
    const later = service.handlers.latest({}, call)
    await vi.advanceTimersByTimeAsync(300)
    expect((await later).at).toBeGreaterThan(one.at)
  })

  test('a machine that nobody knows has an empty history', async () => {
    expect(await service.handlers.machineHistory({ id: 'none' }, call)).toMatchObject({ at: [], series: { cpu: [] } })
  })
})
