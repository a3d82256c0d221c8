/** A machine that is off or suspended, held so that nobody starts, changes or moves it. */
import { join } from 'node:path'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import { bundlePaths } from '../library/bundle.ts'
import { lockBundle } from '../library/bundle-lock.ts'
import type { Library } from '../library/library.ts'
import type { Log } from '../log/log.ts'
import type { Machine } from '../machines/machine.ts'
import { wrongState } from '../machines/wrong-state.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import type { OwnDisk } from './own-disks.ts'
import { overlayPath } from './own-disks.ts'

export interface SnapshotParts {
  library: Library
  storage: SharedThread
  log: Log
}

/**
 * @param doing for the sentence of those refused meanwhile: "having a snapshot taken"
 * @throws AppError `wrong-state` where it runs, `busy`, or what is wrong with its bundle
 */
export function atRest<T>(machine: Machine, doing: string, work: (bundle: string, config: MachineConfig) => Promise<T>): Promise<T> {
  return machine.hold(doing, async () => {
    const { bundle } = machine
    if (!bundle.config) throw bundle.problem ?? wrongState('edit', bundle.name, 'broken')
    if (machine.session) throw wrongState('edit', bundle.name, machine.state)
    const path = bundlePaths(bundle.folder).lock
    // Another host may run it.
    const lock = await lockBundle(path, `“${bundle.name}”`)
    try {
      return await work(bundle.folder, bundle.config)
    } finally {
      await lock.release(path)
    }
  })
}

/**
 * New files that go on from these disks, by drive.
 * @param id names them apart from all others
 */
export async function makeOverlays(
  bundle: string,
  disks: readonly OwnDisk[],
  id: string,
  storage: SharedThread,
): Promise<Map<string, string>> {
  const overlays = new Map<string, string>()
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
}
