/** The newest alerts of this run. */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import type { NetworkAlert } from '../../../src-shared/threads/network-thread.ts'

const MAX_ALERTS = 200

export class AlertList implements Disposable {
  /** In the order of their last time. */
  #alerts: NetworkAlert[] = []
  #alert = new Emitter<NetworkAlert>()
  #dismissed = new Emitter<{ id: string }>()

  readonly onAlert: Event<NetworkAlert> = this.#alert.event
  readonly onDismissed: Event<{ id: string }> = this.#dismissed.event

  /** A new one, or one that counts on. */
  add(alert: NetworkAlert): void {
    this.#alerts = [...this.#alerts.filter(({ id }) => id !== alert.id), alert].slice(-MAX_ALERTS)
    this.#alert.fire(alert)
  }

  /** The newest first. */
  all(): NetworkAlert[] {
    return [...this.#alerts].reverse()
  }

  dismiss(id: string): void {
    this.#alerts = this.#alerts.filter((alert) => alert.id !== id)
    this.#dismissed.fire({ id })
  }

  dispose(): void {
    this.#alert.dispose()
    this.#dismissed.dispose()
  }
}
