/**
 * Writing a file so that a crash at any point leaves the old content or the new, never a mix. Theory of operation (POSIX.1-2017 rename,
 * fsync; ext4 and APFS alike): the content goes to a temporary file in the same folder and is forced to the disk before its name is switched
 * in by one rename; forcing the folder afterwards makes the rename itself durable. A temporary file that a crash left behind is
 * recognised by its name (`isTemporary`) and means nothing.
 */
import { constants } from 'node:fs'
import { lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { asAppError } from '../../src-shared/errors/app-error.ts'

/** For files that nobody else has to read: a new file's permissions. An existing file keeps its own. */
const PRIVATE_MODE = 0o600
const SUFFIX = '.coppice-tmp'

/** On Windows a virus scanner or an indexer may hold the target for a moment: waits between the tries, in ms. */
const WINDOWS_WAITS = [10, 20, 50, 100, 200, 400]

/** Where to write what is to be at `path`: a name of its own beside it. */
export function temporaryFor(path: string): string {
  return join(dirname(path), `.${basename(path).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}${SUFFIX}`)
}

/** True for names of `temporaryFor`: to be ignored, and safe to delete when old. */
export function isTemporary(name: string): boolean {
  return name.startsWith('.') && name.endsWith(SUFFIX)
}

/**
 * `replaceFile` of a content that is there as a whole.
 * @throws AppError by the system's reason (`no-space`, `denied`, `not-found`, `io` …); the old content then is untouched
 */
export async function writeFileAtomic(path: string, data: string | Uint8Array, mode?: number): Promise<void> {
  try {
    await replaceFile(path, (file) => file.writeFile(data), mode)
  } catch (error) {
    throw asAppError(error, `Writing “${path}”`)
  }
}

/**
 * Replaces or creates `path` as a whole. A symbolic link at `path` is replaced, never followed: a bundle from elsewhere must not
 * direct our writes to another file. Of several writers at once the last one wins, whole.
 * @param write fills the new file, which is open for writing
 * @param mode its permissions, whatever an existing file has; absent: that file's, or the owner's alone
 * @returns when content and name are on disk
 * @throws what `write` or the system throws; the old content then is untouched
 */
export async function replaceFile(path: string, write: (file: FileHandle) => Promise<void>, mode?: number): Promise<void> {
  const temporary = temporaryFor(path)
  try {
    const old = mode === undefined ? await lstat(path).catch(() => null) : null
    await writeDurably(temporary, write, mode ?? (old?.isFile() ? old.mode & 0o777 : PRIVATE_MODE))
    await takeName(temporary, path)
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

async function writeDurably(path: string, write: (file: FileHandle) => Promise<void>, mode: number): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, PRIVATE_MODE)
  try {
    if (mode !== PRIVATE_MODE) await file.chmod(mode)
    await write(file)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Gives a file that is on disk as a whole its name, in the same folder; what has that name is replaced. */
export async function takeName(temporary: string, path: string): Promise<void> {
  await renamePatiently(temporary, path)
  await syncFolder(dirname(path))
}

async function renamePatiently(from: string, to: string): Promise<void> {
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
