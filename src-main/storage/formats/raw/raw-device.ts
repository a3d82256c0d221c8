/** The raw format: byte N of the file is byte N of the disk. */
import type { FileHandle } from 'node:fs/promises'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockInfo } from '../../../../src-shared/threads/block-port.ts'
import type { BlockDevice } from '../../block-device.ts'

/** Bytes; what the guest's drivers count in. */
export const SECTOR = 512

/**
 * A raw image over an open file, which the device owns from now on. A file whose size is no multiple of a sector reads as if zeroes followed up to
 * the next one (images of CDs and floppies are often cut so); writing there lets the file grow.
 * @param name for sentences: the image's path
 * @param fileSize bytes
 */
export function rawDevice(file: FileHandle, name: string, fileSize: number, readOnly: boolean): BlockDevice {
  const info: BlockInfo = { size: Math.ceil(fileSize / SECTOR) * SECTOR, readOnly, format: 'raw' }
  let closing: Promise<void> | null = null

  const check = (offset: number, length: number): void => {
    if (closing) throw new AppError('disconnected', `The disk image “${name}” is closed.`)
    if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > info.size)
      throw new AppError(
        'invalid-input',
        `A request for ${length} bytes at ${offset} lies outside of the disk “${name}” (${info.size} bytes).`,
      )
  }
  const guarded = async <T>(doing: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      throw asAppError(error, `${doing} the disk image “${name}”`)
    }
  }

  return {
    info,
    async read(offset, length) {
      check(offset, length)
      const bytes = new Uint8Array(length)
      await guarded('Reading', async () => {
        for (let have = 0; have < length;) {
          const { bytesRead } = await file.read(bytes, have, length - have, offset + have)
          if (bytesRead === 0) break // past the file's end: the rest stays zero
          have += bytesRead
        }
      })
      return bytes
    },
    async write(offset, bytes) {
      if (readOnly) throw new AppError('denied', `The disk image “${name}” is open for reading only.`)
      check(offset, bytes.length)
      await guarded('Writing', async () => {
        for (let done = 0; done < bytes.length;) {
          const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
          done += bytesWritten
        }
      })
    },
    async flush() {
      check(0, 0)
      // fdatasync also writes the metadata that is needed to find the data again (POSIX.1-2017): sizes and extents.
      if (!readOnly) await guarded('Flushing', () => file.datasync())
    },
    close() {
      closing ??= guarded('Closing', async () => {
        try {
          if (!readOnly) await file.datasync()
        } finally {
          await file.close()
        }
      })
      return closing
    },
  }
}
