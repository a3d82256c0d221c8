/** A machine that is off or suspended, held so that nobody starts, changes or moves it. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import { bundlePaths, refuseLinks } from '../library/bundle.ts'
import { lockBundle } from '../library/bundle-lock.ts'
import type { Library } from '../library/library.ts'
import type { Log } from '../log/log.ts'
import type { Machine } from '../machines/machine.ts'
import { wrongState } from '../machines/wrong-state.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import type { OwnDisk } from './own-disks.ts'
import { isInDisksFolder, overlayPath } from './own-disks.ts'
import { endReturning } from './returning.ts'
import { snapshotsFolder } from './snapshot-files.ts'

export interface SnapshotParts {
  library: Library
  storage: SharedThread
  log: Log
  /** Real paths of files in a bundle that other machines need where they are: they are neither merged nor deleted. */
  neededElsewhere(bundle: string): Promise<ReadonlySet<string>>
}

/**
 * @param doing for the sentence of those refused meanwhile: "having a snapshot taken"
 * @throws AppError `wrong-state` where it runs, `busy`, or what is wrong with its bundle
 */
export function atRest<T>(
  machine: Machine,
  doing: string,
  library: Library,
  work: (bundle: string, config: MachineConfig) => Promise<T>,
): Promise<T> {
  return machine.hold(doing, async () => {
    if (machine.session) throw wrongState('edit', machine.bundle.name, machine.state)
    const { folder, name } = machine.bundle
    const path = bundlePaths(folder).lock
    // Another host may run it.
    const lock = await lockBundle(path, `“${name}”`)
    try {
      // That one may have changed it, too.
      await library.refresh(folder)
      await refuseOutside(folder)
      const { config, problem } = machine.bundle
      if (!config) throw problem ?? wrongState('edit', name, 'broken')
      if (await endReturning(folder, config)) await library.refresh(folder)
      return await work(folder, config)
    } finally {
      await lock.release(path)
    }
  })
}

/** What is written and deleted here must be the machine's own. */
export function refuseOutside(bundle: string): Promise<void> {
  const { disks, suspend, suspendNew, firmware } = bundlePaths(bundle)
  return refuseLinks([disks, snapshotsFolder(bundle), suspend, suspendNew, firmware])
}

/**
 * New files that go on from these disks, by drive.
 * @param id names them apart from all others
 * @throws AppError `invalid-input` for a disk that is not among the machine's own files, or why one cannot be read or made; none is left then
 */
export async function makeOverlays(
  bundle: string,
  disks: readonly OwnDisk[],
  id: string,
  storage: SharedThread,
): Promise<Map<string, string>> {
  const overlays = new Map<string, string>()
  const stray = disks.find(({ path }) => !isInDisksFolder(path))
  if (stray) throw new AppError('invalid-input', `The disk “${stray.id}” (“${stray.path}”) is not in the machine’s folder of disks.`)
  try {
    await storage.use(async (thread) => {
      for (const disk of disks) {
        const path = overlayPath(disk.path, id)
        const below = join(bundle, disk.path)
        await thread.rpc.service(storageThread).create({
          ...{ path: join(bundle, path), format: 'qcow2', size: null },
          backing: { path: below, format: disk.format, folders: [bundlePaths(bundle).disks] },
        })
        overlays.set(disk.id, path)
      }
    })
    return overlays
  } catch (error) {
    await removeOverlays(bundle, overlays)
    throw error
  }
}

/** Those that nobody uses. */
export async function removeOverlays(bundle: string, overlays: ReadonlyMap<string, string>): Promise<void> {
  await Promise.all([...overlays.values()].map((path) => rm(join(bundle, path), { force: true }).catch(() => {})))
}
