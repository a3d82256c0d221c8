/**
 * One viewer's conversation with a machine's screen, apart from any component. Theory of operation: the server sends the whole picture when a
 * stream opens, so there is nothing to remember: somebody looks (`attach`), the stream is opened where the machine has a screen now; it ends with
 * the machine, and is opened again when that runs again or the wire is back. While nobody can see it (`hold`) the stream stays and no bytes are
 * taken: the server has nothing asked of it, and sends what changed in one piece afterwards.
 */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../src-shared/base/event.ts'
import { asAppError, type AppError } from '../../src-shared/errors/app-error.ts'
import type { MachineState } from '../../src-shared/model/machine-state.ts'
import type { ByteStream } from '../../src-shared/rpc/byte-stream.ts'
import { RfbChannel } from './rfb-channel.ts'

/** What paints a stream, as the session needs it. */
export interface Painter extends Disposable {
  readonly onConnect: Event<void>
  readonly onFault: Event<AppError>
}

export type OpenDisplay = (signal: AbortSignal) => Promise<{ stream: ByteStream }>

export type DisplayStatus =
  /** Nobody looks. */
  | { kind: 'idle' }
  | { kind: 'opening' }
  | { kind: 'live' }
  /** The machine has no picture now. */
  | { kind: 'ended' }
  /** The connection to the host is gone; `reconnect` goes on. */
  | { kind: 'lost' }
  | { kind: 'failed'; error: AppError }

/** While the rest of these ends, the last picture stays. */
const HAS_SCREEN: readonly MachineState[] = ['running', 'paused', 'stopping', 'suspending']

export function hasScreen(state: MachineState): boolean {
  return HAS_SCREEN.includes(state)
}

export class DisplaySession<P extends Painter> implements Disposable {
  #open: OpenDisplay
  #paint: (channel: RfbChannel) => P
  #status: DisplayStatus = { kind: 'idle' }
  #onStatus = new Emitter<DisplayStatus>()
  /** The current following of the stream; aborted by whatever ends it. */
  #following: AbortController | null = null
  #channel: RfbChannel | null = null
  #painter: P | null = null
  #attached = false
  #held = false
  #screen = false
  /** What the machine was like when the stream was last opened: reopened only when that changed. */
  #openedFor = ''
  #machineKey = ''

  readonly onStatus: Event<DisplayStatus> = this.#onStatus.event

  constructor(open: OpenDisplay, paint: (channel: RfbChannel) => P) {
    this.#open = open
    this.#paint = paint
  }

  get status(): DisplayStatus {
    return this.#status
  }

  get painter(): P | null {
    return this.#painter
  }

  /** Somebody looks. */
  attach(): void {
    if (this.#attached) return
    this.#attached = true
    if (this.#screen) this.#follow()
    else this.#set({ kind: 'ended' })
  }

  /** Whether the picture is out of sight for the moment. */
  hold(held: boolean): void {
    this.#held = held
    this.#channel?.hold(held)
  }

  /** Tells what is known of the machine: a screen that had ended goes on when it runs again. */
  machineChanged(machine: { state: MachineState; startedAt: string | null }): void {
    this.#screen = hasScreen(machine.state)
    this.#machineKey = `${this.#screen} ${machine.startedAt}`
    const waits = this.#status.kind === 'ended' || this.#status.kind === 'failed'
    if (this.#attached && this.#screen && waits && this.#machineKey !== this.#openedFor) this.#follow()
    if (!this.#screen && this.#status.kind === 'failed') this.#set({ kind: 'ended' })
  }

  /** The wire is back, or somebody asked to try again. */
  reconnect(): void {
    if (this.#attached && this.#screen && this.#status.kind !== 'opening' && this.#status.kind !== 'live') this.#follow()
  }

  dispose(): void {
    this.#attached = false
    this.#stop()
    this.#set({ kind: 'idle' })
    this.#onStatus.dispose()
  }

  #stop(): void {
    this.#following?.abort()
    this.#following = null
    this.#painter?.dispose()
    this.#painter = null
    this.#channel?.close()
    this.#channel = null
  }

  #set(status: DisplayStatus): void {
    if (status.kind === this.#status.kind && status.kind !== 'failed') return
    this.#status = status
    this.#onStatus.fire(status)
  }

  #follow(): void {
    this.#stop()
    const controller = new AbortController()
    this.#following = controller
    this.#openedFor = this.#machineKey
    this.#set({ kind: 'opening' })
    this.#run(controller.signal).then(
      () => this.#ended(controller.signal, { kind: 'ended' }),
      (error: unknown) => {
        const known = asAppError(error, 'Showing the screen')
        this.#ended(controller.signal, known.code === 'disconnected' ? { kind: 'lost' } : { kind: 'failed', error: known })
      },
    )
  }

  #ended(signal: AbortSignal, status: DisplayStatus): void {
    if (signal.aborted) return
    this.#stop()
    this.#set(status)
    // It may have been started again while the last bytes were on their way.
    if (status.kind === 'ended' && this.#screen && this.#machineKey !== this.#openedFor) this.#follow()
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
    painter.onConnect(() => this.#set({ kind: 'live' }))
    await Promise.race([channel.run(), fault])
  }
}
