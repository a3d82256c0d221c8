/** Which files of a bundle make its archive (bundle-archive.ts), and writing it. */
import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { isAbsolutePath, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import type { PackMember } from '../../../../src-shared/threads/storage-thread.ts'
import { isTemporary } from '../../../files/write-file-atomic.ts'
import { storageJob } from '../../images/storage-job.ts'
import { bundleFolderName, CONFIG_FILE } from '../../library/bundle.ts'
import type { TaskContext } from '../../tasks/task-service.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'
import { shown } from '../text/remarks.ts'
import { BUNDLE_FOLDERS } from './bundle-archive.ts'

/** Files of a bundle, snapshots and all; an archive with more is not read again. */
const MAX_FILES = 9000
const MAX_DEPTH = 8

/** What will not be in the archive, as sentences. */
export function bundleRemarks({ drives, sharedFolders, boot, vncExport }: MachineConfig): string[] {
  const remarks: string[] = []
  for (const { kind, path } of drives)
    if (path !== null && isAbsolutePath(path))
      remarks.push(
        kind === 'disk'
          ? `The disk “${shown(path)}” lies outside of the machine’s folder and is not in the archive.`
          : `“${shown(path)}” lies outside of the machine’s folder and is not in the archive: there the drive is empty.`,
      )
  if (boot.kind === 'kernel' && isAbsolutePath(boot.kernel)) remarks.push(`The kernel “${shown(boot.kernel)}” is not in the archive.`)
  if (sharedFolders.length > 0) remarks.push('Shared folders are folders of this computer: they are left out when the archive is imported.')
  if (vncExport.enabled) remarks.push('The password of its VNC export is not in the archive.')
  return remarks
}

/**
 * Of a machine at rest, which stays so meanwhile.
 * @returns bytes of the archive
 * @throws AppError `denied` for a link in the bundle, or as storageThread.pack
 */
export async function packBundle(
  bundle: string,
  { name }: MachineConfig,
  to: { path: string; replace: boolean },
  storage: SharedThread,
  context: TaskContext,
): Promise<{ bytes: number }> {
  context.step('Writing the archive')
  const files = [CONFIG_FILE]
  for (const folder of BUNDLE_FOLDERS) await addFiles(bundle, folder, files)
  const top = bundleFolderName(name)
  const members = files.map((file): PackMember => ({ kind: 'file', name: `${top}/${file}`, path: join(bundle, ...file.split('/')) }))
  return storageJob(storage, context, (calls, job, options) => calls.pack({ job, ...to, members }, options))
}

async function addFiles(bundle: string, folder: string, files: string[]): Promise<void> {
  const path = join(bundle, ...folder.split('/'))
  const stats = await lstat(path).catch(() => null)
  if (stats === null) return
  if (!stats.isDirectory()) throw strange(path)
  if (folder.split('/').length > MAX_DEPTH) throw new AppError('unsupported', `“${path}” lies too deep for an archive.`, { subject: path })
  for (const entry of await readdir(path, { withFileTypes: true })) {
    // Locks, and what is half done.
    if (entry.name.startsWith('.') || isTemporary(entry.name)) continue
    const name = `${folder}/${entry.name}`
    if (entry.isDirectory()) await addFiles(bundle, name, files)
    else if (entry.isFile()) files.push(name)
    // A program's socket or pipe that was left behind is nobody's data.
    else if (entry.isSymbolicLink()) throw strange(join(path, entry.name))
    if (files.length > MAX_FILES)
      throw new AppError('unsupported', `The machine has more than ${MAX_FILES} files, too many for an archive.`)
  }
}

function strange(path: string): AppError {
  return new AppError('denied', `“${path}” is a link. A machine’s own files must stand in its bundle: remove the link.`, { subject: path })
}
