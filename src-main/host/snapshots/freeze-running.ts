/**
 * Taking a snapshot of a machine that runs, or is paused, without ending it. Theory of operation: everything is made beforehand, so that the guest stands still
 * for nothing but the moment itself. In this order:
 *
 *     1. the snapshot's folder under another name, and new files, empty, that rest on the disks: nobody knows them yet
 *     2. machine.json names the new files: as long as they are empty, they are the same disks as those that are still written
 *     3. the guest is paused; its memory is taken, its disks go on in the new files, and it goes on
 *     4. the memory is written, while the guest runs
 *     5. the snapshot's folder takes its name: now it exists
 *
 * A crash at any of these leaves a machine that is what it was, with one file more below its disks at most, which is merged later (tidy.ts). Where writing the
 * memory fails, the same is left, and the machine runs on.
 */
import { basename, dirname, join } from 'node:path'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import type { MemoryHeader } from '../../../src-shared/threads/engine-thread.ts'
import { writeFileAtomic } from '../../files/write-file-atomic.ts'
import { bundlePaths, memoryPlace } from '../library/bundle.ts'
import type { SuspendRecord } from '../library/suspend-record.ts'
import type { Machine } from '../machines/machine.ts'
import type { Session } from '../machines/running/session.ts'
import { abandonSuspended, beginSuspended, driveStamps } from '../machines/suspend/suspended-state.ts'
import { wrongState } from '../machines/wrong-state.ts'
import type { TaskContext } from '../tasks/task-service.ts'
import { copyFirmware } from './firmware-state.ts'
import { newSnapshot, type SnapshotWish } from './freeze.ts'
import { makeOverlays, refuseOutside, removeOverlays, type SnapshotParts } from './machine-at-rest.ts'
import { overlayPath, ownDisks, withOverlays, type OwnDisk } from './own-disks.ts'
import { draftSnapshot } from './snapshot-files.ts'

/**
 * @returns the snapshot's id
 * @throws AppError `wrong-state`, `invalid-input` where this machine cannot have one, `no-space`, `cancelled`, or the system's reason; the machine goes on as it was
 */
export function freezeRunning(
  machine: Machine,
  wish: Omit<SnapshotWish, 'picture'>,
  parts: SnapshotParts,
  context: TaskContext,
): Promise<string> {
  return machine.hold('having a snapshot taken', async () => {
    const { session, state } = machine
    const { folder, config, name, problem } = machine.bundle
    if (!session?.spec || (state !== 'running' && state !== 'paused')) throw wrongState('suspend', name, state)
    if (!config) throw problem ?? wrongState('edit', name, 'broken')
    try {
      await refuseOutside(folder)
      return await new RunningFreeze(machine, session, folder, config, wish, parts, context).take()
    } catch (error) {
      throw asAppError(error, `Taking a snapshot of “${config.name}”`)
    } finally {
      await parts.library.refresh(folder)
    }
  })
}

class RunningFreeze {
  #machine: Machine
  #session: Session
  #bundle: string
  #config: MachineConfig
  #wish: Omit<SnapshotWish, 'picture'>
  #parts: SnapshotParts
  #context: TaskContext

  constructor(
    machine: Machine,
    session: Session,
    bundle: string,
    config: MachineConfig,
    wish: Omit<SnapshotWish, 'picture'>,
    parts: SnapshotParts,
    context: TaskContext,
  ) {
    this.#machine = machine
    this.#session = session
    this.#bundle = bundle
    this.#config = config
    this.#wish = wish
    this.#parts = parts
    this.#context = context
  }

  async take(): Promise<string> {
    const [bundle, config, session] = [this.#bundle, this.#config, this.#session]
    const spec = session.spec!
    const { bootedAt } = this.#machine.status
    const { snapshot, next } = await newSnapshot(bundle, config, this.#wish)
    const draft = await draftSnapshot(bundle)
    const disks = ownDisks(config)
    const overlays = new Map(disks.map((disk) => [disk.id, overlayPath(disk.path, snapshot.id)]))
    let named = false
    try {
      const picture = await session.race(session.engine.screenshot({ machine: this.#machine.id })).catch(() => null)
      if (picture) await writeFileAtomic(draft.paths.picture, picture.png)
      await copyFirmware(bundlePaths(bundle).firmware, draft.paths.firmware)
      await this.#makeOverlays(disks, overlays, snapshot.id)
      this.#context.signal.throwIfAborted()
      await this.#parts.library.writeConfig(bundle, next(overlays))
      named = true
      this.#context.step('Freezing the disks')
      const engine = this.#wish.memory ? spec.engine : null
      const header = await this.#standStill(overlays, engine ? draft.paths.memory : null)
      this.#context.signal.throwIfAborted()
      if (header) {
        const point = config.point?.snapshot ?? null
        const record: SuspendRecord = { schema: 1, header, bootedAt, drives: await driveStamps(bundle, config), points: [point], spec }
        await writeFileAtomic(draft.paths.record, `${JSON.stringify(record, null, 2)}\n`)
      }
      await draft.describe({ ...snapshot, memory: engine } satisfies Snapshot)
      await draft.commit(snapshot.id)
      return snapshot.id
    } catch (error) {
      await draft.abandon()
      await this.#backOut(overlays, named)
      throw error
    }
  }

  async #makeOverlays(disks: readonly OwnDisk[], overlays: ReadonlyMap<string, string>, id: string): Promise<void> {
    // The storage thread has those disks open that it serves, and knows them.
    if (this.#session.kind === 'embedded') await this.#session.makeAbove(this.#filesOf(overlays))
    else await makeOverlays(this.#bundle, disks, id, this.#parts.storage)
  }

  /**
   * The guest stands still for as short as can be.
   * @param memory where it is written; null: it is not kept
   */
  async #standStill(overlays: ReadonlyMap<string, string>, memory: string | null): Promise<MemoryHeader | null> {
    const [machine, session] = [this.#machine, this.#session]
    if (machine.state === 'paused') await this.#capture(overlays, memory)
    else {
      // A host that takes it over, because this one ended in between, lets it go on.
      await beginSuspended(this.#bundle, true)
      try {
        await machine.unseen(() => this.#pausedFor(() => this.#capture(overlays, memory), memory !== null))
      } finally {
        if (!session.mayRunOn) await abandonSuspended(this.#bundle)
      }
    }
    if (memory === null) return null
    this.#context.step('Writing its memory')
    return session.race(session.engine.captured({ machine: machine.id }))
  }

  /** Where `work` fails, the guest goes on all the same. */
  async #pausedFor(work: () => Promise<void>, withMemory: boolean): Promise<void> {
    const session = this.#session
    const it = { machine: this.#machine.id }
    if (withMemory) await session.race(session.engine.prepareSave(it))
    try {
      await session.race(session.engine.pause(it))
      await work()
    } catch (error) {
      if (session.end) throw error
      await session.race(session.engine.resume(it)).catch((second: unknown) => {
        session.finish({ error: asAppError(second, `Going on with “${this.#config.name}”`) })
      })
      throw error
    }
    await session.race(session.engine.resume(it))
  }

  async #capture(overlays: ReadonlyMap<string, string>, memory: string | null): Promise<void> {
    const session = this.#session
    const files = this.#filesOf(overlays)
    const disks = [...files].map(([drive, path]) => ({ drive, path }))
    const place = memory === null ? null : memoryPlace(this.#bundle, memory)
    await session.race(session.engine.capture({ machine: this.#machine.id, memory: place, disks }))
    if (session.kind === 'embedded') await session.goOnIn(files)
  }

  /** What went on in new files stays there; of the others the files of before are named again. */
  async #backOut(overlays: ReadonlyMap<string, string>, named: boolean): Promise<void> {
    const files = this.#filesOf(overlays)
    const went = new Set(this.#session.spec?.drives.flatMap(({ id, path }) => (path !== null && path === files.get(id) ? [id] : [])))
    const [kept, unused] = [true, false].map((is) => new Map([...overlays].filter(([id]) => went.has(id) === is)))
    const drives = withOverlays(this.#config.drives, kept!)
    // Where machine.json cannot be written, it goes on naming files that are there.
    const isFree =
      !named ||
      (await this.#parts.library.writeConfig(this.#bundle, { ...this.#config, drives }).then(
        () => true,
        () => false,
      ))
    if (isFree) await removeOverlays(this.#bundle, unused!)
  }

  /** Absolute, and written as the machine's own are. */
  #filesOf(overlays: ReadonlyMap<string, string>): Map<string, string> {
    const now = new Map(this.#session.spec!.drives.map(({ id, path }) => [id, path]))
    return new Map([...overlays].map(([id, path]) => [id, join(dirname(now.get(id) ?? join(this.#bundle, path)), basename(path))]))
  }
}
