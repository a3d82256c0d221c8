/** What running machines use at this second, for the sidebar and the status line. Listens only while something runs and the page can be seen. */
import type { MachineSample, MetricsSample } from '../../src-shared/api/metrics.ts'
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { Host } from '../client/host.ts'

export class Load {
  #host: Host
  #last = $state.raw<MetricsSample | null>(null)

  constructor(host: Host) {
    this.#host = host
  }

  machine(id: string): MachineSample | undefined {
    return this.#last?.machines[id]
  }

  /** @returns stops listening */
  listen(): () => void {
    let subscription: Disposable | null = null
    // Hidden, the last figures stay, so that nothing jumps when the page is back.
    const watch = (): void => {
      if (document.visibilityState === 'visible') subscription ??= this.#host.metrics.sample((sample) => (this.#last = sample))
      else {
        subscription?.dispose()
        subscription = null
      }
    }
    document.addEventListener('visibilitychange', watch)
    watch()
    return () => {
      document.removeEventListener('visibilitychange', watch)
      subscription?.dispose()
      this.#last = null
    }
  }
}
