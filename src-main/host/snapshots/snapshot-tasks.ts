/** Work on machines' snapshots, as tasks: of one machine, one is done after the other, from its first step to its last. */
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { Turns } from '../../../src-shared/base/turns.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { Machine } from '../machines/machine.ts'
import type { TaskContext, TaskService, TaskSpec } from '../tasks/task-service.ts'

export class SnapshotTasks {
  readonly service: TaskService
  #turns = new Map<string, Turns>()
  /** Of work that gives way to other. */
  #soon = new Map<string, AbortController>()
  #changed = new Emitter<{ machine: string }>()

  /** The host ends: nothing is begun by itself any more. */
  closed = false

  /** Something of a machine's tree changed. */
  readonly onChanged = this.#changed.event

  constructor(service: TaskService) {
    this.service = service
  }

  changed(machine: string): void {
    this.#changed.fire({ machine })
  }

  /** Resolves when nothing of the machine is under way. */
  async idle(machine: string): Promise<void> {
    await this.#turns.get(machine)?.idle()
  }

  /** @throws AppError its error, or `cancelled` */
  async ended({ task }: TaskStarted): Promise<void> {
    const { state, error } = await this.service.whenEnded(task)
    if (error) throw AppError.fromWire(error)
    if (state !== 'done') throw AppError.cancelled()
  }

  start(spec: TaskSpec, machine: Machine, work: (context: TaskContext) => Promise<{ id: string }>): TaskStarted {
    return this.#start(spec, machine, (context) => this.#inTurn(machine.id, context, () => work(context)))
  }

  /** Work that all other goes before: where `soon` aborts it ends as soon as it can, with null, and is called again when the others are done. */
  startLast(
    spec: TaskSpec,
    machine: Machine,
    work: (context: TaskContext, soon: AbortSignal) => Promise<{ id: string } | null>,
  ): TaskStarted {
    return this.#start(spec, machine, async (context) => {
      for (;;) {
        const result = await this.#inTurn(machine.id, context, () => this.givingWay(machine.id, (soon) => work(context, soon)))
        if (result) return result
      }
    })
  }

  /** The last part of what has its turn. @param work is to end where `soon` aborts, because something else is to be done */
  async givingWay<T>(machine: string, work: (soon: AbortSignal) => Promise<T>): Promise<T> {
    const soon = new AbortController()
    this.#soon.set(machine, soon)
    if (this.#turns.get(machine)?.wanted) soon.abort()
    try {
      return await work(soon.signal)
    } finally {
      this.#soon.delete(machine)
    }
  }

  #start(spec: TaskSpec, machine: Machine, work: (context: TaskContext) => Promise<{ id: string }>): TaskStarted {
    return this.service.start({ ...spec, machine: machine.id }, async (context) => {
      try {
        return await work(context)
      } catch (error) {
        throw asAppError(error, spec.title)
      } finally {
        this.changed(machine.id)
      }
    })
  }

  async #inTurn<T>(machine: string, context: TaskContext, work: () => Promise<T>): Promise<T> {
    const turns = this.#turns.get(machine) ?? new Turns()
    this.#turns.set(machine, turns)
    this.#soon.get(machine)?.abort()
    const done = await turns.take()
    try {
      context.signal.throwIfAborted()
      return await work()
    } finally {
      done()
      if (!turns.busy) this.#turns.delete(machine)
    }
  }
}
