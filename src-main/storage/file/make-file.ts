/** A new file that appears under its name when it is whole and on disk, or not at all. */
import { lstat, open, unlink } from 'node:fs/promises'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { takeName, temporaryFor } from '../../files/write-file-atomic.ts'
import type { ByteFile } from './byte-file.ts'
import { byteFile } from './open-byte-file.ts'

/**
 * @param fill writes it; closing the file that it is given does nothing
 * @param replace whether a file that has the name gives way to the new one
 * @throws AppError `already-exists`, or the system's reason, or what `fill` throws; the temporary file is gone then
 */
export async function makeFile<T>(path: string, fill: (file: ByteFile) => Promise<T>, replace = false): Promise<T> {
  if (!replace && (await lstat(path).catch(() => null)))
    throw new AppError('already-exists', `There already is something at “${path}”.`, { subject: path })
  const temporary = temporaryFor(path)
  try {
    const file = byteFile(await open(temporary, 'wx+', 0o600), path, 0, false)
    let result: T
    try {
      result = await fill(lent(file))
      await file.sync()
    } finally {
      await file.close()
    }
    await takeName(temporary, path)
    return result
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

/** The file, which stays open when its borrower closes it. */
function lent(file: ByteFile): ByteFile {
  return {
    ...file,
    get size() {
      return file.size
    },
    close: async () => {},
  }
}
