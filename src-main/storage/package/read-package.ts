/** Looking into packages of machines without unpacking them: what an archive has, short texts, digests. */
import { createHash } from 'node:crypto'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ArchiveMember, FilePart } from '../../../src-shared/threads/storage-thread.ts'
import { listTar } from '../../archive/tar-index.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { progressOf, type JobOptions } from '../jobs/job-progress.ts'
import { nameOf, openPart } from './file-part.ts'

/** Bytes read at once. */
const CHUNK = 1024 * 1024
/** Bytes of what is read as a whole. */
export const MAX_TEXT = 8 * 1024 * 1024

/** @throws AppError `corrupt` for what is no tar archive or a damaged one, `unsupported` past a limit, `cancelled` */
export async function listArchive(path: string, signal: AbortSignal): Promise<ArchiveMember[]> {
  const part = { path, range: null }
  return withPart(part, 'Reading', async (file) => {
    const members = await listTar(file.size, (offset, length) => {
      signal.throwIfAborted()
      return readAt(file, offset, length)
    })
    return members.map(({ name, type, offset, size, mtime }) => ({ name, type, offset, size, modified: mtime }))
  })
}

/** @throws AppError `unsupported` for more than `limit` bytes */
export async function readPart(part: FilePart, limit: number): Promise<Uint8Array> {
  return withPart(part, 'Reading', async (file) => {
    const most = Math.min(limit, MAX_TEXT)
    if (file.size > most)
      throw new AppError('unsupported', `“${nameOf(part)}” has ${file.size} bytes; at most ${most} are read.`, { subject: part.path })
    return readAt(file, 0, file.size)
  })
}

/** @returns lower-case hexadecimal digits */
export async function digestPart(part: FilePart, kind: 'sha1' | 'sha256' | 'sha512', options: JobOptions): Promise<string> {
  return withPart(part, 'Checking', async (file) => {
    const hash = createHash(kind)
    const progress = progressOf(file.size, options)
    for (let at = 0; at < file.size; at += CHUNK) {
      progress(at)
      hash.update(await readAt(file, at, Math.min(CHUNK, file.size - at)))
    }
    progress(file.size)
    return hash.digest('hex')
  })
}

async function withPart<T>(part: FilePart, doing: string, work: (file: ByteFile) => Promise<T>): Promise<T> {
  try {
    const file = await openPart(part)
    try {
      return await work(file)
    } finally {
      await file.close()
    }
  } catch (error) {
    throw asAppError(error, `${doing} “${nameOf(part)}”`)
  }
}

async function readAt(file: ByteFile, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  await file.read(offset, bytes)
  return bytes
}
