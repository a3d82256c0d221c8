/** The planner's thin edge: finds out the facts of files. Reads a few bytes of each, never a whole file. */
import { constants } from 'node:fs'
import { access, open, type FileHandle } from 'node:fs/promises'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { isNetworkAddress } from '../../../src-shared/model/network-disk.ts'
import { resolveInBundle } from '../library/bundle.ts'
import { CD_SECTOR, GZIP_SIZE, gzipUnpackedBytes, isoVolumeBytes, type FileFact } from './file-fact.ts'
import { elfProgram, hasPvhEntry, isBzImage, isWideBzImage, KERNEL_HEAD, MAX_NOTES } from './linux-kernel.ts'

const NOTHING: Omit<FileFact, 'kind' | 'path'> = {
  bytes: 0,
  modified: 0,
  inode: 0,
  writable: false,
  volumeBytes: null,
  linuxKernel: null,
  kernel64: false,
  unpackedBytes: null,
}

/** Never rejects: what is wrong is the fact. */
export async function fileFact(bundle: string, path: string): Promise<FileFact> {
  if (isNetworkAddress(path)) return { ...NOTHING, kind: 'network', path }
  let absolute = path
  let file: FileHandle | null = null
  try {
    absolute = await resolveInBundle(bundle, path)
    // Without O_NONBLOCK, opening a named pipe would wait for a writer for ever.
    file = await open(absolute, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    const stats = await file.stat()
    const writable = await access(absolute, constants.W_OK).then(
      () => true,
      () => false,
    )
    if (!stats.isFile()) return { ...NOTHING, kind: stats.isDirectory() ? 'folder' : 'special', path: absolute, writable }
    const head = await readAt(file, 0, KERNEL_HEAD)
    return {
      kind: 'file',
      path: absolute,
      bytes: stats.size,
      modified: stats.mtimeMs,
      inode: stats.ino,
      writable,
      volumeBytes: isoVolumeBytes(await readAt(file, 16 * CD_SECTOR, CD_SECTOR)),
      ...(await kernelFact(file, head)),
      unpackedBytes: gzipUnpackedBytes(head, await readAt(file, Math.max(0, stats.size - GZIP_SIZE), GZIP_SIZE), stats.size),
    }
  } catch (error) {
    return { ...NOTHING, ...failure(error), path: absolute }
  } finally {
    await file?.close()
  }
}

export async function fileFacts(bundle: string, paths: readonly string[]): Promise<Map<string, FileFact>> {
  const unique = [...new Set(paths)]
  return new Map(await Promise.all(unique.map(async (path) => [path, await fileFact(bundle, path)] as const)))
}

async function kernelFact(file: FileHandle, head: Uint8Array): Promise<Pick<FileFact, 'linuxKernel' | 'kernel64'>> {
  if (isBzImage(head)) return { linuxKernel: 'bzimage', kernel64: isWideBzImage(head) }
  const program = elfProgram(head)
  if (!program || program.notes.size > MAX_NOTES || !Number.isSafeInteger(program.notes.offset))
    return { linuxKernel: null, kernel64: false }
  const pvh = hasPvhEntry(await readAt(file, program.notes.offset, program.notes.size))
  return { linuxKernel: pvh ? 'pvh' : null, kernel64: pvh && program.wide }
}

function failure(error: unknown): Pick<FileFact, 'kind' | 'reason'> {
  if (error instanceof AppError) return { kind: 'escapes' }
  const { code = 'unknown error' } = error as NodeJS.ErrnoException
  if (code === 'EACCES' || code === 'EPERM') return { kind: 'denied' }
  if (code === 'EISDIR') return { kind: 'folder' }
  if (code === 'ENOENT' || code === 'ENOTDIR') return { kind: 'missing' }
  return { kind: 'unreadable', reason: REASONS[code] ?? `the system said ${code}` }
}

const REASONS: Record<string, string> = {
  EIO: 'the disk that it is on reported an error',
  ELOOP: 'its path leads through links in a circle',
  ENAMETOOLONG: 'its path is too long for this file system',
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  const { bytesRead } = await file.read(bytes, 0, length, position)
  return bytes.subarray(0, bytesRead)
}
