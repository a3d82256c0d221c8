/**
 * Linked clones: machines that begin at a snapshot of another one and share its disks.
 *
 * Theory of operation: the frozen files of a snapshot are written by nobody any more, so that two machines may have them: the clone's folder gets a second
 * name (a hard link) for each, and goes on in a file of its own. Neither machine needs the other: deleting or moving one takes nothing from the other, and the
 * room is free when the last name is gone. Where there can be no second name (another file system) the files are copied. What is shared is not merged
 * with anything, which would change it (tidy.ts).
 */
import { dirname, join } from 'node:path'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { isAbsolutePath, type MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import { bundlePaths } from '../library/bundle.ts'
import { placeShared } from '../machines/making/boot-files.ts'
import { copyImage } from '../machines/making/create-machine.ts'
import { copyVariables, withNewIdentity } from '../machines/making/duplicate-machine.ts'
import { pathsOf } from '../planner/plan-files.ts'
import { fileFact } from '../planner/probe-files.ts'
import type { TaskContext } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { makeOverlays } from './machine-at-rest.ts'
import { ownDisks, withOverlays, type OwnDisk } from './own-disks.ts'
import { snapshotPaths } from './snapshot-files.ts'

/**
 * Fills the folder of a machine that is being made.
 * @param bundle the other machine's
 * @returns the clone's configuration
 */
export async function fillLinkedClone(
  staging: string,
  bundle: string,
  { id, config }: Snapshot,
  name: string,
  storage: SharedThread,
  context: TaskContext,
): Promise<MachineConfig> {
  const disks = ownDisks(config)
  const shared = new Set(disks.map(({ path }) => path))
  const images = new Set(config.drives.map(({ path }) => path))
  for (const path of new Set(pathsOf(config))) {
    if (isAbsolutePath(path) || shared.has(path)) continue
    context.signal.throwIfAborted()
    const { kind, path: from } = await fileFact(bundle, path)
    if (kind !== 'file') throw new AppError('not-found', `“${path}” of “${config.name}” is not there, or not a file.`, { subject: from })
    // Drives that are read-only now may be made writable.
    if (images.has(path)) await copyImage(from, join(staging, path), storage, context)
    else await placeShared(from, join(staging, path))
  }
  for (const disk of disks) await shareLayers(bundle, staging, disk, storage)
  const overlays = await makeOverlays(staging, disks, newId(), storage)
  await copyVariables(snapshotPaths(bundle, id).firmware, bundlePaths(staging).firmware)
  return withNewIdentity({ ...config, drives: withOverlays(config.drives, overlays) }, name)
}

/** A disk's frozen file, and every one below it. */
async function shareLayers(bundle: string, staging: string, disk: OwnDisk, storage: SharedThread): Promise<void> {
  const path = join(bundle, disk.path)
  const {
    layers,
    problem,
    path: real,
  } = await storage.use((thread) => thread.rpc.service(storageThread).inspect({ path, format: disk.format, folders: [] }))
  if (problem !== null) throw new AppError('corrupt', problem, { subject: path })
  for (const file of [real, ...layers.map((layer) => layer.path)]) {
    if (dirname(file) !== dirname(real))
      throw new AppError('unsupported', `“${path}” rests on “${file}”, which lies elsewhere. Clone the machine as a whole.`, {
        subject: path,
      })
    await placeShared(file, join(staging, dirname(disk.path), file.slice(dirname(file).length + 1)))
  }
}
