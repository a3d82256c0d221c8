/** What the policy's log says of frames. */
import { dissect } from '../capture/dissect/dissect.ts'
import type { Clock } from '../clock.ts'

/** Frames of a second that are told of: of very many the first. */
const MAX_LOGGED = 10

export class PolicyLog {
  #network: string
  #clock: Clock
  /** Frames that were told of in the second that began then, ms. */
  #logged = { since: -Infinity, count: 0 }

  constructor(network: string, clock: Clock) {
    this.#network = network
    this.#clock = clock
  }

  /**
   * @param from as people call who sent it, and `to` who gets it
   * @param isPrivate what it says stays out of the log
   * @returns a sentence; null: there were enough in this second
   */
  line(from: string, to: string, frame: Uint8Array, isPrivate: () => boolean): string | null {
    const now = this.#clock.now()
    if (now - this.#logged.since >= 1000) this.#logged = { since: now, count: 0 }
    if (this.#logged.count++ >= MAX_LOGGED) return null
    const { protocol, source, destination, info } = dissect(frame)
    return `Network “${this.#network}”, from ${from} to ${to}: ${protocol} ${source} → ${destination}${isPrivate() ? '' : ` ${info}`}`
  }
}
