/** A file that somebody brought, or a part of one: a member of an archive that is not compressed is used where it is. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { FilePart } from '../../../src-shared/threads/storage-thread.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { byteFile } from '../file/open-byte-file.ts'
import { openLocked } from '../file/open-locked.ts'
import { fileWindow } from '../formats/blocks/file-window.ts'

/** Without it, opening a named pipe would wait for its other end for ever. Absent on Windows. */
const NONBLOCK = constants.O_NONBLOCK ?? 0

/** What a part is called in sentences: the file, and the member of it. */
export function nameOf({ path, range }: FilePart): string {
  return range === null ? path : `${path} (${range.name})`
}

/**
 * For reading what is no disk image: nobody is kept from writing it meanwhile.
 * @throws AppError `not-found`, `denied`, `invalid-input` (not a regular file), `corrupt` (a part that is not inside of the file)
 */
export async function openPart(part: FilePart): Promise<ByteFile> {
  const { path } = part
  try {
    const handle = await open(path, constants.O_RDONLY | NONBLOCK)
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) throw new AppError('invalid-input', `“${path}” is not a regular file.`, { subject: path })
      return within(byteFile(handle, path, stats.size, true), part)
    } catch (error) {
      await handle.close()
      throw error
    }
  } catch (error) {
    throw asAppError(error, `Opening “${path}”`)
  }
}

/** For reading a disk image: nobody writes it meanwhile. `identity`: the same for every path to the same bytes. @throws AppError as openLocked */
export async function openImagePart(part: FilePart): Promise<{ file: ByteFile; identity: string }> {
  const { file, identity } = await openLocked(part.path, true)
  try {
    return { file: within(file, part), identity: part.range === null ? identity : `${identity}:${part.range.offset}` }
  } catch (error) {
    await file.close()
    throw error
  }
}

function within(file: ByteFile, part: FilePart): ByteFile {
  const { range } = part
  if (range === null) return file
  if (range.offset + range.length > file.size)
    throw new AppError('corrupt', `“${part.path}” ends too early, inside “${range.name}”. Copy or download it again.`, {
      subject: part.path,
    })
  const window = fileWindow(file, range.offset, range.length)
  return { ...window, path: nameOf(part), size: range.length }
}
