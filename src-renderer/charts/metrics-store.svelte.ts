/**
 * Figures of the machines on screen and of the host: the history is asked for once, then each sample adds its own. It listens only while a
 * page with charts is shown and the window is visible; coming back, the history fills what was missed.
 */
import { HISTORY_SAMPLES, type History, type HostSample, type MachineSample, type MetricsSample } from '../../src-shared/api/metrics.ts'
import { toDisposable, type Disposable } from '../../src-shared/base/disposable.ts'
import { asAppError, type WireError } from '../../src-shared/errors/app-error.ts'
import type { Host } from '../client/host.ts'
import { SampleRing } from './sample-ring.ts'

const MACHINE_NAMES = [
  'cpu',
  'instructionsPerSecond',
  'halted',
  'memoryBytes',
  'diskReadPerSecond',
  'diskWrittenPerSecond',
  'netReceivedPerSecond',
  'netSentPerSecond',
] as const satisfies readonly (keyof MachineSample)[]
const HOST_NAMES = ['cpu', 'hostCpu', 'memoryUsedBytes', 'hostMemoryBytes'] as const

export type MachineRing = SampleRing<(typeof MACHINE_NAMES)[number]>
export type HostRing = SampleRing<(typeof HOST_NAMES)[number]>

interface Watched {
  watchers: number
  ring: MachineRing
}

export class MetricsStore implements Disposable {
  #host: Host
  #machines = new Map<string, Watched>()
  #subscription: Disposable | null = null
  /** Counts the loads, so that a late answer of an earlier one is dropped. */
  #load = 0
  #visibility: Disposable

  readonly hostRing: HostRing = new SampleRing(HOST_NAMES, HISTORY_SAMPLES)
  /** Grows whenever a ring changed: read it before reading rings. */
  version = $state(0)
  /** Unix ms of the newest sample: the right edge of every chart. Null before the first. */
  now = $state<number | null>(null)
  /** Memory of the computer, bytes; null before the first sample. */
  memoryTotalBytes = $state<number | null>(null)
  error = $state.raw<WireError | null>(null)

  constructor(host: Host) {
    this.#host = host
    const onChange = (): void => this.#follow()
    document.addEventListener('visibilitychange', onChange)
    this.#visibility = toDisposable(() => document.removeEventListener('visibilitychange', onChange))
  }

  /** Keeps a machine's figures (and the host's) until the result is called. */
  watch(id: string): () => void {
    let watched = this.#machines.get(id)
    if (!watched) this.#machines.set(id, (watched = { watchers: 0, ring: new SampleRing(MACHINE_NAMES, HISTORY_SAMPLES) }))
    watched.watchers++
    this.#follow()
    if (watched.watchers === 1) void this.reload()
    return () => {
      if (--watched.watchers > 0) return
      this.#machines.delete(id)
      this.#follow()
    }
  }

  ring(id: string): MachineRing | undefined {
    return this.#machines.get(id)?.ring
  }

  #follow(): void {
    const wanted = this.#machines.size > 0 && document.visibilityState === 'visible'
    if (wanted && !this.#subscription) {
      this.#subscription = this.#host.metrics.sample((sample) => this.#add(sample))
      void this.reload()
    } else if (!wanted && this.#subscription) {
      this.#subscription.dispose()
      this.#subscription = null
    }
  }

  /** Asks for the histories again: at the start, and after a lost connection. */
  async reload(): Promise<void> {
    if (!this.#subscription) return
    const load = ++this.#load
    const ids = [...this.#machines.keys()]
    try {
      const [host, latest, ...machines] = await Promise.all([
        this.#host.metrics.hostHistory({}),
        this.#host.metrics.latest({}),
        ...ids.map((id) => this.#host.metrics.machineHistory({ id })),
      ])
      if (load !== this.#load) return
      this.hostRing.clear()
      eachSample<HostSample>(host, (at, sample) => this.hostRing.push(at, { ...sample, memoryUsedBytes: used(sample) }))
      machines.forEach((history, at) => {
        const ring = this.ring(ids[at]!)
        if (!ring) return
        ring.clear()
        eachSample<MachineSample>(history, (time, sample) => ring.push(time, sample))
      })
      this.error = null
      this.#add(latest)
    } catch (error) {
      const known = asAppError(error, 'Reading the figures')
      // A lost connection is told by the shell, and `reload` comes again with the next one.
      if (load === this.#load && known.code !== 'disconnected') this.error = known.toWire()
    }
  }

  #add(sample: MetricsSample): void {
    this.hostRing.push(sample.at, { ...sample.host, memoryUsedBytes: used(sample.host) })
    for (const [id, { ring }] of this.#machines) {
      const figures = sample.machines[id]
      if (figures) ring.push(sample.at, figures)
    }
    this.now = sample.at
    this.memoryTotalBytes = sample.host.memoryTotalBytes
    this.version++
  }

  dispose(): void {
    this.#visibility.dispose()
    this.#machines.clear()
    this.#subscription?.dispose()
    this.#subscription = null
  }
}

function used(sample: Partial<Record<keyof HostSample, number | null>>): number | null {
  const { memoryTotalBytes: total, memoryFreeBytes: free } = sample
  return total === null || total === undefined || free === null || free === undefined ? null : total - free
}

/** Calls `take` with each row of a history. */
function eachSample<T>(history: History<T>, take: (at: number, sample: Record<keyof T, number | null>) => void): void {
  const names = Object.keys(history.series) as (keyof T)[]
  history.at.forEach((at, row) => {
    const sample = {} as Record<keyof T, number | null>
    for (const name of names) sample[name] = history.series[name][row] ?? null
    take(at, sample)
  })
}
