/** Puts members of an archive into a folder that is being made. Where each goes is decided by the caller, who has looked at their names. */
import { open, utimes } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { UnpackedFile } from '../../../src-shared/threads/storage-thread.ts'
import { syncFolder } from '../../files/write-file-atomic.ts'
import { byteFile } from '../file/open-byte-file.ts'
import { progressOf, type JobOptions } from '../jobs/job-progress.ts'
import { runsOf } from '../jobs/pour.ts'
import { openPart } from './file-part.ts'

/** Bytes read at once. */
const CHUNK = 1024 * 1024
/** Bytes: zeroes are looked for in runs of so many. */
const GRAIN = 64 * 1024
const PRIVATE_MODE = 0o600

/**
 * Into folders that are there: one that its owner has removed meanwhile is not made again. Every file is on disk when this resolves; blocks of zeroes become holes. Nothing that is there is replaced or followed.
 * @throws AppError `already-exists`, `corrupt`, `no-space`, `cancelled`, or the system's reason; what was written stays, for the caller to remove
 */
export async function unpackArchive(path: string, files: readonly UnpackedFile[], options: JobOptions): Promise<void> {
  const progress = progressOf(
    files.reduce((sum, { length }) => sum + length, 0),
    options,
  )
  const folders = new Set<string>()
  let before = 0
  try {
    for (const file of files) {
      await unpackFile(path, file, (done) => progress(before + done))
      before += file.length
      folders.add(dirname(file.to))
    }
    for (const folder of folders) await syncFolder(folder)
  } catch (error) {
    throw asAppError(error, `Unpacking “${path}”`)
  }
}

async function unpackFile(
  path: string,
  { name, offset, length, to, modified }: UnpackedFile,
  progress: (done: number) => void,
): Promise<void> {
  const source = await openPart({ path, range: { name, offset, length } })
  try {
    const handle = await open(to, 'wx', PRIVATE_MODE).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      throw new AppError('already-exists', `The archive has “${name}” twice, or by names that are one here.`, { subject: path })
    })
    const target = byteFile(handle, to, 0, false)
    try {
      await target.truncate(length)
      const buffer = new Uint8Array(Math.min(CHUNK, length))
      for (let run = await source.nextData(0); run && run.start < length; run = run.end < length ? await source.nextData(run.end) : null)
        for (let at = run.start; at < run.end; at += buffer.length) {
          const bytes = buffer.subarray(0, Math.min(buffer.length, run.end - at))
          await source.read(at, bytes)
          for (const [start, end, zero] of runsOf(bytes, GRAIN)) if (!zero) await target.write(at + start, bytes.subarray(start, end))
          progress(at + bytes.length)
        }
      await target.sync()
    } finally {
      await target.close()
    }
    await utimes(to, modified, modified)
  } finally {
    await source.close()
  }
}
