/**
 * How a viewer follows a stream of a machine that ends with the machine, and may be opened again when that runs again or the wire is back.
 * The sessions of screens and consoles say what is opened, and when that is worth it; here are the states between, and the rule that of two
 * openings only the last counts. Who begins to look calls `follow`, or `set`s that there is nothing to follow.
 */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../src-shared/base/event.ts'
import { asAppError, type AppError } from '../../src-shared/errors/app-error.ts'

export type FollowStatus =
  /** Nobody looks. */
  | { kind: 'idle' }
  | { kind: 'opening' }
  | { kind: 'live' }
  /** The machine gives nothing more now; what it gave last is shown. */
  | { kind: 'ended' }
  /** The connection to the host is gone. */
  | { kind: 'lost' }
  | { kind: 'failed'; error: AppError }

export interface Followed {
  /** What is done, for errors that do not say it: "Opening the console". */
  readonly doing: string
  /** Opens the stream, calls `set` when it is live, and resolves at its end. After an abort nothing is done any more. */
  run(signal: AbortSignal): Promise<void>
  /** Lets go of what a run had. */
  release(): void
}

export class StreamFollower implements Disposable {
  #followed: Followed
  #status: FollowStatus = { kind: 'idle' }
  #onStatus = new Emitter<FollowStatus>()
  /** The current run; aborted by whatever ends it. */
  #running: AbortController | null = null
  #machineKey = ''
  /** What the machine was like when the stream was last opened. */
  #openedFor = ''
  #gives = false

  readonly onStatus: Event<FollowStatus> = this.#onStatus.event

  constructor(followed: Followed) {
    this.#followed = followed
  }

  get status(): FollowStatus {
    return this.#status
  }

  /** @param key changes when opening again may give something else @param gives whether a stream that ended would go on now */
  machineIs(key: string, gives: boolean): void {
    this.#machineKey = key
    this.#gives = gives
  }

  set(status: FollowStatus): void {
    if (status.kind === this.#status.kind && status.kind !== 'failed') return
    this.#status = status
    this.#onStatus.fire(status)
  }

  follow(): void {
    this.#stop()
    const { signal } = (this.#running = new AbortController())
    this.#openedFor = this.#machineKey
    this.set({ kind: 'opening' })
    this.#followed.run(signal).then(
      () => this.#ended(signal, { kind: 'ended' }),
      (error: unknown) => {
        const known = asAppError(error, this.#followed.doing)
        this.#ended(signal, known.code === 'disconnected' ? { kind: 'lost' } : { kind: 'failed', error: known })
      },
    )
  }

  /** Follows anew, unless the machine is as it was the last time. */
  followIfChanged(): void {
    if (this.#machineKey !== this.#openedFor) this.follow()
  }

  /** Nobody looks any more. */
  leave(): void {
    this.#stop()
    this.set({ kind: 'idle' })
  }

  #ended(signal: AbortSignal, status: FollowStatus): void {
    if (signal.aborted) return
    this.#stop()
    this.set(status)
    // It may have been started again while the last bytes were on their way.
    if (status.kind === 'ended' && this.#gives) this.followIfChanged()
  }

  #stop(): void {
    this.#running?.abort()
    this.#running = null
    this.#followed.release()
  }

  dispose(): void {
    this.leave()
    this.#onStatus.dispose()
  }
}
