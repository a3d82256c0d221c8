/**
 * The `snapshots` service. Going back keeps where a machine is by suspending it first; that state's disks and memory are of the same moment, on either engine.
 */
import { stat } from 'node:fs/promises'
import type { MachineChange } from '../../../src-shared/api/machines.ts'
import type { snapshots } from '../../../src-shared/api/snapshots.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import type { Event } from '../../../src-shared/base/event.ts'
import { Turns } from '../../../src-shared/base/turns.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { MAX_LABEL, type Snapshot, type SnapshotMaker, type SnapshotTree, type SnapshotView } from '../../../src-shared/model/snapshot.ts'
import type { RunEnd } from '../../../src-shared/model/run.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import { mapLimit } from '../library/map-limit.ts'
import type { Machine } from '../machines/machine.ts'
import { AT_REST } from '../machines/machine-view.ts'
import { freeUnneededPages } from '../machines/suspend/memory-pages.ts'
import { refuseUnsavable } from '../machines/suspend/unsavable.ts'
import { sendBytes } from '../machines/guest/send-bytes.ts'
import type { TaskContext, TaskService } from '../tasks/task-service.ts'
import { stageBundle } from '../machines/making/staging.ts'
import { refuseTemplate } from '../machines/making/template.ts'
import { endOf, unchangedSnapshot } from './clone-point.ts'
import { compareStates } from './compare-states.ts'
import { fillLinkedClone } from './clone-linked.ts'
import { forgetSnapshots } from './forget.ts'
import { freezeRunning } from './freeze-running.ts'
import { freeze, type SnapshotWish } from './freeze.ts'
import { goBack, noSuchSnapshot, rehearse } from './go-back.ts'
import { atRest, type SnapshotParts } from './machine-at-rest.ts'
import { leftOut, obstacles } from './own-disks.ts'
import { readPicture, readRemoved, readSnapshots, rewriteSnapshot, snapshotPaths } from './snapshot-files.ts'
import { snapshotRooms, type SnapshotRooms } from './snapshot-rooms.ts'
import { Merging } from './merging.ts'
import { SnapshotTasks } from './snapshot-tasks.ts'
import { Automatic } from './policy/automatic.ts'
import type { Clock } from './policy/clock.ts'
import { tidy } from './tidy.ts'
import { neededByTrial, Trials } from './trials.ts'
import { currentOf, inOrder, subtreeOf } from './tree.ts'

export interface SnapshotServiceParts extends SnapshotParts {
  tasks: TaskService
  clock: Clock
  /** Fires when something of a machine changed. */
  onChanged: Event<MachineChange>
  /** @throws AppError `not-found` */
  machine(id: string): Promise<Machine>
  /** All, when what runs from before is known. */
  machines(): Promise<Machine[]>
}

/** Machines whose folders are looked at at once. */
const READERS = 16
/** Snapshots that are gone whose disks a machine that runs still rests on: more are merged before it goes on after a snapshot. */
const MAX_UNMERGED = 24

export class SnapshotService {
  #parts: SnapshotServiceParts
  #tasks: SnapshotTasks
  #merging: Merging
  #trials: Trials
  #automatic: Automatic
  /** Until it has looked round, machines that run may seem to be off. */
  #looks = false
  /** Of snapshots' names and notes, and of their places in the tree. */
  #edits = new Turns()

  readonly handlers: Handlers<typeof snapshots>

  constructor(parts: SnapshotServiceParts) {
    this.#parts = parts
    this.#tasks = new SnapshotTasks(parts.tasks)
    this.#merging = new Merging(parts, this.#tasks)
    this.#trials = new Trials(parts, this.#tasks, this.#merging)
    this.#automatic = new Automatic({
      ...{ tasks: this.#tasks, storage: parts.storage, log: parts.log, clock: parts.clock },
      tree: (machine) => this.#tree(machine),
      take: (machine, wish) => this.#take(machine, wish),
      freeze: (machine, wish, context) => this.#freeze(machine, wish, context),
      forget: (machine, gone, context) => this.#forget(machine, () => gone, context),
    })
    this.handlers = this.#handle()
    parts.onChanged((change) => {
      if (this.#looks && change.kind === 'put') void this.#look(change.machine.id)
    })
  }

  /** What earlier hosts did not end is ended. Never rejects. */
  async lookRound(): Promise<void> {
    const machines = await this.#parts.machines()
    this.#looks = true
    await mapLimit(machines, READERS, async (machine) => {
      await this.#trials.look(machine)
      await this.#merging.look(machine)
      this.#automatic.follow(machine)
    })
  }

  /** Starts a machine, or lets it go on from being suspended, with what is to be done before and after. */
  begin<T>(machine: Machine, end: RunEnd | undefined, start: () => Promise<T>): Promise<T> {
    return this.#trials.start(machine, end, async () => {
      const problem = await this.#automatic.beforeStart(machine)
      const started = await start()
      if (problem) machine.setStatus({ lastError: problem })
      return started
    })
  }

  /** The host ends: the next one goes on. */
  dispose(): void {
    this.#looks = false
    this.#tasks.closed = true
    this.#automatic.dispose()
  }

  async #look(id: string): Promise<void> {
    const machine = await this.#parts.machine(id).catch(() => null)
    if (!machine) return
    this.#automatic.follow(machine)
    await this.#trials.look(machine)
    await this.#merging.mergeWhenPossible(machine)
  }

  readonly #handle = (): Handlers<typeof snapshots> => ({
    tree: async ({ machine }) => this.#tree(await this.#parts.machine(machine)),
    changed: this.#tasks.onChanged,
    take: async ({ machine, label, note, memory }) => this.#take(await this.#parts.machine(machine), { label, note, memory }),
    restore: async ({ machine, snapshot, keep }) => this.#restore(await this.#parts.machine(machine), snapshot, keep),
    update: async ({ machine, snapshot, ...change }) => {
      const { bundle } = await this.#parts.machine(machine)
      const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
      await this.#edits.run(async () => {
        const before = await this.#snapshot(bundle.folder, snapshot)
        // What somebody gives a name is theirs; so is what would go with a trial otherwise.
        const theirs = change.label !== undefined || change.note !== undefined || before.by === 'run'
        await rewriteSnapshot(bundle.folder, { ...before, ...given, ...(theirs ? { by: 'person' as const } : {}) })
      })
      this.#tasks.changed(machine)
    },
    clone: async ({ machine, snapshot, name }) => this.#clone(await this.#parts.machine(machine), snapshot, name),
    delete: async ({ machine, snapshot, subtree }) => this.#delete(await this.#parts.machine(machine), snapshot, subtree),
    compare: async ({ machine, ...states }) => compareStates(await this.#parts.machine(machine), states, this.#parts),
    picture: async ({ machine, snapshot }, stream) => {
      const png = await readPicture((await this.#parts.machine(machine)).bundle.folder, snapshot)
      if (!png) throw new AppError('not-found', 'There is no picture of this snapshot.', { subject: snapshot })
      return sendBytes(png, stream, 'Sending the picture of a snapshot')
    },
    decide: async ({ machine, decision, label }) => this.#trials.decide(await this.#parts.machine(machine), decision, label),
  })

  async #tree(machine: Machine): Promise<SnapshotTree> {
    const { bundle } = machine
    const { folder, config, problem } = bundle
    if (!config) throw problem ?? new AppError('corrupt', `“${bundle.name}” cannot be read.`)
    const all = inOrder(await readSnapshots(folder))
    const current = currentOf(config, all)
    const rooms = await snapshotRooms(folder, config, all)
    return {
      snapshots: await Promise.all(all.map((snapshot) => viewOf(folder, snapshot, rooms))),
      current,
      currentBytes: rooms.current,
      obstacles: obstacles(config),
      leftOut: leftOut(config, machine.session?.kind ?? machine.view().engine, machine.session !== null),
    }
  }

  #take(machine: Machine, wish: { label: string; note: string; memory: boolean; by?: SnapshotMaker }): TaskStarted {
    const { name } = machine.bundle
    return this.#tasks.start(
      { kind: 'take-snapshot', title: `Taking the snapshot “${wish.label}” of “${name}”` },
      machine,
      async (context) => {
        const refused = obstacles(machine.bundle.config ?? { drives: [] })
        if (refused.length > 0) throw new AppError('invalid-input', refused.join(' '))
        if (wish.memory && machine.session?.spec) refuseUnsavable(name, machine.session.spec)
        const whole = { by: 'person' as const, ...wish }
        return {
          id: await (machine.session
            ? this.#takeRunning(machine, whole, context)
            : this.#freezeAndMerge(machine, { ...whole, picture: null }, context)),
        }
      },
    )
  }

  async #takeRunning(machine: Machine, wish: Omit<SnapshotWish, 'picture'>, context: TaskContext): Promise<string> {
    // One that runs for weeks is suspended now and then for its disks' sake.
    if ((await readRemoved(machine.bundle.folder)).length > MAX_UNMERGED)
      return this.#whileSuspended(machine, context, 'always', (picture) => this.#freezeAndMerge(machine, { ...wish, picture }, context))
    try {
      return await freezeRunning(machine, wish, this.#parts, context)
    } catch (error) {
      // Its disks may have gone on already, and have a layer more.
      this.#merging.waitFor(machine)
      throw error
    }
  }

  async #freezeAndMerge(machine: Machine, wish: SnapshotWish, context: TaskContext): Promise<string> {
    const id = await this.#freeze(machine, wish, context)
    if (machine.bundle.suspended && (await readRemoved(machine.bundle.folder)).length > MAX_UNMERGED)
      await atRest(machine, 'having its disks merged', this.#parts.library, async (bundle, config) =>
        tidy(bundle, config, await readSnapshots(bundle), true, this.#parts, context),
      )
    return id
  }

  #restore(machine: Machine, id: string, keep: string | null): TaskStarted {
    const { name } = machine.bundle
    return this.#tasks.start(
      { kind: 'restore-snapshot', title: `Going back to a snapshot of “${name}”`, snapshot: id },
      machine,
      async (context) => {
        refuseTemplate(machine.bundle, 'it stays in the state that it is in')
        const snapshot = await this.#snapshot(machine.bundle.folder, id)
        const back = (): Promise<boolean> => {
          context.step('Going back')
          return atRest(machine, 'going back to a snapshot', this.#parts.library, async (bundle, config) => {
            await this.#trials.forsake(bundle, config)
            return goBack(bundle, config, id, this.#parts)
          })
        }
        // What runs is not ended for a snapshot that cannot be gone back to.
        if (machine.session)
          await machine.hold('going back to a snapshot', () =>
            rehearse(machine.bundle.folder, machine.bundle.config!, snapshot, this.#parts),
          )
        context.signal.throwIfAborted()
        let goesOn: boolean
        if (keep !== null)
          goesOn = await this.#whileSuspended(machine, context, 'failed', async (picture) => {
            await this.#freeze(machine, { label: keep, note: '', memory: true, picture, by: 'person' }, context)
            return back()
          })
        else {
          if (machine.session) await machine.kill()
          goesOn = await back()
        }
        // How it ended before is of no interest now.
        if (!machine.session) machine.setStatus({ ...AT_REST })
        this.#tasks.changed(machine.id)
        if (goesOn) {
          context.step('Going on from there')
          await this.#trials.begin(machine)
          await machine.resume()
        }
        return { id }
      },
    )
  }

  #clone(machine: Machine, given: string | null, name: string): TaskStarted {
    const { library, storage, tasks } = this.#parts
    const releaseName = library.claimName(name)
    const title = `Cloning “${machine.bundle.name}” as “${name}”`
    return tasks.start(
      { kind: 'duplicate-machine', title, machine: machine.id, ...(given === null ? {} : { snapshot: given }) },
      async (context) => {
        try {
          const id = given ?? (await this.#pointOf(machine, name, context))
          // Nobody deletes what is being shared.
          return await machine.hold('being cloned', async () => {
            const { folder } = machine.bundle
            const snapshot = await this.#snapshot(folder, id)
            const made = await stageBundle(library, name, (staging) => fillLinkedClone(staging, folder, snapshot, name, storage, context))
            return { id: made.id }
          })
        } finally {
          releaseName()
        }
      },
    )
  }

  /** The snapshot that is the present state: the last one, or one that is taken now. */
  async #pointOf(machine: Machine, name: string, context: TaskContext): Promise<string> {
    const unchanged = await machine.hold('being cloned', () => unchangedSnapshot(machine, this.#parts.storage, context))
    if (unchanged !== null) return unchanged
    const label = `Where “${name}” began`.slice(0, MAX_LABEL)
    const ended = await endOf(this.#parts.tasks, this.#take(machine, { label, note: '', memory: false }), context.signal)
    return ended!.id!
  }

  #delete(machine: Machine, id: string, subtree: boolean): TaskStarted {
    const { name } = machine.bundle
    return this.#tasks.start(
      { kind: 'delete-snapshot', title: `Deleting a snapshot of “${name}”`, snapshot: id },
      machine,
      async (context) => {
        context.step('Deleting')
        const choose = (config: MachineConfig, all: readonly Snapshot[]): ReadonlySet<string> => {
          if (!all.some((one) => one.id === id)) throw noSuchSnapshot(id)
          const gone = subtree ? subtreeOf(id, all) : new Set([id])
          const current = currentOf(config, all)
          if (subtree && current !== null && gone.has(current))
            throw new AppError(
              'invalid-input',
              `“${name}” is at a state that came from this snapshot. Go back to another one first, or delete single snapshots.`,
            )
          return gone
        }
        await this.#forget(machine, choose, context)
        return { id }
      },
    )
  }

  /** Deletes snapshots, and merges their disks, where the machine is at rest. @param choose ids */
  async #forget(
    machine: Machine,
    choose: (config: MachineConfig, all: readonly Snapshot[]) => ReadonlySet<string>,
    context: TaskContext,
  ): Promise<void> {
    const forget = (bundle: string, config: MachineConfig): Promise<MachineConfig> =>
      this.#edits.run(async () => {
        const all = await readSnapshots(bundle)
        const gone = choose(config, all)
        const needed = neededByTrial(config, gone)
        if (needed !== null) throw new AppError('invalid-input', needed)
        return forgetSnapshots(bundle, config, all, gone, machine.bundle.suspended?.record ?? null, this.#parts.library)
      })
    if (machine.session) {
      await machine.hold('having a snapshot deleted', () => {
        const { folder, config, problem } = machine.bundle
        if (!config) throw problem!
        return forget(folder, config).finally(() => freeUnneededPages(folder, this.#parts.storage))
      })
      this.#tasks.changed(machine.id)
      return this.#merging.mergeNow(machine, context)
    }
    await atRest(machine, 'having a snapshot deleted', this.#parts.library, async (bundle, now) => {
      const next = await forget(bundle, now)
      this.#tasks.changed(machine.id)
      await tidy(bundle, next, await readSnapshots(bundle), machine.bundle.suspended !== null, this.#parts, context)
    })
  }

  #freeze(machine: Machine, wish: SnapshotWish, context: TaskContext) {
    context.step('Freezing the disks')
    return atRest(machine, 'having a snapshot taken', this.#parts.library, (bundle, config) =>
      freeze(bundle, config, machine.bundle.suspended?.record ?? null, wish, this.#parts),
    )
  }

  /** Of a machine that runs: suspends it, and lets it go on as it was, whatever comes of `work` or only where that failed. */
  async #whileSuspended<T>(
    machine: Machine,
    context: TaskContext,
    goOn: 'always' | 'failed',
    work: (picture: Uint8Array | null) => Promise<T>,
  ): Promise<T> {
    const { state } = machine
    if (!machine.session) return work(null)
    const picture = await this.#suspend(machine, context)
    const resume = async (): Promise<void> => {
      // Somebody else may have let it go on.
      if (machine.session) return
      context.step('Going on')
      await machine.resume()
      if (state === 'paused') await machine.pause()
    }
    let result: T
    try {
      // Asked for after its memory was written.
      context.signal.throwIfAborted()
      result = await work(picture)
    } catch (error) {
      await resume().catch((second: unknown) => this.#parts.log.error('machines', 'It did not go on.', { error: asAppError(second) }))
      throw error
    }
    if (goOn === 'always') await resume()
    return result
  }

  /** @returns a picture of its screen before, PNG; null where it has none */
  async #suspend(machine: Machine, { step, signal }: TaskContext): Promise<Uint8Array | null> {
    const { session } = machine
    const picture = await session?.engine.screenshot({ machine: machine.id }).then(
      ({ png }) => png,
      () => null,
    )
    step('Saving its memory')
    const { task } = await machine.suspend()
    const cancel = (): void => this.#parts.tasks.cancel(task)
    signal.addEventListener('abort', cancel)
    if (signal.aborted) cancel()
    try {
      const ended = await this.#parts.tasks.whenEnded(task)
      if (ended.error) throw AppError.fromWire(ended.error)
      if (ended.state !== 'done') throw AppError.cancelled()
    } finally {
      signal.removeEventListener('abort', cancel)
    }
    return picture ?? null
  }

  async #snapshot(bundle: string, id: string): Promise<Snapshot> {
    const found = (await readSnapshots(bundle)).find((one) => one.id === id)
    if (!found) throw noSuchSnapshot(id)
    return found
  }
}

async function viewOf(bundle: string, snapshot: Snapshot, rooms: SnapshotRooms): Promise<SnapshotView> {
  const { id, parent, label, note, created, pinned, by, memory } = snapshot
  return {
    ...{ id, parent, label, note, created, pinned, by },
    running: memory !== null,
    bytes: rooms.snapshots.get(id) ?? 0,
    picture: (await stat(snapshotPaths(bundle, id).picture).catch(() => null)) !== null,
  }
}
