import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../file/byte-file.ts'

/**
 * A part of a file as a file of its own, of a fixed size: the flat data of a fixed VHD, or of a VMDK's extent. Closing it closes the file.
 * @param offset bytes; @param size bytes; past the file's end it reads as zeroes
 */
export function fileWindow(file: ByteFile, offset: number, size: number): ByteFile {
  return {
    path: file.path,
    readOnly: file.readOnly,
    size,
    read: (at, into) => file.read(offset + at, into),
    write: (at, bytes) => file.write(offset + at, bytes),
    truncate: () => Promise.reject(new AppError('unsupported', `The data in “${file.path}” cannot change its size.`)),
    zero: (at, length) => file.zero(offset + at, length),
    discard: async (at, length) => file.discard?.(offset + at, length),
    async nextData(at) {
      const run = await file.nextData(offset + at)
      if (!run || run.start >= offset + size) return null
      return { start: run.start - offset, end: Math.min(run.end - offset, size) }
    },
    sync: () => file.sync(),
    close: () => file.close(),
  }
}
