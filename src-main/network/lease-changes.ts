/** What changed of the leases, told together: machines that flood DHCP are not felt by who listens. Of several changes of one lease the last is told. */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import type { LeaseChange } from '../../src-shared/threads/network-thread.ts'
import type { Clock } from './clock.ts'

/** ms after the first change. */
const GATHER = 50

export class LeaseChanges implements Disposable {
  #clock: Clock
  /** By network and card, in the order of their last change. */
  #waiting = new Map<string, LeaseChange>()
  #telling: Disposable | null = null
  #told = new Emitter<LeaseChange[]>()

  readonly event = this.#told.event

  constructor(clock: Clock) {
    this.#clock = clock
  }

  add(change: LeaseChange): void {
    const { network, mac } = change.lease
    const key = `${network}/${mac}`
    this.#waiting.delete(key)
    this.#waiting.set(key, change)
    this.#telling ??= this.#clock.after(GATHER, () => {
      this.#telling = null
      const changes = [...this.#waiting.values()]
      this.#waiting.clear()
      this.#told.fire(changes)
    })
  }

  dispose(): void {
    this.#telling?.dispose()
    this.#told.dispose()
  }
}
