/** A byte file over an open file of the system. */
import { readSync, writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { AtOnce } from './at-once.ts'
import type { ByteFile } from './byte-file.ts'
import type { Holes } from './holes/holes.ts'
import { openHoles } from './holes/open-holes.ts'
import { isNear } from './near.ts'

/** Bytes: zeroes written at once where holes cannot be made. */
const ZEROES = new Uint8Array(1024 * 1024)

/** @param file owned from now on; @param size bytes, as measured under the image's lock */
export function byteFile(file: FileHandle, path: string, size: number, readOnly: boolean): ByteFile {
  let end = size
  let holes: Promise<Holes> | null = null
  const reads = new AtOnce()
  const writes = new AtOnce()
  const seeks = new AtOnce()
  void isNear(path).then((near) => {
    if (near) for (const each of [reads, writes, seeks]) each.begin()
  })
  /** Work on holes that is under way: the system is given the file's number, which after `close` may be another file's. */
  const underWay = new Set<Promise<unknown>>()
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
      const [at, left] = [done, bytes.length - done]
      done += writes.allows(left)
        ? writes.run(() => writeSync(file.fd, bytes, at, left, offset + at))
        : (await file.write(bytes, at, left, offset + at)).bytesWritten
      end = Math.max(end, offset + done)
    }
  }
  const withHoles = async <T>(run: (holes: Holes) => Promise<T>): Promise<T> => {
    if (closing) throw new AppError('disconnected', `The disk image “${path}” is closed.`, { subject: path })
    holes ??= openHoles({ file, path, readOnly, seeks })
    const work = holes.then(run)
    underWay.add(work)
    try {
      return await work
    } finally {
      underWay.delete(work)
    }
  }
  const writeZeroes = async (start: number, stop: number): Promise<void> => {
    for (let at = start; at < stop; at += ZEROES.length) await writeAll(at, ZEROES.subarray(0, Math.min(ZEROES.length, stop - at)))
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
          const [at, left] = [have, into.length - have]
          const bytesRead = reads.allows(left)
            ? reads.run(() => readSync(file.fd, into, at, left, offset + at))
            : (await file.read(into, at, left, offset + at)).bytesRead
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
        // Elsewhere what a file grows by is a hole by itself.
        if (to > end && process.platform === 'win32') await withHoles((its) => its.allow())
        await file.truncate(to)
        end = to
      }),
    zero: (offset, length) =>
      guarded('Writing', async () => {
        const stop = Math.min(offset + length, end)
        if (offset >= stop) return
        const hole = (await withHoles((its) => its.punch(offset, stop))) ?? { start: stop, end: stop }
        await writeZeroes(offset, hole.start)
        await writeZeroes(hole.end, stop)
      }),
    discard: (offset, length) =>
      guarded('Writing', async () => {
        const stop = Math.min(offset + length, end)
        if (offset < stop) await withHoles((its) => its.punch(offset, stop))
      }),
    nextData: (offset) => guarded('Reading', async () => (offset < end ? withHoles((its) => its.nextData(offset, end)) : null)),
    // fdatasync also writes the metadata that is needed to find the data again (POSIX.1-2017): sizes and extents. On macOS libuv asks for F_FULLFSYNC
    // here (src/unix/fs.c, uv__fs_fsync), which empties the drive's own cache too.
    sync: () => guarded('Flushing', () => file.datasync()),
    close: () =>
      (closing ??= guarded('Closing', async () => {
        await Promise.allSettled(underWay)
        await (await holes)?.close()
        await file.close()
      })),
  }
}
