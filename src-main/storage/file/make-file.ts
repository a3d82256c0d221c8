/** A new file that appears under its name when it is whole and on disk, or not at all. */
import { lstat, open, unlink } from 'node:fs/promises'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { takeName, temporaryFor } from '../../files/write-file-atomic.ts'
import type { ByteFile } from './byte-file.ts'
import { byteFile } from './open-byte-file.ts'

/** For files that nobody else has to read. */
const PRIVATE_MODE = 0o600

export interface Replacing {
  /** Called when the new file is on disk, before it takes the name: Windows gives no name away that belongs to an open file. */
  release?(): Promise<void>
}

/**
 * @param fill writes it; closing or syncing the file that it is given does nothing
 * @param replacing a file that has the name gives way to the new one, which gets its permissions; null: it is refused
 * @throws AppError `already-exists`, or the system's reason, or what `fill` throws; the temporary file is gone then
 */
export async function makeFile<T>(path: string, fill: (file: ByteFile) => Promise<T>, replacing: Replacing | null = null): Promise<T> {
  const old = await lstat(path).catch(() => null)
  if (old && !replacing) throw new AppError('already-exists', `There already is something at “${path}”.`, { subject: path })
  const temporary = temporaryFor(path)
  try {
    const handle = await open(temporary, 'wx+', PRIVATE_MODE)
    const file = byteFile(handle, path, 0, false)
    let result: T
    try {
      if (old?.isFile()) await handle.chmod(old.mode & 0o777)
      result = await fill(lent(file))
      await file.sync()
    } finally {
      await file.close()
    }
    await replacing?.release?.()
    await takeName(temporary, path)
    return result
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

/** The file, which stays open when its borrower closes it. Nobody knows it before it has its name: it is synced once, at the end, and not in between. */
function lent(file: ByteFile): ByteFile {
  return {
    ...file,
    get size() {
      return file.size
    },
    sync: async () => {},
    close: async () => {},
  }
}
