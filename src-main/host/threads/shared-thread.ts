/**
 * A thread that serves everybody (storage, appliance). Started when first needed, ended a while after its last user left, started again when
 * it died; but one that keeps dying is left dead for a while, because its cause then is not going away by itself.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { ThreadName } from '../../threads/thread-url.ts'
import type { Log } from '../log/log.ts'
import { HostThread } from './thread.ts'

/** So many deaths … */
const MAX_DEATHS = 3
/** … within so many ms, and it is not started again until they are past. */
const DEATH_WINDOW = 60_000
/** ms for which an unused thread is kept, for the next user. */
const LINGER = 10_000

/** The right to use the thread; give it back with `release`. */
export interface Lease {
  readonly thread: HostThread
  release(): void
}

export class SharedThread implements Disposable {
  #name: ThreadName
  #log: Log
  #entry: URL | undefined
  #thread: HostThread | null = null
  #users = 0
  #deaths: number[] = []
  #lastError: AppError | null = null
  #linger: NodeJS.Timeout | null = null
  #ending: Promise<void>[] = []
  #disposed = false

  /** @param entry another entry than the product's, for tests */
  constructor(name: ThreadName, log: Log, entry?: URL) {
    this.#name = name
    this.#log = log
    this.#entry = entry
  }

  /** @throws AppError `crashed` where it died too often of late, `disconnected` when the host is ending */
  lease(now = Date.now()): Lease {
    if (this.#disposed) throw new AppError('disconnected', 'Coppice is ending.')
    this.#deaths = this.#deaths.filter((at) => now - at < DEATH_WINDOW)
    if (!this.#thread && this.#deaths.length >= MAX_DEATHS)
      throw new AppError(
        'crashed',
        `The ${this.#name} thread died ${this.#deaths.length} times within a minute, last with: ${this.#lastError?.message ?? 'no reason'} Try again in a minute.`,
      )
    if (this.#linger) clearTimeout(this.#linger)
    this.#linger = null
    const thread = (this.#thread ??= this.#start())
    this.#users++
    let released = false
    return {
      thread,
      release: () => {
        if (released) return
        released = true
        if (this.#thread === thread) this.#onReleased()
      },
    }
  }

  /** Uses the thread for one piece of work. A death is reported with its cause instead of a lost connection. */
  async use<T>(work: (thread: HostThread) => Promise<T>): Promise<T> {
    const lease = this.lease()
    try {
      return await work(lease.thread)
    } catch (error) {
      throw lease.thread.deathError ?? error
    } finally {
      lease.release()
    }
  }

  /** Ends the thread, whoever uses it. Resolves when it is gone. */
  async close(): Promise<void> {
    this.dispose()
    await Promise.all(this.#ending)
  }

  dispose(): void {
    this.#disposed = true
    this.#end()
  }

  #start(): HostThread {
    const thread = new HostThread(this.#name, { log: this.#log, ...(this.#entry ? { entry: this.#entry } : {}) })
    thread.onDeath(({ error }) => {
      this.#log.error('threads', error.message, { thread: this.#name, error })
      this.#deaths.push(Date.now())
      this.#lastError = error
      if (this.#thread === thread) this.#forget()
    })
    return thread
  }

  #onReleased(): void {
    if (--this.#users > 0 || this.#disposed) return
    this.#linger = setTimeout(() => this.#end(), LINGER)
    this.#linger.unref()
  }

  #end(): void {
    const thread = this.#thread
    this.#forget()
    if (!thread) return
    const ended: Promise<void> = thread.terminate().then(() => void this.#ending.splice(this.#ending.indexOf(ended), 1))
    this.#ending.push(ended)
  }

  #forget(): void {
    if (this.#linger) clearTimeout(this.#linger)
    this.#linger = null
    this.#thread = null
    this.#users = 0
  }
}
