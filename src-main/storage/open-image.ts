/** The only way in to a disk image: every opener declares its format, is checked, and is locked. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import type { BlockDevice } from './block-device.ts'
import { blockDeviceSize } from './formats/raw/device-size.ts'
import { byteFile } from './file/open-byte-file.ts'
import { rawDevice } from './formats/raw/raw-device.ts'
import { lockImage, type ImageLock } from './lock/image-lock.ts'

/** Without it, opening a named pipe would wait for its other end for ever. Absent on Windows. */
const NONBLOCK = constants.O_NONBLOCK ?? 0

export interface ImageChoice {
  path: string
  /** As the machine's config declares it; never probed. */
  format: 'raw'
  readOnly: boolean
}

/**
 * @returns a device that owns the open file and its lock
 * @throws AppError `not-found`, `denied`, `invalid-input` (neither a regular file nor a block device), `corrupt` (empty), `busy` (somebody else
 *   writes it, or reads what should be written), or the system's reason
 */
export async function openImage(choice: ImageChoice): Promise<BlockDevice> {
  const { path, readOnly } = choice
  try {
    const file = await open(path, (readOnly ? constants.O_RDONLY : constants.O_RDWR) | NONBLOCK)
    let lock: ImageLock | null = null
    try {
      const stats = await file.stat({ bigint: true })
      if (!stats.isFile() && !stats.isBlockDevice())
        throw new AppError('invalid-input', `“${path}” is neither a regular file nor a block device. Choose a disk image.`, {
          subject: path,
        })
      lock = await lockImage(path, `${stats.dev}:${stats.ino}`, readOnly ? 'read' : 'write', stats.isFile())
      // Measured under the lock: until then another owner may have changed it.
      const size = stats.isFile() ? Number((await file.stat({ bigint: true })).size) : await blockDeviceSize(file)
      if (size === 0)
        throw new AppError('corrupt', `The disk image “${path}” is empty (0 bytes). Choose another image, or make it again.`, {
          subject: path,
        })
      return withLock(rawDevice(byteFile(file, path, size, readOnly)), lock)
    } catch (error) {
      await lock?.release()
      await file.close()
      throw error
    }
  } catch (error) {
    throw asAppError(error, `Opening the disk image “${path}”`)
  }
}

function withLock(device: BlockDevice, lock: ImageLock): BlockDevice {
  return { ...device, close: () => device.close().finally(() => lock.release()) }
}
