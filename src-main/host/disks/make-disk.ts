/** New, empty disks in a machine's bundle. */
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
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

/** Names for the file of a disk, in the machine's folder of disks: the first that is free is to be taken. */
export function* placesFor(id: string): Generator<string> {
  for (let number = 1; number <= MAX_SAME; number++) yield `${id}${number === 1 ? '' : `-${number}`}.qcow2`
}

/** An empty image. @throws AppError `already-exists`, `no-space`, or the system's reason; no file is left then */
export async function makeImage(path: string, bytes: number, storage: SharedThread): Promise<void> {
  await storage.use((thread) => thread.rpc.service(storageThread).create({ path, format: 'qcow2', size: bytes, backing: null }))
}

/**
 * Of a machine that is being made: where it comes to nothing, its folder goes as a whole.
 * @param bundle the machine's folder; @param id the disk's, after which its file is called
 * @returns the file's path inside of the bundle
 * @throws AppError `no-space`, or the system's reason; no file is left then
 */
export async function makeDisk(bundle: string, id: string, bytes: number, storage: SharedThread): Promise<string> {
  await mkdir(join(bundle, 'disks'), { recursive: true })
  const path = `disks/${id}.qcow2`
  await makeImage(join(bundle, path), bytes, storage)
  return path
}

/** Those that were made for nothing. */
export async function removeDisks(bundle: string, paths: readonly string[]): Promise<void> {
  await Promise.all(paths.map((path) => rm(join(bundle, path), { force: true }).catch(() => {})))
}
