/**
 * Writing a file so that a crash at any point leaves the old content or the new, never a mix. Theory of operation (POSIX.1-2017 rename,
 * fsync; ext4 and APFS alike): the content goes to a temporary file in the same folder and is forced to the disk before its name is switched
 * in by one rename; forcing the folder afterwards makes the rename itself durable. A temporary file that a crash left behind is
 * recognised by its name (`isTemporary`) and means nothing.
 */
import { constants } from 'node:fs'
import { lstat, open, rename, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { asAppError } from '../../../src-shared/errors/app-error.ts'

/** For files that nobody else has to read: a new file's permissions. An existing file keeps its own. */
const PRIVATE_MODE = 0o600
const SUFFIX = '.coppice-tmp'

/** On Windows a virus scanner or an indexer may hold the target for a moment: waits between the tries, in ms. */
const WINDOWS_WAITS = [10, 20, 50, 100, 200, 400]

/** True for the names of temporary files that `writeFileAtomic` makes: to be ignored, and safe to delete when old. */
export function isTemporary(name: string): boolean {
  return name.startsWith('.') && name.endsWith(SUFFIX)
}

/**
 * Replaces or creates `path` as a whole. A symbolic link at `path` is replaced, never followed: a bundle from elsewhere must not
 * direct our writes to another file. Of several writers at once the last one wins, whole.
 * @param mode its permissions, whatever an existing file has; absent: that file's, or the owner's alone
 * @returns when content and name are on disk
 * @throws AppError by the system's reason (`no-space`, `denied`, `not-found`, `io` …); the old content then is untouched
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array, mode?: number): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}${SUFFIX}`)
  try {
    const old = mode === undefined ? await lstat(path).catch(() => null) : null
    await writeDurably(temporary, data, mode ?? (old?.isFile() ? old.mode & 0o777 : PRIVATE_MODE))
    await replace(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw asAppError(error, `Writing “${path}”`)
  }
  await syncFolder(dirname(path))
}

async function writeDurably(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, PRIVATE_MODE)
  try {
    if (mode !== PRIVATE_MODE) await file.chmod(mode)
    await file.writeFile(data)
    await file.sync()
  } finally {
    await file.close()
  }
}

async function replace(from: string, to: string): Promise<void> {
  const waits = process.platform === 'win32' ? [...WINDOWS_WAITS] : []
  for (;;) {
    try {
      return await rename(from, to)
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? ''
      const wait = ['EPERM', 'EACCES', 'EBUSY'].includes(code) ? waits.shift() : undefined
      if (wait === undefined) throw error
      await sleep(wait)
    }
  }
}

/** Forces a folder's entries to the disk where the platform can (Windows cannot, and some network file systems will not). */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  try {
    const handle = await open(folder, constants.O_RDONLY)
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch {
    // The rename has happened and is visible; only its durability over a power cut is left to the file system.
  }
}
