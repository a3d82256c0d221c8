/** Snapshots that are taken by themselves, at their time and before starts, and deleted again when they are not needed any more. */
import type { TaskStarted } from '../../../../src-shared/api/tasks.ts'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { isLegal } from '../../../../src-shared/model/machine-state.ts'
import type { SnapshotTree } from '../../../../src-shared/model/snapshot.ts'
import type { Log } from '../../log/log.ts'
import type { Machine } from '../../machines/machine.ts'
import type { TaskContext } from '../../tasks/task-service.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'
import { unchangedSnapshot } from '../clone-point.ts'
import type { SnapshotWish } from '../freeze.ts'
import { readSnapshots } from '../snapshot-files.ts'
import type { SnapshotTasks } from '../snapshot-tasks.ts'
import { AutoSnapshots } from './auto-snapshots.ts'
import type { Clock } from './clock.ts'
import { outOfDate, overBudget } from './thin.ts'
import { thinnables } from './thinnable.ts'
import { timeLabel } from './time-label.ts'

export interface AutomaticParts {
  tasks: SnapshotTasks
  storage: SharedThread
  log: Log
  clock: Clock
  tree(machine: Machine): Promise<SnapshotTree>
  take(machine: Machine, wish: Pick<SnapshotWish, 'label' | 'note' | 'memory' | 'by'>): TaskStarted
  /** Of a machine at rest. @returns the snapshot's id */
  freeze(machine: Machine, wish: SnapshotWish, context: TaskContext): Promise<string>
  forget(machine: Machine, gone: ReadonlySet<string>, context: TaskContext): Promise<void>
}

export class Automatic implements Disposable {
  #parts: AutomaticParts
  #scheduler: AutoSnapshots

  constructor(parts: AutomaticParts) {
    this.#parts = parts
    const { log, clock, tasks } = parts
    this.#scheduler = new AutoSnapshots({
      ...{ log, clock },
      isBusy: (machine) => machine.busy || tasks.service.isAbout(machine.id),
      last: lastOne,
      take: (machine) => this.#take(machine),
    })
  }

  /** Something of the machine changed. */
  follow(machine: Machine): void {
    this.#scheduler.follow(machine)
  }

  dispose(): void {
    this.#scheduler.dispose()
  }

  async #take(machine: Machine): Promise<void> {
    const { tasks, take, clock } = this.#parts
    const memory = machine.bundle.config?.autoSnapshots.memory ?? true
    await tasks.ended(take(machine, { label: timeLabel('Auto', new Date(clock.now())), note: '', memory, by: 'schedule' }))
    await this.#thin(machine)
  }

  /** @returns why none was taken though it should have been: the machine is to be started nevertheless */
  async beforeStart(machine: Machine): Promise<AppError | null> {
    const { config, suspended, name } = machine.bundle
    // What a trial began with is a snapshot already.
    if (!config?.autoSnapshots.beforeStart || config.template || config.run || suspended || !isLegal('start', machine.state)) return null
    const { tasks, storage, freeze, clock } = this.#parts
    try {
      const label = timeLabel('Start', new Date(clock.now()))
      const title = `Taking a snapshot of “${name}” before it starts`
      const task = tasks.start({ kind: 'take-snapshot', title }, machine, async (context) => {
        const same = await machine.hold('having a snapshot taken', () => unchangedSnapshot(machine, storage, context))
        return { id: same ?? (await freeze(machine, { label, note: '', memory: false, picture: null, by: 'start' }, context)) }
      })
      await tasks.ended(task)
      await this.#thin(machine)
      return null
    } catch (error) {
      const cause = asAppError(error)
      return new AppError(cause.code, `“${name}” was started without a snapshot before: ${cause.message}`, cause.details, cause)
    }
  }

  async #thin(machine: Machine): Promise<void> {
    const { tasks, tree, forget, clock } = this.#parts
    const old = async (): Promise<string[]> => outOfDate(thinnables(machine.bundle.config!, await tree(machine)), clock.now())
    const excess = async (): Promise<string | null> => {
      const budget = machine.bundle.config!.autoSnapshots.budgetBytes
      return budget === null ? null : overBudget(thinnables(machine.bundle.config!, await tree(machine)), budget)
    }
    if ((await old()).length === 0 && (await excess()) === null) return
    const title = `Thinning out the automatic snapshots of “${machine.bundle.name}”`
    await tasks.ended(
      tasks.start({ kind: 'delete-snapshot', title }, machine, async (context) => {
        const gone = await old()
        if (gone.length > 0) await forget(machine, new Set(gone), context)
        for (let next = await excess(); next !== null; next = await excess()) await forget(machine, new Set([next]), context)
        return { id: machine.id }
      }),
    )
  }
}

async function lastOne({ bundle }: Machine): Promise<number | null> {
  const times = (await readSnapshots(bundle.folder)).flatMap(({ by, created }) => (by === 'schedule' ? [Date.parse(created)] : []))
  return times.length === 0 ? null : Math.max(...times)
}
