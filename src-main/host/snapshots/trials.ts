/**
 * Trials: runs of a machine after which its disks go back to what they were, or a person decides. Theory of operation: a trial begins with a snapshot of the
 * machine at rest (or names one that is there), and machine.json says in the same rename that it has begun (`run`). It has ended when the machine is off, by
 * whatever cause; that it is not dealt with shows in machine.json, so that the next host goes on where one ended:
 *
 *     run, and the machine is off          one that is discarded goes back by itself; else a person is asked. Nothing is lost before.
 *     run, `over`                          it is dealt with; the snapshot that was taken for it alone is deleted
 *     no run                               its disks are merged, as after any deletion
 *
 * Going back writes `over` by the rename that switches the disks. Suspending is no end: the trial goes on with the machine.
 */
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { isActive } from '../../../src-shared/model/machine-state.ts'
import type { Decision, Run, RunEnd } from '../../../src-shared/model/run.ts'
import type { Machine } from '../machines/machine.ts'
import { AT_REST } from '../machines/machine-view.ts'
import type { TaskContext } from '../tasks/task-service.ts'
import { forgetSnapshots } from './forget.ts'
import { freeze } from './freeze.ts'
import { goBack, noSuchSnapshot } from './go-back.ts'
import { atRest, type SnapshotParts } from './machine-at-rest.ts'
import type { Merging } from './merging.ts'
import { timeLabel } from './policy/time-label.ts'
import { readSnapshots, rewriteSnapshot } from './snapshot-files.ts'
import type { SnapshotTasks } from './snapshot-tasks.ts'
import { tidy } from './tidy.ts'

/** ms: by then a lock is free whose process died while it wrote it (bundle-lock.ts). */
const AGAIN = 6000

export class Trials {
  #parts: SnapshotParts
  #tasks: SnapshotTasks
  #merging: Merging
  /** Machines whose trial is being discarded, or could not be: it is tried again when they ran, or somebody asks. */
  #discarding = new Set<string>()
  /** How often a machine is being started: a trial that has just begun has not ended. */
  #starting = new Map<string, number>()

  constructor(parts: SnapshotParts, tasks: SnapshotTasks, merging: Merging) {
    this.#parts = parts
    this.#tasks = tasks
    this.#merging = merging
  }

  /**
   * Starts a machine, or lets it go on from being suspended: what is left of its last trial is dealt with before, and the next one begins where it is wished.
   * @param end as the start says; absent: as the machine's settings say
   * @throws AppError why the trial cannot begin, and the machine is not started; or why it does not start
   */
  async start<T>(machine: Machine, end: RunEnd | undefined, start: () => Promise<T>): Promise<T> {
    const { id } = machine
    this.#starting.set(id, (this.#starting.get(id) ?? 0) + 1)
    let began = false
    try {
      began = await this.#prepare(machine, end)
      return await start()
    } catch (error) {
      // There would be nothing to decide.
      if (began && undealt(machine)?.end === 'decide')
        await this.#tasks
          .ended(this.#keep(machine))
          .catch((second: unknown) => this.#parts.log.error('machines', 'A trial that did not begin stays.', { error: second }))
      throw error
    } finally {
      const left = this.#starting.get(id)! - 1
      if (left > 0) this.#starting.set(id, left)
      else this.#starting.delete(id)
      void this.look(machine)
    }
  }

  /** @returns whether a trial began */
  async #prepare(machine: Machine, end?: RunEnd): Promise<boolean> {
    if (machine.session || isActive(machine.state)) return false
    await this.#tasks.idle(machine.id)
    if (undealt(machine)?.over) await this.#tasks.ended(this.#finish(machine))
    if (undealt(machine)?.end === 'discard') await this.#tasks.ended(this.#discard(machine))
    const run = machine.bundle.config?.run
    if (!run) return this.begin(machine, end)
    if (end !== undefined && end !== run.end)
      throw new AppError(
        'wrong-state',
        `The last run of “${machine.bundle.name}” is not dealt with. Decide first what becomes of it: keep it, discard it, or make a branch of it. Or start the machine to go on with it.`,
      )
    return false
  }

  /**
   * Begins a trial where one is wished; there is none.
   * @returns whether it did
   */
  async begin(machine: Machine, end?: RunEnd): Promise<boolean> {
    const { config } = machine.bundle
    if (!config || config.template) return false
    const wanted = end ?? config.whenOff.end
    const snapshot = end === undefined ? config.whenOff.snapshot : null
    if (wanted === 'keep') return false
    await atRest(machine, 'being prepared for a trial', this.#parts.library, async (bundle, now) => {
      if (snapshot !== null) {
        if (!(await readSnapshots(bundle)).some(({ id }) => id === snapshot))
          throw new AppError(
            'not-found',
            `“${now.name}” is to go back to a snapshot when it is off, and that one is not there any more. Choose another in the machine’s settings.`,
          )
        await this.#parts.library.writeConfig(bundle, { ...now, run: { end: wanted, snapshot, own: false, over: false } })
        return
      }
      const wish = {
        label: timeLabel('Trial', new Date()),
        note: '',
        memory: true,
        picture: null,
        by: 'run',
        trial: wanted,
      } as const
      await freeze(bundle, now, machine.bundle.suspended?.record ?? null, wish, this.#parts)
    })
    this.#tasks.changed(machine.id)
    return true
  }

  /** A person goes back to another snapshot, which ends the trial: where it began stays, as one of those that are taken before a start. */
  async forsake(bundle: string, { run }: MachineConfig): Promise<void> {
    const own = run?.own ? (await readSnapshots(bundle)).find(({ id, by }) => id === run.snapshot && by === 'run') : undefined
    if (own) await rewriteSnapshot(bundle, { ...own, by: 'start' })
  }

  /** Something of the machine changed: its trial may have ended. @param again who has its bundle was waited for */
  async look(machine: Machine, again = false): Promise<void> {
    if (machine.session) this.#discarding.delete(machine.id)
    const run = undealt(machine)
    if (!run || (run.end === 'decide' && !run.over) || this.#isOccupied(machine.id)) return
    this.#discarding.add(machine.id)
    // What ended it has its say first; who goes back to another snapshot has ended the trial.
    await machine.settled()
    await this.#tasks.idle(machine.id)
    const now = this.#starting.has(machine.id) || this.#tasks.closed ? null : undealt(machine)
    if (!now) return void this.#discarding.delete(machine.id)
    try {
      await this.#tasks.ended(now.over ? this.#finish(machine) : this.#discard(machine))
    } catch (error) {
      if (asAppError(error).code !== 'busy' || again) return this.#failed(machine, error)
      setTimeout(() => {
        this.#discarding.delete(machine.id)
        void this.look(machine, true)
      }, AGAIN).unref()
    }
  }

  #isOccupied(id: string): boolean {
    return this.#discarding.has(id) || this.#starting.has(id) || this.#tasks.closed
  }

  /** @throws AppError `wrong-state` where there is nothing to decide, or not now */
  decide(machine: Machine, decision: Decision, label: string): TaskStarted {
    const { name, config } = machine.bundle
    if (!config?.run || config.run.over)
      throw new AppError('wrong-state', `“${name}” is on no trial: there is nothing to decide. What it did is kept.`)
    if (decision === 'keep') return this.#keep(machine)
    if (!undealt(machine))
      throw new AppError(
        'wrong-state',
        `“${name}” is not off: its run has not ended. Shut it down first; or keep what it does, which can be said now.`,
      )
    return decision === 'discard' ? this.#discard(machine) : this.#branch(machine, label)
  }

  #keep(machine: Machine): TaskStarted {
    const { name, config } = machine.bundle
    const spec = { kind: 'delete-snapshot', title: `Keeping what “${name}” did`, snapshot: config!.run!.snapshot } as const
    return this.#tasks.start(spec, machine, async (context) => {
      if (machine.session)
        await machine.hold('having its run kept', async () => {
          const { folder, config: now } = machine.bundle
          if (now?.run) await this.#end(machine, folder, await this.#over(folder, now))
          this.#merging.waitFor(machine)
        })
      else
        await atRest(machine, 'having its run kept', this.#parts.library, async (bundle, now) => {
          if (now.run) await this.#endAndTidy(machine, bundle, await this.#over(bundle, now), context)
        })
      return { id: machine.id }
    })
  }

  async #over(bundle: string, config: MachineConfig): Promise<MachineConfig> {
    const next: MachineConfig = { ...config, run: { ...config.run!, over: true } }
    await this.#parts.library.writeConfig(bundle, next)
    return next
  }

  #discard(machine: Machine): TaskStarted {
    const { name, config } = machine.bundle
    const spec = { kind: 'restore-snapshot', title: `Discarding what “${name}” did`, snapshot: config!.run!.snapshot } as const
    return this.#tasks.start(spec, machine, async (context) => {
      if (undealt(machine)?.over === false) await this.#back(machine, context)
      return { id: machine.id }
    })
  }

  #branch(machine: Machine, label: string): TaskStarted {
    const { name } = machine.bundle
    return this.#tasks.start({ kind: 'take-snapshot', title: `Making the branch “${label}” of “${name}”` }, machine, async (context) => {
      if (undealt(machine)?.over !== false) throw new AppError('wrong-state', `“${name}” was started, or its run was dealt with meanwhile.`)
      const id = await atRest(machine, 'having a snapshot taken', this.#parts.library, (bundle, config) =>
        freeze(bundle, config, null, { label, note: '', memory: false, picture: null, by: 'person' }, this.#parts),
      )
      this.#tasks.changed(machine.id)
      try {
        await this.#back(machine, context)
      } catch (error) {
        // Who decides again would have it twice.
        if (undealt(machine)?.over === false) await this.#withoutBranch(machine, id, context)
        throw error
      }
      return { id }
    })
  }

  /** The machine has not gone back: the snapshot that was taken for that goes again. Never rejects: it stays where it cannot be deleted. */
  async #withoutBranch(machine: Machine, id: string, context: TaskContext): Promise<void> {
    const { library, log } = this.#parts
    try {
      await atRest(machine, 'having its snapshots deleted', library, async (bundle, config) => {
        const next = await forgetSnapshots(bundle, config, await readSnapshots(bundle), new Set([id]), null, library)
        this.#tasks.changed(machine.id)
        await tidy(bundle, next, await readSnapshots(bundle), false, this.#parts, context)
      })
    } catch (error) {
      log.warn('machines', `Of a branch that was not made, something of “${machine.bundle.name}” stays.`, { error })
      this.#merging.waitFor(machine)
    }
  }

  #finish(machine: Machine): TaskStarted {
    const title = `Tidying up after the run of “${machine.bundle.name}”`
    return this.#tasks.start({ kind: 'delete-snapshot', title }, machine, async (context) => {
      await atRest(machine, 'being tidied up', this.#parts.library, async (bundle, config) => {
        if (config.run?.over) await this.#endAndTidy(machine, bundle, config, context)
      })
      return { id: machine.id }
    })
  }

  /** To where the trial began, or what else it goes back to. */
  async #back(machine: Machine, context: TaskContext): Promise<void> {
    context.step('Going back')
    await atRest(machine, 'going back to a snapshot', this.#parts.library, async (bundle, config) => {
      const { run } = config
      if (!run || run.over) return
      if (!(await readSnapshots(bundle)).some(({ id }) => id === run.snapshot)) {
        if (!run.own) throw noSuchSnapshot(run.snapshot)
        // A host ended while it was taken: the machine was not started since.
        return this.#endAndTidy(machine, bundle, config, context)
      }
      const suspended = await goBack(bundle, config, run.snapshot, this.#parts, run.own ? { ...run, over: true } : null)
      // A crash is told on where it is of interest: the machine that crashed is off.
      if (suspended) machine.setStatus({ ...AT_REST })
      if (run.own) await this.#endAndTidy(machine, bundle, machine.bundle.config!, context)
    })
  }

  async #endAndTidy(machine: Machine, bundle: string, config: MachineConfig, context: TaskContext): Promise<void> {
    const next = await this.#end(machine, bundle, config)
    this.#tasks.changed(machine.id)
    await tidy(bundle, next, await readSnapshots(bundle), machine.bundle.suspended !== null, this.#parts, context)
  }

  /** Of one that is dealt with: its own snapshot is deleted, unless somebody made it theirs. */
  async #end(machine: Machine, bundle: string, config: MachineConfig): Promise<MachineConfig> {
    const { library } = this.#parts
    const run = config.run!
    const all = await readSnapshots(bundle)
    const own = run.own && all.some(({ id, by }) => id === run.snapshot && by === 'run')
    const record = machine.bundle.suspended?.record ?? null
    const left = own ? await forgetSnapshots(bundle, config, all, new Set([run.snapshot]), record, library) : config
    const next: MachineConfig = { ...left, run: null }
    await library.writeConfig(bundle, next)
    return next
  }

  #failed(machine: Machine, error: unknown): void {
    const cause = asAppError(error)
    if (cause.code === 'cancelled') return
    const { name } = machine.bundle
    const text = `What “${name}” did in its last run could not be discarded: its disks are as it left them. ${cause.message}`
    this.#parts.log.error('machines', text, { machine: name, error: cause })
    if (!machine.session) machine.setStatus({ lastError: new AppError(cause.code, text, cause.details, cause) })
  }
}

/** The trial of a machine that is off. */
function undealt(machine: Machine): Run | null {
  const { config, suspended } = machine.bundle
  if (!config?.run || machine.session || isActive(machine.state)) return null
  // One that is over has only a snapshot to lose, which no suspended state needs.
  return suspended && !config.run.over ? null : config.run
}

/** Why snapshots cannot be deleted: the machine is to go back to one of them. Null: they can. */
export function neededByTrial({ name, run, whenOff }: MachineConfig, gone: ReadonlySet<string>): string | null {
  if (run && !run.over && gone.has(run.snapshot))
    return `“${name}” can go back to this snapshot when its run ends. Decide first what becomes of the run.`
  if (whenOff.end !== 'keep' && whenOff.snapshot !== null && gone.has(whenOff.snapshot))
    return `“${name}” goes back to this snapshot when it is off. Change that first.`
  return null
}
