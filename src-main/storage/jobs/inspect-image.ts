/** What an image is, and what it rests on. */
import { stat } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { ImageFileInfo, ImageInfo } from '../../../src-shared/model/image-info.ts'
import { isNetworkAddress } from '../../../src-shared/model/network-disk.ts'
import { roomOf } from '../../files/room.ts'
import { findBacking } from '../chain/find-backing.ts'
import type { NamedBacking } from '../disk-image.ts'
import { openUnlocked } from '../file/open-unlocked.ts'
import { MAX_LAYERS, openLayer, openOver } from '../open-image.ts'
import { known, type ChosenImage } from './chosen-image.ts'

/**
 * @param inUse somebody may be writing it, and has it locked
 * @throws AppError where the image itself cannot be opened; what is wrong below it stands in `problem`
 */
export async function inspectImage(choice: ChosenImage, inUse = false): Promise<ImageInfo> {
  const image = await known(choice)
  const { info, backing } = await inspectLayer(image.path, image.format, inUse)
  const layers: ImageFileInfo[] = []
  const seen = new Set([info.path])
  let problem: string | null = null
  try {
    for (let next = backing, above = info.path; next !== null;) {
      const path = await findBacking(above, next.path, image.folders)
      if (seen.has(path)) throw new AppError('corrupt', `The disk image “${path}” rests on itself.`)
      if (layers.length === MAX_LAYERS)
        throw new AppError('corrupt', `The disk image “${info.path}” rests on more than ${MAX_LAYERS} others.`)
      seen.add(path)
      const { format } = await known({ path, format: next.format, folders: [] })
      const layer = await inspectLayer(path, format, inUse)
      layers.push(layer.info)
      next = layer.backing
      above = path
    }
  } catch (error) {
    problem = asAppError(error).message
  }
  return { ...info, layers, problem }
}

async function inspectLayer(
  path: string,
  format: DiskFormat,
  inUse: boolean,
): Promise<{ info: ImageFileInfo; backing: NamedBacking | null }> {
  const choice = { path, format, readOnly: true }
  const layer = await (inUse ? openOver(choice, async () => null, openUnlocked) : openLayer(choice))
  try {
    const { backing, details } = layer
    // What its server keeps of a disk on the network is not known.
    const room = isNetworkAddress(path)
      ? { fileBytes: null, storedBytes: null }
      : await stat(path).then((stats) => ({ fileBytes: stats.size, storedBytes: roomOf(stats) }))
    const info: ImageFileInfo = {
      ...{ path, format, size: layer.info.size, details },
      ...{ ...room, backing: backing?.path ?? null },
    }
    return { info, backing }
  } finally {
    await layer.close()
  }
}
