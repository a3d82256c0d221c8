/** The pages that a machine's memory states share: who needs which, and what nobody needs any more. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { storageThread } from '../../../../src-shared/threads/storage-thread.ts'
import { deleteUnneeded, packRooms } from '../../../files/pages/memory-packs.ts'
import { bundlePaths, refuseLinks } from '../../library/bundle.ts'
import { returnPaths } from '../../snapshots/returning.ts'
import { snapshotsFolder } from '../../snapshots/snapshot-files.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'

/** Every memory file that a machine may have, whole or not; absolute. */
export async function memoryFiles(bundle: string): Promise<string[]> {
  const { memory, suspendNew } = bundlePaths(bundle)
  const snapshots = snapshotsFolder(bundle)
  const names: string[] = await readdir(snapshots).catch(() => [])
  return [
    memory,
    join(suspendNew, 'memory'),
    join(returnPaths(bundle).suspend, 'memory'),
    ...names.map((name) => join(snapshots, name, 'memory')),
  ]
}

/** The same, also of single pages, which takes longer the more states there are. While none is being written or read. What may be needed stays. */
export async function freeUnneededPages(bundle: string, storage: Pick<SharedThread, 'use'>): Promise<void> {
  const { pages } = bundlePaths(bundle)
  await refuseLinks([pages])
  if ((await packRooms(pages)).size === 0) return
  const memories = await memoryFiles(bundle)
  await storage.use((thread) => thread.rpc.service(storageThread).freePages({ folder: pages, memories }))
}

/**
 * Deletes pages that no memory state needs, in files of which none is needed. While none is being written: for who has the machine's turn.
 * @throws AppError where a memory file cannot be read; then nothing is deleted
 */
export async function deleteUnneededPages(bundle: string): Promise<void> {
  const { pages } = bundlePaths(bundle)
  await refuseLinks([pages])
  await deleteUnneeded(pages, await memoryFiles(bundle))
}
