/**
 * Copies an image so that the copy takes no more room than the original. Theory of operation: where the file system can share extents (btrfs,
 * XFS, APFS, ReFS) the copy is a reflink, made in no time. It is forced (COPYFILE_FICLONE_FORCE): the unforced flag falls back to a plain copy,
 * which writes out every hole. Elsewhere blocks of zeroes are not written and so become holes. (Node has no SEEK_HOLE: holes of the original
 * are read, as zeroes, from no disk.)
 */
import { constants } from 'node:fs'
import { chmod, copyFile, lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { lockImage } from '../lock/image-lock.ts'

/** Bytes: what is read at once. */
const CHUNK = 1024 * 1024
/** Bytes: the grain of holes. */
const BLOCK = 64 * 1024
/** ms between two reports of progress. */
const PROGRESS_INTERVAL = 100
const NONBLOCK = constants.O_NONBLOCK ?? 0
const ZEROES = new Uint8Array(BLOCK)

export interface CopyOptions {
  signal: AbortSignal
  /** Bytes; at most ten times a second, and once at the end. */
  onProgress(done: number, total: number): void
}

/**
 * The target appears under its name when it is whole and on disk, or not at all.
 * @returns bytes of the file
 * @throws AppError `already-exists`, `busy` (a machine writes the original), `no-space`, `cancelled`, or the system's reason; the temporary file
 *   then is removed
 */
export async function copyImage(from: string, to: string, options: CopyOptions): Promise<{ bytes: number }> {
  const temporary = join(dirname(to), `.${basename(to).slice(0, 100)}.${crypto.randomUUID().slice(0, 8)}.coppice-tmp`)
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
        if (!(await reflink(from, temporary))) await sparseCopy(source, temporary, bytes, options)
        await finish(temporary, Number(stats.mode))
        options.signal.throwIfAborted()
        await rename(temporary, to)
        await syncFolder(dirname(to))
        options.onProgress(bytes, bytes)
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

async function sparseCopy(source: FileHandle, to: string, total: number, { signal, onProgress }: CopyOptions): Promise<void> {
  const target = await open(to, 'wx', 0o600)
  try {
    await target.truncate(total)
    const chunk = new Uint8Array(CHUNK)
    let toldAt = -Infinity
    for (let at = 0; at < total;) {
      signal.throwIfAborted()
      const { bytesRead } = await source.read(chunk, 0, CHUNK, at)
      if (bytesRead === 0) throw new AppError('io', 'The image became shorter while it was copied. Try again when nothing changes it.')
      for (const [start, end] of dataRuns(chunk.subarray(0, bytesRead))) await writeAll(target, chunk.subarray(start, end), at + start)
      at += bytesRead
      if (performance.now() - toldAt >= PROGRESS_INTERVAL) {
        toldAt = performance.now()
        onProgress(Math.min(at, total), total)
      }
    }
    await target.truncate(total) // also where the original grew meanwhile
  } finally {
    await target.close()
  }
}

/** The parts of `bytes` that are not zero, in whole blocks: [start, end) each, neighbours joined. */
export function dataRuns(bytes: Uint8Array): [number, number][] {
  const runs: [number, number][] = []
  for (let start = 0; start < bytes.length; start += BLOCK) {
    const end = Math.min(start + BLOCK, bytes.length)
    if (Buffer.compare(bytes.subarray(start, end), ZEROES.subarray(0, end - start)) === 0) continue
    const last = runs.at(-1)
    if (last && last[1] === start) last[1] = end
    else runs.push([start, end])
  }
  return runs
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

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, constants.O_RDONLY)
  try {
    await handle.sync()
  } catch {
    // Some network file systems cannot; the rename stands all the same.
  } finally {
    await handle.close()
  }
}
