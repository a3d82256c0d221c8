/**
 * The per-user folder where a library's host has its socket and its claim: `<runtime>/coppice/<short id>/`. Private to the user, because
 * whoever can connect owns the library's machines.
 */
import { createHash } from 'node:crypto'
import { realpath } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import { privateFolder, type RuntimePlaces } from '../../process/private-folder.ts'

/** The longest name that is put into the folder as a socket: "host-" and eight digits and ".sock". */
const SOCKET_NAME_BYTES = 20

/** Twelve hexadecimal digits that stand for a library's real path. */
export function libraryId(realPath: string, platform: NodeJS.Platform = process.platform): string {
  // Paths of Windows and macOS do not tell case apart.
  const key = platform === 'win32' || platform === 'darwin' ? realPath.toLowerCase() : realPath
  return createHash('sha256').update(key).digest('hex').slice(0, 12)
}

/** `path` with its links resolved as far as it exists: a library has the same id before and after it is made. */
export async function realLibraryPath(path: string): Promise<string> {
  const wanted = resolve(path)
  try {
    return await realpath(wanted)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    const parent = dirname(wanted)
    if (code !== 'ENOENT' || parent === wanted) throw asAppError(error, 'Opening the library')
    return join(await realLibraryPath(parent), basename(wanted))
  }
}

/**
 * Makes and checks the folder for a library's host.
 * @throws AppError `denied` where the place belongs to somebody else or is open to others, `io`, `unavailable`
 */
export async function runtimeFolderFor(library: string, places: RuntimePlaces = {}): Promise<string> {
  return privateFolder(libraryId(await realLibraryPath(library), places.platform), SOCKET_NAME_BYTES, places)
}
