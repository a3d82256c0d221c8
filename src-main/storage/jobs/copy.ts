/**
 * Copies an image so that the copy takes no more room than the original. Theory of operation: where the file system can share extents (btrfs,
 * XFS, APFS, ReFS) the copy is a reflink, made in no time. It is forced (COPYFILE_FICLONE_FORCE): the unforced flag falls back to a plain copy,
 * which writes out every hole. Elsewhere only what the original stores is read, and of that, blocks of zeroes are not written and so become holes.
 */
import { constants } from 'node:fs'
import { chmod, copyFile, lstat, open, unlink, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { takeName, temporaryFor } from '../../files/write-file-atomic.ts'
import type { Holes, Run } from '../file/holes/holes.ts'
import { openHoles } from '../file/holes/open-holes.ts'
import { lockImage } from '../lock/image-lock.ts'
import { progressOf, type JobOptions } from './job-progress.ts'
import { runsOf } from './pour.ts'

/** Bytes: what is read at once. */
const CHUNK = 1024 * 1024
/** Bytes: the grain of holes. */
const BLOCK = 64 * 1024
const NONBLOCK = constants.O_NONBLOCK ?? 0

/**
 * The target appears under its name when it is whole and on disk, or not at all.
 * @param options told of the bytes that the original stores (holes cost nothing)
 * @returns bytes of the file
 * @throws AppError `already-exists`, `busy` (a machine writes the original), `no-space`, `cancelled`, or the system's reason; the temporary file
 *   then is removed
 */
export async function copyImage(from: string, to: string, options: JobOptions): Promise<{ bytes: number }> {
  const temporary = temporaryFor(to)
  try {
    if (await lstat(to).catch(() => null)) throw new AppError('already-exists', `There already is something at “${to}”.`, { subject: to })
    const source = await open(from, constants.O_RDONLY | NONBLOCK)
    try {
      const stats = await source.stat({ bigint: true })
      if (!stats.isFile()) throw new AppError('invalid-input', `“${from}” is not a regular file. Choose a disk image.`, { subject: from })
      const lock = await lockImage(from, `${stats.dev}:${stats.ino}`, 'read', true)
      try {
        const bytes = Number((await source.stat()).size)
        options.signal.throwIfAborted()
        const copied = (await reflink(from, temporary)) ? bytes : await sparseCopy({ file: source, path: from }, temporary, bytes, options)
        await finish(temporary, Number(stats.mode))
        options.signal.throwIfAborted()
        await takeName(temporary, to)
        options.onProgress(copied, copied)
        return { bytes }
      } finally {
        await lock.release()
      }
    } finally {
      await source.close()
    }
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw asAppError(error, `Copying “${basename(from)}”`)
  }
}

async function reflink(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE)
    return true
  } catch {
    // Not on this file system, or not between these two. What there is of the target is written anew.
    await unlink(to).catch(() => {})
    return false
  }
}

/** @returns bytes of data */
async function sparseCopy(source: Opened, to: string, size: number, options: JobOptions): Promise<number> {
  const target: Opened = { file: await open(to, 'wx', 0o600), path: to }
  try {
    const original = await openHoles({ ...source, readOnly: true })
    try {
      await makeRoom(target, size)
      const stored = await storedBytes(original, size, options.signal)
      const progress = progressOf(stored, options)
      let done = 0
      const copied = (bytes: number): void => progress((done += bytes))
      for (let run = await next(original, 0, size); run; run = await next(original, run.end, size))
        await copyRun(source.file, target.file, run, copied)
      if ((await source.file.stat()).size < size) throw shorter()
      return stored
    } finally {
      await original.close()
    }
  } finally {
    await target.file.close()
  }
}

interface Opened {
  file: FileHandle
  path: string
}

/** The whole target is a hole. */
async function makeRoom(target: Opened, size: number): Promise<void> {
  const holes = await openHoles({ ...target, readOnly: false })
  try {
    await holes.allow()
    await target.file.truncate(size)
  } finally {
    await holes.close()
  }
}

const next = (holes: Holes, at: number, end: number): Promise<Run | null> => (at < end ? holes.nextData(at, end) : Promise.resolve(null))

async function storedBytes(holes: Holes, size: number, signal: AbortSignal): Promise<number> {
  let bytes = 0
  for (let run = await next(holes, 0, size); run; run = await next(holes, run.end, size)) {
    signal.throwIfAborted()
    bytes += run.end - run.start
  }
  return bytes
}

async function copyRun(source: FileHandle, target: FileHandle, run: Run, copied: (bytes: number) => void): Promise<void> {
  const chunk = new Uint8Array(Math.min(CHUNK, run.end - run.start))
  for (let at = run.start; at < run.end;) {
    const { bytesRead } = await source.read(chunk, 0, Math.min(chunk.length, run.end - at), at)
    if (bytesRead === 0) throw shorter()
    for (const [start, end, zero] of runsOf(chunk.subarray(0, bytesRead), BLOCK))
      if (!zero) await writeAll(target, chunk.subarray(start, end), at + start)
    at += bytesRead
    copied(bytesRead)
  }
}

function shorter(): AppError {
  return new AppError('io', 'The image became shorter while it was copied. Try again when nothing changes it.')
}

async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length;) done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten
}

/** The copy of a read-only original belongs to a machine, which must be able to write it. */
async function finish(path: string, mode: number): Promise<void> {
  await chmod(path, (mode & 0o777) | 0o600)
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
