/** The pages that a machine's memory states share: who needs which, and what nobody needs any more. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { deleteUnneeded } from '../../files/pages/memory-packs.ts'
import { bundlePaths, refuseLinks } from '../library/bundle.ts'
import { returnPaths } from '../snapshots/returning.ts'
import { snapshotsFolder } from '../snapshots/snapshot-files.ts'

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

/**
 * Deletes pages that no memory state needs. While none is being written: for who has the machine's turn.
 * @throws AppError where a memory file cannot be read; then nothing is deleted
 */
export async function deleteUnneededPages(bundle: string): Promise<void> {
  const { pages } = bundlePaths(bundle)
  await refuseLinks([pages])
  await deleteUnneeded(pages, await memoryFiles(bundle))
}
