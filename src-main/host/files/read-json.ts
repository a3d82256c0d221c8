/** Reading small files that others may have written: a bundle from elsewhere is hostile until parsed. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { formatBytes } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'

/** Without it, opening a named pipe would wait for a writer for ever. Absent on Windows. */
const NONBLOCK = constants.O_NONBLOCK ?? 0
const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * The whole of a regular file of at most `maxBytes` bytes.
 * @throws AppError `corrupt` (larger, or not a regular file), or the system's reason
 */
export async function readLimited(path: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const file = await open(path, constants.O_RDONLY | NONBLOCK)
    try {
      const stats = await file.stat()
      if (!stats.isFile()) throw new AppError('corrupt', `“${path}” is not a regular file.`, { subject: path })
      // One byte more than allowed, so that a file that grows meanwhile is seen too.
      const bytes = new Uint8Array(Math.min(stats.size, maxBytes) + 1)
      let length = 0
      while (length < bytes.length) {
        const { bytesRead } = await file.read(bytes, length, bytes.length - length, length)
        if (bytesRead === 0) break
        length += bytesRead
      }
      if (stats.size > maxBytes || length > maxBytes)
        throw new AppError('corrupt', `“${path}” is larger than the ${formatBytes(maxBytes)} that such a file can have.`, { subject: path })
      return bytes.subarray(0, length)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw asAppError(error, `Reading “${path}”`)
  }
}

/**
 * A JSON file's value, not yet checked against any schema.
 * @throws AppError `corrupt` (empty, not UTF-8, not JSON, larger than `maxBytes`), or the system's reason
 */
export async function readJson(path: string, maxBytes: number): Promise<unknown> {
  const bytes = await readLimited(path, maxBytes)
  if (bytes.length === 0) throw new AppError('corrupt', `“${path}” is empty.`, { subject: path })
  try {
    return JSON.parse(decoder.decode(bytes)) as unknown
  } catch (error) {
    throw new AppError('corrupt', `“${path}” is not valid JSON.`, { subject: path, technical: (error as Error).message }, error)
  }
}
