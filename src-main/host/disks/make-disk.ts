/** New, empty disks in a machine's bundle. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { storageThread } from '../../../src-shared/threads/storage-thread.ts'
import type { SharedThread } from '../threads/shared-thread.ts'

/** Files of one name that may lie there: of disks that were removed. */
const MAX_SAME = 1000

/** "disk0", or the next that nothing has. */
export function freeId(stem: string, taken: readonly { id: string }[]): string {
  let number = 0
  while (taken.some(({ id }) => id === `${stem}${number}`)) number++
  return `${stem}${number}`
}

/**
 * @param bundle the machine's folder; @param id the disk's, after which its file is called
 * @returns the file's path inside of the bundle
 * @throws AppError `no-space`, or the system's reason; no file is left then
 */
export async function makeDisk(bundle: string, id: string, bytes: number, storage: SharedThread): Promise<string> {
  await mkdir(join(bundle, 'disks'), { recursive: true })
  for (let number = 1; ; number++) {
    const path = `disks/${id}${number === 1 ? '' : `-${number}`}.qcow2`
    try {
      await storage.use((thread) =>
        thread.rpc.service(storageThread).create({ path: join(bundle, path), format: 'qcow2', size: bytes, backing: null }),
      )
      return path
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'already-exists' || number === MAX_SAME) throw error
    }
  }
}

/** Those that were made for nothing. */
export async function removeDisks(bundle: string, paths: readonly string[]): Promise<void> {
  await Promise.all(paths.map((path) => rm(join(bundle, path), { force: true }).catch(() => {})))
}
