/** A look through all metadata of an image. */
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ImageCheck } from '../../../src-shared/model/image-info.ts'
import { openLocked } from '../file/open-locked.ts'
import { FORMATS } from '../formats/formats.ts'
import { openLayer } from '../open-image.ts'
import { known, type ChosenImage } from './chosen-image.ts'
import type { JobOptions } from './job-progress.ts'

/**
 * Images that are too damaged to be opened are looked through as well.
 * @returns null where the format has nothing to look through; then it was opened, which is all that can be tried
 * @throws AppError as openImage, or where the damage is beyond that
 */
export async function checkImage(choice: ChosenImage, repair: boolean, options: JobOptions): Promise<ImageCheck | null> {
  try {
    const { path, format } = await known(choice)
    const check = FORMATS[format]?.check
    if (!check) {
      await (await openLayer({ path, format, readOnly: true })).close()
      return null
    }
    const { file } = await openLocked(path, !repair)
    try {
      return await check(file, { repair, ...options })
    } finally {
      await file.close()
    }
  } catch (error) {
    throw asAppError(error, `Checking “${choice.path}”`)
  }
}
