/**
 * Making a bundle: in a hidden folder of the library, which appears under its name by one rename when it is whole. What a crash leaves behind
 * carries the lock of a process that is gone, and is removed at the next start of a host.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { MachineConfig } from '../../../../src-shared/model/machine.ts'
import { syncFolder, writeFileAtomic } from '../../../files/write-file-atomic.ts'
import { bundlePaths } from '../../library/bundle.ts'
import { lockBundle } from '../../library/bundle-lock.ts'
import type { Bundle } from '../../library/identity.ts'
import { serialiseConfig, type Library } from '../../library/library.ts'
import type { Log } from '../../log/log.ts'

const PREFIX = '.new-'

/**
 * Makes a bundle with `fill` and shows it in the library.
 * @param fill puts the machine's files into the folder, whole and synced, and gives its configuration
 * @returns the bundle in its place
 * @throws what `fill` or the file system says; nothing is left then
 */
export async function stageBundle(library: Library, name: string, fill: (folder: string) => Promise<MachineConfig>): Promise<Bundle> {
  const staging = join(library.folder, `${PREFIX}${newId()}`)
  const { lock: lockPath, config } = bundlePaths(staging)
  try {
    await mkdir(staging, { recursive: true })
    const lock = await lockBundle(lockPath, `“${name}”`)
    await writeFileAtomic(config, serialiseConfig(await fill(staging)))
    await syncFolder(staging)
    const target = await library.freeFolder(name)
    await lock.release(lockPath)
    await rename(staging, target)
    await syncFolder(library.folder)
    await library.rescan()
    const bundle = library.at(target)
    if (!bundle) throw new AppError('not-found', `“${target}” is gone again.`, { subject: target })
    return bundle
  } catch (error) {
    // A thread whose work was cancelled may still be taking a file of its own away.
    await rm(staging, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 }).catch(() => {})
    throw asAppError(error, `Making “${name}”`)
  }
}

/** Removes what crashed hosts left; what a living one is making stays. */
export async function cleanStaging(library: string, log: Log): Promise<void> {
  const names = await readdir(library).catch(() => [])
  for (const name of names.filter((each) => each.startsWith(PREFIX))) {
    const folder = join(library, name)
    try {
      await lockBundle(bundlePaths(folder).lock, name)
      await rm(folder, { recursive: true, force: true })
      log.info('library', 'Removed what an interrupted creation had left.', { folder })
    } catch (error) {
      log.info('library', 'Left alone: a machine that another Coppice is making.', { folder, error })
    }
  }
}
