import { Emitter } from '../../base/event.ts'
import type { WireMessage } from '../wire.ts'

/** What every wire's end has, whatever carries it: who listens, and that it closes once. */
export class WireEnd {
  #messages = new Emitter<WireMessage>()
  #closes = new Emitter<void>()
  #open = true

  readonly onMessage = this.#messages.event
  readonly onClose = this.#closes.event

  get open(): boolean {
    return this.#open
  }

  /** Passes on a message that came; after the close nothing does. */
  receive(message: WireMessage): void {
    if (this.#open) this.#messages.fire(message)
  }

  /** Tells the listeners, once. @returns false where it was closed before */
  close(): boolean {
    if (!this.#open) return false
    this.#open = false
    this.#closes.fire()
    this.#messages.dispose()
    this.#closes.dispose()
    return true
  }
}
