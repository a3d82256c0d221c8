/** Opens the file of an image, checked and locked. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { blockDeviceSize } from '../formats/raw/device-size.ts'
import { lockImage, type ImageLock } from '../lock/image-lock.ts'
import type { ByteFile } from './byte-file.ts'
import { byteFile } from './open-byte-file.ts'

/** Without it, opening a named pipe would wait for its other end for ever. Absent on Windows. */
const NONBLOCK = constants.O_NONBLOCK ?? 0

export interface LockedFile {
  /** Gives up the lock when it is closed. */
  file: ByteFile
  /** "device:inode": the same for every path to the file. */
  identity: string
}

/**
 * @throws AppError `not-found`, `denied`, `invalid-input` (neither a regular file nor a block device), `corrupt` (empty), `busy` (somebody else
 *   writes it, or reads what should be written), or the system's reason
 */
export async function openLocked(path: string, readOnly: boolean): Promise<LockedFile> {
  try {
    const file = await open(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | NONBLOCK)
    let lock: ImageLock | null = null
    try {
      const stats = await file.stat({ bigint: true })
      if (!stats.isFile() && !stats.isBlockDevice())
        throw new AppError('invalid-input', `“${path}” is neither a regular file nor a block device. Choose a disk image.`, {
          subject: path,
        })
      const identity = `${stats.dev}:${stats.ino}`
      lock = await lockImage(path, identity, readOnly ? 'read' : 'write', stats.isFile())
      // Measured under the lock: until then another owner may have changed it.
      const size = stats.isFile() ? Number((await file.stat({ bigint: true })).size) : await blockDeviceSize(file)
      if (size === 0)
        throw new AppError('corrupt', `The disk image “${path}” is empty (0 bytes). Choose another image, or make it again.`, {
          subject: path,
        })
      return { file: withLock(byteFile(file, path, size, readOnly), lock), identity }
    } catch (error) {
      await lock?.release()
      await file.close()
      throw error
    }
  } catch (error) {
    throw asAppError(error, `Opening the disk image “${path}”`)
  }
}

function withLock(file: ByteFile, lock: ImageLock): ByteFile {
  return {
    ...file,
    get size() {
      return file.size
    },
    close: () => file.close().finally(() => lock.release()),
  }
}
