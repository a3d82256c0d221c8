/** What flows, once a second while somebody listens and something is plugged in. Otherwise there is no timer at all. */
import type { TrafficSample } from '../../../src-shared/api/networks.ts'
import { toDisposable, type Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import type { PortCounters } from '../../../src-shared/threads/network-thread.ts'

const INTERVAL = 1000

export class Traffic implements Disposable {
  #read: () => Promise<Record<string, PortCounters> | null>
  #isWanted: () => boolean
  #samples = new Emitter<Record<string, TrafficSample>>()
  #timer: NodeJS.Timeout | null = null
  #before: { counters: Record<string, PortCounters>; at: number } | null = null
  #reading = false

  readonly sample: Event<Record<string, TrafficSample>> = (listener) => {
    const subscription = this.#samples.event(listener)
    this.update()
    return toDisposable(() => {
      subscription.dispose()
      this.update()
    })
  }

  /**
   * @param read the counters of now; null: there are none
   * @param isWanted whether something is plugged in; call `update` when that changes
   */
  constructor(read: () => Promise<Record<string, PortCounters> | null>, isWanted: () => boolean) {
    this.#read = read
    this.#isWanted = isWanted
  }

  update(): void {
    const wanted = this.#samples.listenerCount > 0 && this.#isWanted()
    if (wanted && !this.#timer) {
      this.#timer = setInterval(() => void this.#tick(), INTERVAL)
      void this.#tick()
    } else if (!wanted && this.#timer) {
      clearInterval(this.#timer)
      this.#timer = null
      this.#before = null
    }
  }

  dispose(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
    this.#samples.dispose()
  }

  async #tick(): Promise<void> {
    if (this.#reading) return
    this.#reading = true
    try {
      const counters = await this.#read()
      if (!counters || !this.#timer) return
      const before = this.#before
      const at = performance.now()
      this.#before = { counters, at }
      if (before) this.#samples.fire(rates(before.counters, counters, (at - before.at) / 1000))
    } catch {
      // The thread died: its successor begins with new counters.
      this.#before = null
    } finally {
      this.#reading = false
    }
  }
}

/** By what moved. Counters that are smaller than before began anew. Pure. */
export function rates(
  before: Record<string, PortCounters>,
  now: Record<string, PortCounters>,
  seconds: number,
): Record<string, TrafficSample> {
  const found: Record<string, TrafficSample> = {}
  for (const [key, counters] of Object.entries(now)) {
    const was = before[key]
    const rate = (name: keyof PortCounters): number => {
      const more = counters[name] - (was?.[name] ?? counters[name])
      return Math.max(0, more) / seconds
    }
    const sample: TrafficSample = {
      ...{ outBytes: rate('bytesOut'), inBytes: rate('bytesIn'), outFrames: rate('framesOut'), inFrames: rate('framesIn') },
      ...{ lost: rate('lost'), denied: rate('denied'), dropped: rate('dropped') },
    }
    if (Object.values(sample).some((value) => value > 0)) found[key] = sample
  }
  return found
}
