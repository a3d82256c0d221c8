/**
 * Takes the snapshots of machines that want some at times, while they run. Theory of operation: one timer waits for the machine that is due next; without one
 * there is none. When the last one was taken stands with the snapshots, so that a host goes on where one ended. What fails is said at the machine once, with
 * when it is tried again, and is tried less and less often.
 */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { Log } from '../../log/log.ts'
import type { Machine } from '../../machines/machine.ts'
import type { Clock } from './clock.ts'
import { dueAfterFailure, firstDue, LATER, stillDue } from './due.ts'

const MINUTE = 60_000

export interface AutoSnapshotParts {
  log: Log
  clock: Clock
  /** Something else is being done with the machine. */
  isBusy(machine: Machine): boolean
  /** When the last one was taken, ms since 1970; null: never. */
  last(machine: Machine): Promise<number | null>
  /** Takes one, and deletes those that are not needed any more. */
  take(machine: Machine): Promise<void>
}

interface Watched {
  machine: Machine
  /** ms between two. */
  every: number
  /** ms since 1970. */
  due: number
  failures: number
}

export class AutoSnapshots implements Disposable {
  #parts: AutoSnapshotParts
  #watched = new Map<string, Watched>()
  #taking = new Set<string>()
  #timer: Disposable | null = null
  #disposed = false

  constructor(parts: AutoSnapshotParts) {
    this.#parts = parts
  }

  /** When the next one is due of any machine, ms since 1970; null: nothing is waited for. */
  get next(): number | null {
    const waiting = [...this.#watched.values()].filter(({ machine }) => !this.#taking.has(machine.id))
    return waiting.length === 0 ? null : Math.min(...waiting.map(({ due }) => due))
  }

  /** Something of the machine changed. */
  follow(machine: Machine): void {
    const { id, state } = machine
    // While one is taken the machine may stand still; what has become of it is looked at then.
    if (this.#disposed || this.#taking.has(id)) return
    const minutes = machine.bundle.config?.autoSnapshots.everyMinutes ?? null
    const every = state === 'running' && minutes !== null ? minutes * MINUTE : null
    if ((this.#watched.get(id)?.every ?? null) === every) return
    if (every === null) this.#watched.delete(id)
    else void this.#watch({ machine, every, due: this.#parts.clock.now() + every, failures: 0 })
    this.#arm()
  }

  dispose(): void {
    this.#disposed = true
    this.#watched.clear()
    this.#arm()
  }

  async #watch(watched: Watched): Promise<void> {
    this.#watched.set(watched.machine.id, watched)
    try {
      watched.due = firstDue(watched.every, await this.#parts.last(watched.machine), this.#parts.clock.now())
    } catch (error) {
      this.#parts.log.warn('machines', 'When the last snapshot was taken cannot be read.', { error: asAppError(error) })
    }
    this.#arm()
  }

  #arm(): void {
    this.#timer?.dispose()
    this.#timer = null
    const { next } = this
    const { clock } = this.#parts
    if (next !== null) this.#timer = clock.after(next - clock.now(), () => this.#wake())
  }

  #wake(): void {
    const now = this.#parts.clock.now()
    for (const watched of this.#watched.values()) {
      watched.due = stillDue(watched.due, watched.every, now)
      if (watched.due <= now && !this.#taking.has(watched.machine.id)) void this.#take(watched)
    }
    this.#arm()
  }

  async #take(watched: Watched): Promise<void> {
    const { machine, every } = watched
    const { clock, isBusy, take } = this.#parts
    if (isBusy(machine)) {
      watched.due = clock.now() + Math.min(every, LATER)
      return
    }
    this.#taking.add(machine.id)
    try {
      await take(machine)
      watched.failures = 0
      watched.due = clock.now() + every
    } catch (error) {
      const cause = asAppError(error)
      if (cause.code === 'cancelled') watched.due = clock.now() + every
      else this.#failed(watched, cause)
    } finally {
      this.#taking.delete(machine.id)
      this.follow(machine)
      this.#arm()
    }
  }

  #failed(watched: Watched, cause: AppError): void {
    const { machine, every } = watched
    const { log, clock } = this.#parts
    watched.failures++
    watched.due = dueAfterFailure(every, watched.failures, clock.now())
    const { name } = machine.bundle
    const again = new Date(watched.due).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
    const text = `No automatic snapshot of “${name}” could be taken: ${cause.message} It is tried again on ${again}.`
    log.error('machines', text, { machine: name, error: cause })
    machine.setStatus({ lastError: new AppError(cause.code, text, cause.details, cause) })
  }
}
