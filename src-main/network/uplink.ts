/** What joins a bridged network to the network of this computer's own card: a port of its switch, and a TAP device behind it. */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import { guarded } from './faults.ts'
import type { Link } from './link/link.ts'
import { openTapLink } from './link/tap/tap-link.ts'
import type { SwitchPort } from './switch/switch-port.ts'
import type { Switch } from './switch/switch.ts'

export interface UplinkOptions {
  /** As the network's document names it. */
  card: string | null
  lan: Switch
  /** The entry of the thread that reads TAP devices. */
  thread: URL
  onChange: () => void
}

/** Of its port. */
export const UPLINK_PORT = 'uplink'

export class Uplink implements Disposable {
  #options: UplinkOptions
  #port: SwitchPort
  #link: Link | null = null
  #opening = false
  #disposed = false
  #problem: AppError | null = null

  constructor(options: UplinkOptions) {
    this.#options = options
    this.#port = options.lan.plug(UPLINK_PORT, (frame) => this.#link !== null && this.#link.send(frame))
    this.retry()
  }

  /** Why it is not joined. */
  get problem(): AppError | null {
    return this.#problem
  }

  /** Tries again where it is not joined: somebody may have removed the cause. */
  retry(): void {
    if (!this.#link && !this.#opening && !this.#disposed) void this.#open()
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#link?.dispose()
    this.#port.dispose()
  }

  async #open(): Promise<void> {
    const { card, thread, onChange } = this.#options
    const before = this.#problem?.message
    this.#opening = true
    try {
      const link = await openTapLink(
        card,
        thread,
        guarded((frame) => void this.#port.send(frame)),
        () => this.#lost(),
      )
      if (this.#disposed) return link.dispose()
      this.#link = link
      this.#problem = null
    } catch (error) {
      this.#problem = asAppError(error, 'Joining the network to this computer’s own')
    } finally {
      this.#opening = false
    }
    if (!this.#disposed && (this.#link || this.#problem?.message !== before)) onChange()
  }

  #lost(): void {
    this.#link = null
    this.#problem = new AppError(
      'disconnected',
      'The device that joined this network to the computer’s own went away. It is looked for again when a machine is plugged in, or the network is changed.',
    )
    this.#options.onChange()
  }
}
