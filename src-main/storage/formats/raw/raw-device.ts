/** The raw format: byte N of the file is byte N of the disk. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockInfo } from '../../../../src-shared/threads/block-port.ts'
import type { DiskImage } from '../../disk-image.ts'
import { requestGuard } from '../../request-guard.ts'
import type { ByteFile } from '../../file/byte-file.ts'

/** Bytes; what the guest's drivers count in. */
export const SECTOR = 512

/**
 * A raw image over a file, which the device owns from now on. A file whose size is no multiple of a sector reads as if zeroes followed up to
 * the next one (images of CDs and floppies are often cut so); writing there lets the file grow.
 */
export function rawDevice(file: ByteFile): DiskImage {
  const info: BlockInfo = { size: Math.ceil(file.size / SECTOR) * SECTOR, readOnly: file.readOnly, format: 'raw' }
  const guard = requestGuard(info, file.path)
  let closing: Promise<void> | null = null
  return {
    info,
    backing: null,
    details: [],
    async read(offset, into) {
      guard.reading(offset, into.length)
      await file.read(offset, into)
    },
    async write(offset, bytes) {
      guard.writing(offset, bytes.length)
      await file.write(offset, bytes)
    },
    async writeZeroes(offset, length) {
      guard.writing(offset, length)
      await file.zero(offset, length)
    },
    async discard(offset, length) {
      guard.writing(offset, length)
      await file.discard?.(offset, length)
    },
    async resize(size) {
      guard.writing(0, 0)
      await file.truncate(size)
      await file.sync()
      info.size = size
    },
    async flush() {
      guard.open()
      if (!file.readOnly) await file.sync()
    },
    async extent(offset, length) {
      guard.reading(offset, length)
      if (length === 0) throw new AppError('invalid-input', 'An extent of no bytes was asked for.')
      const run = await file.nextData(offset)
      if (!run) return { length, state: 'zero' }
      return run.start > offset
        ? { length: Math.min(length, run.start - offset), state: 'zero' }
        : { length: Math.min(length, run.end - offset), state: 'data' }
    },
    close() {
      guard.end()
      closing ??= (async () => {
        try {
          if (!file.readOnly) await file.sync()
        } finally {
          await file.close()
        }
      })()
      return closing
    },
  }
}
