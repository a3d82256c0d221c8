/**
 * The `snapshots` service. A machine that runs is suspended first, has its snapshot taken like one that is suspended, and goes on: its disks and its memory
 * are of the same moment, on either engine.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { snapshots } from '../../../src-shared/api/snapshots.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot, SnapshotTree, SnapshotView } from '../../../src-shared/model/snapshot.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import type { Machine } from '../machines/machine.ts'
import { sendBytes } from '../machines/send-bytes.ts'
import type { TaskContext, TaskService, TaskSpec } from '../tasks/task-service.ts'
import { forgetSnapshots } from './forget.ts'
import { freeze } from './freeze.ts'
import { goBack } from './go-back.ts'
import { atRest, type SnapshotParts } from './machine-at-rest.ts'
import { namedFiles, obstacles, ownDisks } from './own-disks.ts'
import { readPicture, readSnapshots, rewriteSnapshot, snapshotPaths } from './snapshot-files.ts'
import { tidy } from './tidy.ts'
import { currentOf, inOrder, subtreeOf } from './tree.ts'

/** Bytes of what the system counts in (POSIX.1-2017, sys/stat.h: st_blocks). */
const STAT_BLOCK = 512

export interface SnapshotServiceParts extends SnapshotParts {
  tasks: TaskService
  /** Fires when a machine began to run, or ended. */
  onActiveChanged: Event<void>
  /** @throws AppError `not-found` */
  machine(id: string): Promise<Machine>
}

export class SnapshotService {
  #parts: SnapshotServiceParts
  #changed = new Emitter<{ machine: string }>()
  /** Machines that ran when a snapshot of theirs was deleted: their disks are merged when they are off. */
  #unmerged = new Set<string>()

  readonly handlers: Handlers<typeof snapshots> = {
    tree: async ({ machine }) => this.#tree(await this.#parts.machine(machine)),
    changed: this.#changed.event,
    take: async ({ machine, label, note, memory }) => this.#take(await this.#parts.machine(machine), { label, note, memory }),
    restore: async ({ machine, snapshot, keep }) => this.#restore(await this.#parts.machine(machine), snapshot, keep),
    update: async ({ machine, snapshot, ...change }) => {
      const { bundle } = await this.#parts.machine(machine)
      const found = await this.#snapshot(bundle.folder, snapshot)
      const given = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined))
      await rewriteSnapshot(bundle.folder, { ...found, ...given })
      this.#changed.fire({ machine })
    },
    delete: async ({ machine, snapshot, subtree }) => this.#delete(await this.#parts.machine(machine), snapshot, subtree),
    picture: async ({ machine, snapshot }, stream) => {
      const png = await readPicture((await this.#parts.machine(machine)).bundle.folder, snapshot)
      if (!png) throw new AppError('not-found', 'There is no picture of this snapshot.', { subject: snapshot })
      return sendBytes(png, stream, 'Sending the picture of a snapshot')
    },
  }

  constructor(parts: SnapshotServiceParts) {
    this.#parts = parts
    parts.onActiveChanged(() => {
      for (const id of this.#unmerged) void this.#mergeWhenOff(id)
    })
  }

  async #tree({ bundle }: Machine): Promise<SnapshotTree> {
    const { folder, config, problem } = bundle
    if (!config) throw problem ?? new AppError('corrupt', `“${bundle.name}” cannot be read.`)
    const all = inOrder(await readSnapshots(folder))
    const current = currentOf(config, all)
    const frozen = namedFiles({ drives: [] }, all)
    const own = ownDisks(config).filter(({ path }) => !frozen.has(path))
    return {
      snapshots: await Promise.all(all.map((snapshot) => viewOf(folder, snapshot))),
      current,
      currentBytes: await roomOf(own.map(({ path }) => join(folder, path))),
      obstacles: obstacles(config),
    }
  }

  #take(machine: Machine, wish: { label: string; note: string; memory: boolean }): TaskStarted {
    const { name } = machine.bundle
    return this.#start({ kind: 'take-snapshot', title: `Taking the snapshot “${wish.label}” of “${name}”` }, machine, async (context) => {
      const refused = obstacles(machine.bundle.config ?? { drives: [] })
      if (refused.length > 0) throw new AppError('invalid-input', refused.join(' '))
      const id = await this.#whileSuspended(machine, context, (picture) => this.#freeze(machine, { ...wish, picture }, context))
      return { id }
    })
  }

  #restore(machine: Machine, id: string, keep: string | null): TaskStarted {
    const { name } = machine.bundle
    return this.#start(
      { kind: 'restore-snapshot', title: `Going back to a snapshot of “${name}”`, snapshot: id },
      machine,
      async (context) => {
        const { folder } = machine.bundle
        await this.#snapshot(folder, id)
        if (keep !== null) {
          const picture = machine.session ? await this.#suspend(machine, context) : null
          await this.#freeze(machine, { label: keep, note: '', memory: true, picture }, context)
        } else if (machine.session) await machine.kill()
        context.step('Going back')
        const goesOn = await atRest(machine, 'going back to a snapshot', (bundle, config) => goBack(bundle, config, id, this.#parts))
        this.#changed.fire({ machine: machine.id })
        if (goesOn) {
          context.step('Going on from there')
          await machine.resume()
        }
        return { id }
      },
    )
  }

  #delete(machine: Machine, id: string, subtree: boolean): TaskStarted {
    const { name } = machine.bundle
    return this.#start({ kind: 'delete-snapshot', title: `Deleting a snapshot of “${name}”`, snapshot: id }, machine, async (context) => {
      const { folder, config } = machine.bundle
      if (!config) throw machine.bundle.problem!
      const all = await readSnapshots(folder)
      await this.#snapshot(folder, id)
      const gone = subtree ? subtreeOf(id, all) : new Set([id])
      const current = currentOf(config, all)
      if (subtree && current !== null && gone.has(current))
        throw new AppError(
          'invalid-input',
          `“${name}” is at a state that came from this snapshot. Go back to another one first, or delete single snapshots.`,
        )
      const frozen = new Set(
        all.filter((one) => gone.has(one.id)).flatMap((one) => ownDisks(one.config).map(({ path }) => join(folder, path))),
      )
      const forget = (bundle: string, now: MachineConfig): Promise<MachineConfig> =>
        forgetSnapshots(bundle, now, all, gone, this.#parts.library)
      context.step('Deleting')
      if (machine.session) {
        await machine.hold('having a snapshot deleted', () => forget(folder, config))
        this.#changed.fire({ machine: machine.id })
        this.#unmerged.add(machine.id)
        return { id }
      }
      await atRest(machine, 'having a snapshot deleted', async (bundle, now) => {
        const next = await forget(bundle, now)
        this.#changed.fire({ machine: machine.id })
        await tidy(bundle, next, await readSnapshots(bundle), machine.bundle.suspended !== null, frozen, this.#parts.storage, context)
      })
      return { id }
    })
  }

  async #mergeWhenOff(id: string): Promise<void> {
    const machine = await this.#parts.machine(id).catch(() => null)
    if (!machine) return void this.#unmerged.delete(id)
    // It may have begun again, or be going on after a snapshot: then its next end is waited for.
    await machine.settled()
    if (machine.session || machine.bundle.suspended || !this.#unmerged.delete(id)) return
    const title = `Merging disks of “${machine.bundle.name}”`
    this.#start({ kind: 'delete-snapshot', title }, machine, async (context) => {
      await atRest(machine, 'having its disks merged', async (bundle, config) =>
        tidy(bundle, config, await readSnapshots(bundle), false, new Set(), this.#parts.storage, context),
      )
      return { id }
    })
  }

  #freeze(machine: Machine, wish: { label: string; note: string; memory: boolean; picture: Uint8Array | null }, context: TaskContext) {
    context.step('Freezing the disks')
    return atRest(machine, 'having a snapshot taken', (bundle, config) =>
      freeze(bundle, config, machine.bundle.suspended?.record ?? null, wish, this.#parts),
    )
  }

  /** Of a machine that runs: suspends it, and lets it go on as it was whatever comes of `work`. */
  async #whileSuspended<T>(machine: Machine, context: TaskContext, work: (picture: Uint8Array | null) => Promise<T>): Promise<T> {
    const { state } = machine
    if (!machine.session) return work(null)
    const picture = await this.#suspend(machine, context)
    try {
      return await work(picture)
    } finally {
      context.step('Going on')
      await machine.resume()
      if (state === 'paused') await machine.pause()
    }
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
    try {
      const ended = await this.#parts.tasks.whenEnded(task)
      if (ended.error) throw AppError.fromWire(ended.error)
      if (ended.state !== 'done') throw AppError.cancelled()
    } finally {
      signal.removeEventListener('abort', cancel)
    }
    return picture ?? null
  }

  #start(spec: TaskSpec, machine: Machine, work: (context: TaskContext) => Promise<{ id: string }>): TaskStarted {
    return this.#parts.tasks.start({ ...spec, machine: machine.id }, async (context) => {
      try {
        return await work(context)
      } catch (error) {
        throw asAppError(error, spec.title)
      } finally {
        this.#changed.fire({ machine: machine.id })
      }
    })
  }

  async #snapshot(bundle: string, id: string): Promise<Snapshot> {
    const found = (await readSnapshots(bundle)).find((one) => one.id === id)
    if (!found) throw new AppError('not-found', 'There is no such snapshot (any more).', { subject: id })
    return found
  }
}

async function viewOf(bundle: string, snapshot: Snapshot): Promise<SnapshotView> {
  const { id, parent, label, note, created, pinned, memory, config } = snapshot
  const paths = snapshotPaths(bundle, id)
  return {
    ...{ id, parent, label, note, created, pinned },
    running: memory !== null,
    bytes: await roomOf([paths.memory, ...ownDisks(config).map(({ path }) => join(bundle, path))]),
    picture: (await stat(paths.picture).catch(() => null)) !== null,
  }
}

/** Bytes that files take on this computer's disk; those that are not there take none. */
async function roomOf(paths: readonly string[]): Promise<number> {
  const stats = await Promise.all(paths.map((path) => stat(path).catch(() => null)))
  return stats.reduce((sum, one) => sum + (one?.blocks ?? 0) * STAT_BLOCK, 0)
}
