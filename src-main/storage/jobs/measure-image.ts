/** What an image's files take, looked at without their locks: also while a machine writes them, and without a start finding them in use. */
import { realpath, stat } from 'node:fs/promises'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { ImageMeasure } from '../../../src-shared/model/image-info.ts'
import { roomOf } from '../../files/room.ts'
import { filesBelow } from '../chain/rests-on.ts'
import { openUnlocked } from '../file/open-unlocked.ts'
import { openOver } from '../open-image.ts'

/**
 * @param path of a file; @param format as the machine declares it
 * @throws AppError where the image itself cannot be looked at
 */
export async function measureImage(path: string, format: DiskFormat): Promise<ImageMeasure> {
  try {
    const image = await openOver({ path: await realpath(path), format, readOnly: true }, async () => null, openUnlocked)
    try {
      const { size } = image.info
      const below = await Promise.all((await filesBelow(path, format)).map((file) => stat(file).then(roomOf, () => 0)))
      return {
        size,
        storedBytes: roomOf(await stat(path)),
        belowBytes: below.reduce((sum, bytes) => sum + bytes, 0),
        resizable: image.resize !== undefined,
      }
    } finally {
      await image.close()
    }
  } catch (error) {
    throw asAppError(error, `Looking at the disk image “${path}”`)
  }
}
