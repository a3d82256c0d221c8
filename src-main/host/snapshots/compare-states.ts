/**
 * What two states of a machine differ in: two snapshots, or one and the present state. A machine at rest is held meanwhile: nobody starts it, or merges
 * files that are being read. One that runs goes on, and its snapshots can be compared with each other: nobody writes or merges what they have frozen.
 */
import { join } from 'node:path'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import { PICTURE_PARTS, type DiskComparison, type SnapshotComparison } from '../../../src-shared/model/snapshot-comparison.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import { storageJob } from '../images/storage-job.ts'
import { bundlePaths } from '../library/bundle.ts'
import type { Machine } from '../machines/machine.ts'
import type { TaskContext, TaskService } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { noSuchSnapshot } from './go-back.ts'
import { ownDisks, type OwnDisk } from './own-disks.ts'
import { readSnapshots } from './snapshot-files.ts'

export interface CompareParts {
  tasks: TaskService
  storage: Pick<SharedThread, 'use'>
}

/** Ids of snapshots; null: the present state. */
export interface ComparedStates {
  before: string | null
  after: string | null
}

/**
 * A task whose result is the comparison.
 * @throws AppError `wrong-state`: the present state of a machine that runs is another one at every moment
 */
export function compareStates(machine: Machine, states: ComparedStates, parts: CompareParts): TaskStarted {
  const { name } = machine.bundle
  refuseMoving(machine, states)
  const title = `Comparing states of “${name}”`
  const again = (): TaskStarted => compareStates(machine, states, parts)
  return parts.tasks.start({ kind: 'compare-snapshots', title, machine: machine.id, again }, (context) => {
    const work = async (): Promise<{ comparison: SnapshotComparison }> => {
      refuseMoving(machine, states)
      return { comparison: await compare(machine, states, parts, context) }
    }
    return machine.session ? work() : machine.hold('being compared', work)
  })
}

function refuseMoving(machine: Machine, { before, after }: ComparedStates): void {
  if (machine.session && (before === null || after === null))
    throw new AppError(
      'wrong-state',
      `“${machine.bundle.name}” runs, and its disks change all the time. Shut it down first, or take a snapshot and compare that.`,
    )
}

async function compare(
  { bundle }: Machine,
  { before, after }: ComparedStates,
  { storage }: CompareParts,
  context: TaskContext,
): Promise<SnapshotComparison> {
  const snapshots = await readSnapshots(bundle.folder)
  const [earlier, later] = [before, after].map((id) => stateOf(id, bundle.config, snapshots)) as [OwnDisk[], OwnDisk[]]
  const disks: DiskComparison[] = []
  for (const disk of earlier) {
    const other = later.find(({ id }) => id === disk.id)
    if (!other) {
      disks.push({ drive: disk.id, there: 'removed', difference: null, files: [] })
      continue
    }
    context.step(`Reading “${disk.id}”`)
    const images = { before: imageOf(bundle.folder, disk), after: imageOf(bundle.folder, other) }
    const difference = await storageJob(storage, context, (calls, job, options) =>
      calls.compare({ job, ...images, parts: PICTURE_PARTS }, options),
    )
    if (difference.changedBlocks > 0) context.step(`Looking for files on “${disk.id}”`)
    const files =
      difference.changedBlocks === 0 ? [] : await storage.use(({ rpc }) => rpc.service(storageThread).compareFiles(images, context))
    disks.push({ drive: disk.id, there: 'both', difference, files })
  }
  const added = later.filter(({ id }) => !earlier.some((disk) => disk.id === id))
  return {
    before,
    after,
    disks: [...disks, ...added.map(({ id }): DiskComparison => ({ drive: id, there: 'added', difference: null, files: [] }))],
  }
}

function stateOf(id: string | null, config: MachineConfig | null, snapshots: readonly Snapshot[]): OwnDisk[] {
  const state = id === null ? config : snapshots.find((snapshot) => snapshot.id === id)?.config
  if (!state) throw id === null ? new AppError('corrupt', 'The machine’s configuration cannot be read.') : noSuchSnapshot(id)
  return ownDisks(state)
}

function imageOf(bundle: string, { path, format }: OwnDisk) {
  return { path: join(bundle, path), format, folders: [bundlePaths(bundle).disks] }
}
