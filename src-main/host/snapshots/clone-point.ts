/** The snapshot that a linked clone of a machine's present state begins at. */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { TaskResult, TaskStarted } from '../../../src-shared/api/tasks.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import { storageJob } from '../images/storage-job.ts'
import { bundlePaths } from '../library/bundle.ts'
import { HARDWARE } from '../machines/making/edit-machine.ts'
import type { Machine } from '../machines/machine.ts'
import type { TaskContext, TaskService } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { ownDisks } from './own-disks.ts'
import { readSnapshots } from './snapshot-files.ts'
import { currentOf } from './tree.ts'

/**
 * Of a machine at rest. The mappings of its disks are looked at, not their data.
 * @returns the snapshot that the present state came from, where nothing has changed since; null: one has to be taken
 */
export async function unchangedSnapshot(
  { bundle, session }: Pick<Machine, 'bundle' | 'session'>,
  storage: Pick<SharedThread, 'use'>,
  context: TaskContext,
): Promise<string | null> {
  const { config, folder, suspended } = bundle
  if (!config || session || suspended) return null
  const snapshots = await readSnapshots(folder)
  const current = currentOf(config, snapshots)
  const snapshot = snapshots.find(({ id }) => id === current)
  if (!snapshot || snapshot.memory !== null || !isSameHardware(config, snapshot)) return null
  const [before, after] = [ownDisks(snapshot.config), ownDisks(config)]
  for (const [at, { path, format }] of before.entries()) {
    const disks = [{ path, format }, after[at]!].map((disk) => ({
      ...{ path: join(folder, disk.path), format: disk.format },
      folders: [bundlePaths(folder).disks],
    }))
    const difference = await storageJob(storage, context, (calls, job, options) =>
      calls.compare({ job, before: disks[0]!, after: disks[1]!, parts: 1, whether: true }, options),
    )
    if (difference.changedBlocks > 0 || difference.sizes.before !== difference.sizes.after) return null
  }
  return snapshot.id
}

/** All but where its own disks lie. */
function isSameHardware(config: MachineConfig, { config: was }: Snapshot): boolean {
  const place = (state: MachineConfig): MachineConfig['drives'] => {
    const own = new Set(ownDisks(state).map(({ id }) => id))
    return state.drives.map((drive) => (own.has(drive.id) ? { ...drive, path: '', format: 'qcow2' as const } : drive))
  }
  return HARDWARE.every((field) =>
    field === 'drives' ? isDeepStrictEqual(place(config), place(was)) : isDeepStrictEqual(config[field], was[field]),
  )
}

/**
 * What a task that another one has begun came to; it is cancelled with that one.
 * @throws AppError its error, or `cancelled`
 */
export async function endOf(tasks: TaskService, { task }: TaskStarted, signal: AbortSignal): Promise<TaskResult | null> {
  const cancel = (): void => tasks.cancel(task)
  signal.addEventListener('abort', cancel)
  if (signal.aborted) cancel()
  try {
    const { state, error, result } = await tasks.whenEnded(task)
    if (error) throw AppError.fromWire(error)
    if (state !== 'done') throw AppError.cancelled()
    return result
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}
