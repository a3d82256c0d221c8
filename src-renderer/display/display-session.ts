/**
 * One viewer's conversation with a machine's screen, apart from any component. Theory of operation: the server sends the whole picture when a
 * stream opens, so there is nothing to remember: somebody looks (`attach`), the stream is opened where the machine has a screen now; it ends with
 * the machine, and is opened again when that runs again or the wire is back. While nobody can see it (`hold`) the stream stays and no bytes are
 * taken: the server has nothing asked of it, and sends what changed in one piece afterwards.
 */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { Event } from '../../src-shared/base/event.ts'
import type { AppError } from '../../src-shared/errors/app-error.ts'
import type { MachineState } from '../../src-shared/model/machine-state.ts'
import type { ByteStream } from '../../src-shared/rpc/byte-stream.ts'
import { StreamFollower, type FollowStatus } from '../client/stream-follower.ts'
import { RfbChannel } from './rfb-channel.ts'

/** What paints a stream, as the session needs it. */
export interface Painter extends Disposable {
  readonly onConnect: Event<void>
  readonly onFault: Event<AppError>
}

export type OpenDisplay = (signal: AbortSignal) => Promise<{ stream: ByteStream }>

/** While the rest of these ends, the last picture stays. */
const HAS_SCREEN: readonly MachineState[] = ['running', 'paused', 'stopping', 'suspending']

export function hasScreen(state: MachineState): boolean {
  return HAS_SCREEN.includes(state)
}

export class DisplaySession<P extends Painter> implements Disposable {
  #open: OpenDisplay
  #paint: (channel: RfbChannel) => P
  #follower = new StreamFollower({
    doing: 'Showing the screen',
    run: (signal) => this.#run(signal),
    release: () => this.#release(),
  })
  #channel: RfbChannel | null = null
  #painter: P | null = null
  #held = false
  #screen = false

  readonly onStatus: Event<FollowStatus> = this.#follower.onStatus

  constructor(open: OpenDisplay, paint: (channel: RfbChannel) => P) {
    this.#open = open
    this.#paint = paint
  }

  get status(): FollowStatus {
    return this.#follower.status
  }

  get painter(): P | null {
    return this.#painter
  }

  /** Somebody looks. */
  attach(): void {
    if (this.status.kind !== 'idle') return
    if (this.#screen) this.#follower.follow()
    else this.#follower.set({ kind: 'ended' })
  }

  /** Whether the picture is out of sight for the moment. */
  hold(held: boolean): void {
    this.#held = held
    this.#channel?.hold(held)
  }

  /** Tells what is known of the machine: a screen that had ended goes on when it runs again. */
  machineChanged(machine: { state: MachineState; startedAt: string | null }): void {
    this.#screen = hasScreen(machine.state)
    this.#follower.machineIs(`${this.#screen} ${machine.startedAt}`, this.#screen)
    const { kind } = this.status
    if (this.#screen && (kind === 'ended' || kind === 'failed')) this.#follower.followIfChanged()
    if (!this.#screen && kind === 'failed') this.#follower.set({ kind: 'ended' })
  }

  /** The wire is back, or somebody asked to try again. */
  reconnect(): void {
    const { kind } = this.status
    if (this.#screen && (kind === 'ended' || kind === 'lost' || kind === 'failed')) this.#follower.follow()
  }

  dispose(): void {
    this.#follower.dispose()
  }

  #release(): void {
    this.#painter?.dispose()
    this.#painter = null
    this.#channel?.close()
    this.#channel = null
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { stream } = await this.#open(signal)
    if (signal.aborted) {
      stream.close()
      return
    }
    const channel = new RfbChannel(stream)
    channel.hold(this.#held)
    this.#channel = channel
    const painter = this.#paint(channel)
    this.#painter = painter
    const fault = new Promise<never>((_resolve, reject) => painter.onFault(reject))
    painter.onConnect(() => this.#follower.set({ kind: 'live' }))
    await Promise.race([channel.run(), fault])
  }
}
