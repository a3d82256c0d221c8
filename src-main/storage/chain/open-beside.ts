/** Opens a file that an image names as a part of itself: only from the folder that the image is in. */
import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { openLocked } from '../file/open-locked.ts'

/**
 * A name may be a link, and a link may lead anywhere: the file itself has to be in the folder.
 * @param image the path of the image; @param name without a path, which the caller has seen to
 * @returns the file, locked until it is closed
 * @throws AppError `denied` (a link that leads elsewhere), `not-found`, `busy`, or what else openLocked throws
 */
export async function openBeside(image: string, name: string, readOnly: boolean): Promise<ByteFile> {
  const real = await inFolder(image, name)
  return (await openLocked(real, readOnly)).file
}

async function inFolder(image: string, name: string): Promise<string> {
  try {
    const folder = dirname(await realpath(image))
    const real = await realpath(join(folder, name))
    if (dirname(real) === folder) return real
    throw new AppError(
      'denied',
      `The disk image “${image}” has a part “${name}” that is a link to “${real}”, in another folder. Move the file itself beside the image.`,
      { subject: image },
    )
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new AppError('not-found', `The disk image “${image}” has a part “${name}” that is not there. Put it beside the image.`, {
        subject: image,
      })
    throw asAppError(error, `Looking for the parts of the disk image “${image}”`)
  }
}
