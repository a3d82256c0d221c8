/**
 * Merging the disks of machines whose snapshots were deleted while they ran, and what killed hosts left. That there is something to do is seen in the folder
 * of snapshots (snapshot-files.ts).
 *
 * Theory of operation. What runs a machine merges the files that it uses, while the guest goes on. That takes its time, and everything else that somebody wants
 * of the machine or its snapshots goes before: it asks the merging to end, which it does in some ms and without losing what is done, has its turn, and the
 * merging goes on behind it. Where that fails or is cancelled, the disks are merged when the machine is off, or in its next life.
 */
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { Machine } from '../machines/machine.ts'
import type { Session } from '../machines/running/session.ts'
import type { TaskContext } from '../tasks/task-service.ts'
import { disksInUse } from './disks-in-use.ts'
import { atRest, refuseOutside, type SnapshotParts } from './machine-at-rest.ts'
import { hasLeftovers, readSnapshots } from './snapshot-files.ts'
import type { SnapshotTasks } from './snapshot-tasks.ts'
import { tidy } from './tidy.ts'

/** `off`: the machine does not run (any more); `gave way`: somebody wants something else of it. */
type Outcome = 'merged' | 'off' | 'gave way'

export class Merging {
  #parts: SnapshotParts
  #tasks: SnapshotTasks
  #waiting = new Set<string>()
  /** Machines that are being seen to. */
  #underWay = new Set<string>()
  /** By machine: the life in which it was tried in vain. */
  #tried = new Map<string, string>()

  constructor(parts: SnapshotParts, tasks: SnapshotTasks) {
    this.#parts = parts
    this.#tasks = tasks
  }

  /** Something of its disks is to be merged, as soon as it can be. */
  waitFor(machine: Machine): void {
    this.#tried.delete(machine.id)
    this.#waiting.add(machine.id)
    if (machine.session) void this.mergeWhenPossible(machine)
  }

  /** What an earlier host left. */
  async look(machine: Machine): Promise<void> {
    if (!(await hasLeftovers(machine.bundle.folder))) return
    this.#tried.delete(machine.id)
    this.#waiting.add(machine.id)
    await this.mergeWhenPossible(machine)
  }

  /**
   * The last part of a task that has its turn: a snapshot of the machine was deleted while it runs. Where its disks cannot be merged now, they are when it is off.
   * @throws AppError `cancelled`
   */
  async mergeNow(machine: Machine, context: TaskContext): Promise<void> {
    const { id } = machine
    this.#tried.delete(id)
    this.#waiting.add(id)
    if (this.#underWay.has(id)) return
    this.#underWay.add(id)
    try {
      await this.#tasks.givingWay(id, (soon) => this.#mergeInUse(machine, context, soon))
    } catch (error) {
      if (context.signal.aborted) throw error
    } finally {
      this.#underWay.delete(id)
      void this.mergeWhenPossible(machine)
    }
  }

  /** Something of the machine changed: it may have begun to run, or be off now. */
  async mergeWhenPossible(machine: Machine): Promise<void> {
    const { id } = machine
    if (!this.#waiting.has(id) || this.#underWay.has(id) || this.#tasks.closed) return
    if (isUsable(machine)) return this.#startInUse(machine)
    if (runs(machine)) return
    // It may have begun again, or be going on after a snapshot.
    await machine.settled()
    if (runs(machine) || this.#tasks.closed || this.#underWay.has(id) || !this.#waiting.delete(id)) return
    this.#tasks.start(titleOf(machine), machine, async (context) => {
      // Those that had their turn before may have started it: then it is seen to there.
      if (runs(machine)) {
        this.waitFor(machine)
        return { id }
      }
      await atRest(machine, 'having its disks merged', this.#parts.library, async (bundle, config) =>
        tidy(bundle, config, await readSnapshots(bundle), false, this.#parts, context),
      )
      return { id }
    })
  }

  #startInUse(machine: Machine): void {
    const { id, session } = machine
    if (this.#tried.get(id) === session!.life) return
    this.#underWay.add(id)
    const { task } = this.#tasks.startLast(titleOf(machine), machine, async (context, soon) =>
      (await this.#mergeInUse(machine, context, soon)) === 'gave way' ? null : { id },
    )
    void this.#tasks.service.whenEnded(task).then(() => {
      this.#underWay.delete(id)
      void this.mergeWhenPossible(machine)
    })
  }

  async #mergeInUse(machine: Machine, context: TaskContext, soon: AbortSignal): Promise<Outcome> {
    for (;;) {
      const outcome = await machine.between((wanted) => this.#mergeBetween(machine, context, AbortSignal.any([soon, wanted])))
      // Those who want something of the machine alone have it before its turn comes again.
      if (outcome !== 'gave way' || soon.aborted) return outcome
    }
  }

  async #mergeBetween(machine: Machine, context: TaskContext, soon: AbortSignal): Promise<Outcome> {
    const { session } = machine
    const { folder, config } = machine.bundle
    if (!session || !isUsable(machine)) return 'off'
    if (!config) {
      // Nobody knows which files it needs.
      this.#tried.set(machine.id, session.life)
      return 'off'
    }
    if (soon.aborted) return 'gave way'
    const { id } = machine
    const signal = AbortSignal.any([context.signal, soon])
    try {
      await refuseOutside(folder)
      const files = await disksInUse(folder, session)
      const part = { signal, step: context.step.bind(context), progress: context.progress.bind(context) }
      await tidy(folder, config, await readSnapshots(folder), false, this.#parts, part, files)
      this.#waiting.delete(id)
      return 'merged'
    } catch (error) {
      if (context.signal.aborted || !(soon.aborted || session.end)) {
        this.#tried.set(id, session.life)
        if (!context.signal.aborted) this.#tellFailed(machine, session, error)
        throw error
      }
      return session.end ? 'off' : 'gave way'
    }
  }

  #tellFailed(machine: Machine, { kind }: Session, error: unknown): void {
    const known = asAppError(error)
    this.#parts.log.warn('machines', `The disks of “${machine.bundle.name}” are merged when it is off.`, { engine: kind, error: known })
  }
}

function titleOf(machine: Machine): { kind: 'delete-snapshot'; title: string } {
  return { kind: 'delete-snapshot', title: `Merging disks of “${machine.bundle.name}”` }
}

function runs(machine: Machine): boolean {
  return machine.session !== null || machine.bundle.suspended !== null
}

/** What runs it can be asked for something. */
function isUsable({ session, state }: Machine): boolean {
  return session?.spec !== null && session?.end === null && (state === 'running' || state === 'paused')
}
