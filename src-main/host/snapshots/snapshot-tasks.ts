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
    return this.service.start({ ...spec, machine: machine.id }, async (context) => {
      const turns = this.#turns.get(machine.id) ?? new Turns()
      this.#turns.set(machine.id, turns)
      const done = await turns.take()
      try {
        context.signal.throwIfAborted()
        return await work(context)
      } catch (error) {
        throw asAppError(error, spec.title)
      } finally {
        done()
        if (!turns.busy) this.#turns.delete(machine.id)
        this.changed(machine.id)
      }
    })
  }
}
