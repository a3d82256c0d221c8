/**
 * Figures of running machines and of this computer, once a second while a machine is active or somebody listens. Otherwise there is no timer
 * at all: an idle host sleeps.
 */
import { HISTORY_SAMPLES, type HostSample, type MachineSample, type metrics, type MetricsSample } from '../../../src-shared/api/metrics.ts'
import { toDisposable, type Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import type { Counters, CounterValues } from '../../../src-shared/threads/counters.ts'
import { HistoryRing } from './history.ts'
import { HOST_FIELDS, hostRates, MACHINE_FIELDS, machineRates, type HostReading } from './rates.ts'
import { readHost } from './read-host.ts'

const INTERVAL = 1000
/** ms; a longer pause between two samples is a gap in the history, and a sample of that age is no longer the latest. */
const GAP = 2500
/** ms between the two readings of a sample that is asked for while nothing is sampled. */
const SHORT_INTERVAL = 200
/** Histories of machines that are kept; the longest unused goes first. */
const MAX_MACHINE_HISTORIES = 200

export interface MetricsSource {
  /** The active machines. */
  readonly machines: () => Iterable<{ id: string; counters: Counters }>
  /** Fires when the set of active machines changes. */
  readonly onActiveChanged: Event<void>
}

interface MachineReading {
  counters: Counters
  values: CounterValues
  /** ms of a clock that never jumps. */
  clock: number
}
interface Reading {
  clock: number
  host: HostReading
  machines: Map<string, MachineReading>
}

export class MetricsService implements Disposable {
  #source: MetricsSource
  #samples = new Emitter<MetricsSample>()
  #timer: NodeJS.Timeout | null = null
  #reading: Reading | null = null
  #latest: MetricsSample | null = null
  #taking: Promise<MetricsSample> | null = null
  #hostHistory = new HistoryRing<HostSample>(HOST_FIELDS, HISTORY_SAMPLES)
  /** In the order of their last sample. */
  #machineHistories = new Map<string, HistoryRing<MachineSample>>()
  #listening: Disposable

  readonly handlers: Handlers<typeof metrics> = {
    sample: (listener) => {
      const subscription = this.#samples.event(listener)
      this.#update()
      return toDisposable(() => {
        subscription.dispose()
        this.#update()
      })
    },
    latest: () => this.#freshSample(),
    machineHistory: ({ id }) => (this.#machineHistories.get(id) ?? new HistoryRing<MachineSample>(MACHINE_FIELDS, 1)).read(),
    hostHistory: () => this.#hostHistory.read(),
  }

  constructor(source: MetricsSource) {
    this.#source = source
    this.#listening = source.onActiveChanged(() => this.#update())
    this.#update()
  }

  dispose(): void {
    this.#listening.dispose()
    this.#samples.dispose()
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
  }

  #update(): void {
    const wanted = this.#samples.listenerCount > 0 || !this.#source.machines()[Symbol.iterator]().next().done
    if (wanted && !this.#timer) {
      this.#reading = this.#read()
      this.#timer = setInterval(() => this.#tick(), INTERVAL)
    } else if (!wanted && this.#timer) {
      clearInterval(this.#timer)
      this.#timer = null
    } else if (this.#reading) {
      // A machine that has just started is measured from now on, not from the next tick.
      for (const { id, counters } of this.#source.machines())
        if (this.#reading.machines.get(id)?.counters !== counters) this.#reading.machines.set(id, readMachine(counters))
    }
  }

  #read(): Reading {
    const machines = new Map([...this.#source.machines()].map(({ id, counters }) => [id, readMachine(counters)] as const))
    return { clock: performance.now(), host: readHost(), machines }
  }

  #tick(): void {
    const sample = this.#measure()
    if (sample) this.#samples.fire(sample)
  }

  /** A sample of the time since the last reading, put into the histories. */
  #measure(): MetricsSample | null {
    const before = this.#reading
    const now = this.#read()
    this.#reading = now
    if (!before) return null
    const seconds = (now.clock - before.clock) / 1000
    const host = hostRates(before.host, now.host, seconds)
    if (!host) return null
    const at = Date.now()
    keep(this.#hostHistory, at, host)
    const machines: Record<string, MachineSample> = {}
    for (const [id, { counters, values, clock }] of now.machines) {
      const last = before.machines.get(id)
      const sample = last?.counters === counters ? machineRates(last.values, values, (clock - last.clock) / 1000) : null
      if (sample) machines[id] = sample
      keep(this.#historyOf(id), at, sample)
    }
    this.#latest = { at, host, machines }
    return this.#latest
  }

  #historyOf(id: string): HistoryRing<MachineSample> {
    const ring = this.#machineHistories.get(id) ?? new HistoryRing<MachineSample>(MACHINE_FIELDS, HISTORY_SAMPLES)
    this.#machineHistories.delete(id)
    this.#machineHistories.set(id, ring)
    if (this.#machineHistories.size > MAX_MACHINE_HISTORIES) this.#machineHistories.delete(this.#machineHistories.keys().next().value!)
    return ring
  }

  async #freshSample(): Promise<MetricsSample> {
    this.#taking ??= this.#take().finally(() => (this.#taking = null))
    return this.#taking
  }

  async #take(): Promise<MetricsSample> {
    if (this.#latest && Date.now() - this.#latest.at < GAP) return this.#latest
    if (!this.#timer) this.#reading = this.#read()
    await new Promise((resolve) => setTimeout(resolve, SHORT_INTERVAL))
    return this.#measure() ?? this.#take()
  }
}

function readMachine(counters: Counters): MachineReading {
  return { counters, values: counters.read(), clock: performance.now() }
}

/** After a pause, a row of nulls keeps the chart from drawing a line across it. */
function keep<T>(ring: HistoryRing<T>, at: number, row: { [K in keyof T]: number } | null): void {
  if (ring.newest > -Infinity && at - ring.newest > GAP) ring.push(ring.newest + INTERVAL, null)
  ring.push(at, row)
}
