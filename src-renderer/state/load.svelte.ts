/** What running machines use at this second, for the sidebar and the status line. Listens only while something runs. */
import type { MachineSample, MetricsSample } from '../../src-shared/api/metrics.ts'
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
    const subscription = this.#host.metrics.sample((sample) => (this.#last = sample))
    return () => {
      subscription.dispose()
      this.#last = null
    }
  }
}
