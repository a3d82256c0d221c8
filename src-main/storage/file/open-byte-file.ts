/** A byte file over an open file of the system. */
import type { FileHandle } from 'node:fs/promises'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteFile } from './byte-file.ts'

/** Bytes: zeroes written at once where holes cannot be made. */
const ZEROES = new Uint8Array(1024 * 1024)

/** @param file owned from now on; @param size bytes, as measured under the image's lock */
export function byteFile(file: FileHandle, path: string, size: number, readOnly: boolean): ByteFile {
  let end = size
  let closing: Promise<void> | null = null
  const guarded = async <T>(doing: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      throw asAppError(error, `${doing} the disk image “${path}”`)
    }
  }
  const writeAll = async (offset: number, bytes: Uint8Array): Promise<void> => {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
      done += bytesWritten
      end = Math.max(end, offset + done)
    }
  }
  return {
    path,
    readOnly,
    get size() {
      return end
    },
    read: (offset, into) =>
      guarded('Reading', async () => {
        for (let have = 0; have < into.length;) {
          const { bytesRead } = await file.read(into, have, into.length - have, offset + have)
          if (bytesRead === 0) {
            into.fill(0, have)
            return
          }
          have += bytesRead
        }
      }),
    write: (offset, bytes) => guarded('Writing', () => writeAll(offset, bytes)),
    truncate: (to) =>
      guarded('Resizing', async () => {
        await file.truncate(to)
        end = to
      }),
    zero: (offset, length) =>
      guarded('Writing', async () => {
        for (let at = 0; at < length; at += ZEROES.length)
          await writeAll(offset + at, ZEROES.subarray(0, Math.min(ZEROES.length, length - at)))
      }),
    nextData: async (offset) => (offset < end ? { start: offset, end } : null),
    // fdatasync also writes the metadata that is needed to find the data again (POSIX.1-2017): sizes and extents.
    sync: () => guarded('Flushing', () => file.datasync()),
    close: () => (closing ??= guarded('Closing', () => file.close())),
  }
}
