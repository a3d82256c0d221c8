/** Which file an image means by the name of its backing, and whether that file may be opened. */
import { realpath } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'

/**
 * Images come from anywhere, and what they name is opened on their word: a backing that lies outside of the folders meant for that would bring files of
 * this computer into the guest.
 * @param from the image that names it; @param name as the image has it; @param folders absolute; what lies in them may be opened
 * @returns the file's real path
 * @throws AppError `denied` (outside of the folders), `unsupported` (not a file), `not-found`
 */
export async function findBacking(from: string, name: string, folders: readonly string[]): Promise<string> {
  // "nbd://…", "json:{…}": QEMU's other ways to name a disk. A letter alone is a drive of Windows.
  if (/^[a-z][a-z0-9+.-]+:/i.test(name))
    throw new AppError(
      'unsupported',
      `The disk image “${from}” rests on “${name}”, which is not a file. Copy what it names into a file, and rebase the image onto that.`,
      { subject: from },
    )
  try {
    const real = await realpath(resolve(dirname(await realpath(from)), name))
    for (const folder of folders) if (isInside(real, await realpath(folder))) return real
    throw new AppError(
      'denied',
      `The disk image “${from}” rests on “${real}”, which lies outside of the folders that it may use. Move the two into one folder, or name the other’s folder if you trust the image.`,
      { subject: from },
    )
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new AppError(
        'not-found',
        `The disk image “${from}” rests on “${name}”, which is not there. Put it back; without it the image is incomplete.`,
        { subject: from },
      )
    throw asAppError(error, `Looking for what the disk image “${from}” rests on`)
  }
}

/**
 * Whether an image means a file by the name of its backing. Opens nothing.
 * @param from real path of the image; @param name as the image has it; @param file real path, of a file that may be gone
 */
export async function restsOn(from: string, name: string, file: string): Promise<boolean> {
  const named = resolve(dirname(from), name)
  return named === file || (await realpath(named).catch(() => named)) === file
}

/** How an image at `path` names one that it rests on: relative where that lies in its folder or below, which may be moved as a whole. Both absolute. */
export function backingNameFor(path: string, backing: string): string {
  return isInside(backing, dirname(path)) ? relative(dirname(path), backing).split(sep).join('/') : backing
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path)
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}
