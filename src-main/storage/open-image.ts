/** The only way in to a disk image: every opener declares its format, is checked, and is locked; so is everything below it. */
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../src-shared/model/disk-format.ts'
import type { BlockDevice } from './block-device.ts'
import { findBacking } from './chain/find-backing.ts'
import { mergedLayers } from './chain/merged-layers.ts'
import { resolvedExtents } from './chain/resolved-extents.ts'
import type { DiskImage, NamedBacking } from './disk-image.ts'
import { openLocked } from './file/open-locked.ts'
import { FORMATS } from './formats/formats.ts'
import { recognise } from './formats/recognise.ts'

/** Layers below an image. Snapshots of a machine have some dozens; more are a mistake or malice. */
export const MAX_LAYERS = 256

export interface ImageChoice {
  path: string
  /** As the machine's config declares it; never probed. */
  format: DiskFormat
  readOnly: boolean
  /** Absolute: where the files may lie that the image rests on. None: an image that rests on another is refused. */
  folders?: readonly string[]
}

export type LayerChoice = Omit<ImageChoice, 'folders'>

/**
 * @returns an image that owns its open file and lock, and those of all layers below it; its extents are those of the whole disk
 * @throws AppError `not-found`, `denied`, `invalid-input` (neither a regular file nor a block device), `corrupt`, `unsupported`, `busy` (somebody else
 *   writes it, or reads what should be written), or the system's reason; of the image or of one that it rests on
 */
export async function openImage({ folders = [], ...choice }: ImageChoice): Promise<DiskImage> {
  let backing: BlockDevice | null = null
  const image = await openOver(
    choice,
    async (named, identity) => (backing = await openBelow(choice.path, named, folders, new Set([identity]))),
  )
  return resolvedExtents(image, backing)
}

/** An image without what it rests on: what it lacks reads as zeroes, and its extents say what it has itself. */
export function openLayer(choice: LayerChoice): Promise<DiskImage> {
  return openOver(choice, async () => null)
}

/**
 * An image over what `below` gives for what it rests on; its extents say what it has itself.
 * @param below as `OpenImageOptions.openBacking`; @param openFile how the file itself is opened
 * @throws AppError as openImage
 */
export async function openOver(
  { path, format, readOnly }: LayerChoice,
  below: (named: NamedBacking, identity: string) => Promise<BlockDevice | null>,
  openFile: typeof openLocked = openLocked,
): Promise<DiskImage> {
  const { file, identity } = await openFile(path, readOnly)
  let backing: BlockDevice | null = null
  try {
    return await driver(format, path).open(file, { openBacking: async (named) => (backing = await below(named, identity)) })
  } catch (error) {
    await closeQuietly(backing)
    await file.close()
    throw asAppError(error, `Opening the disk image “${path}”`)
  }
}

/**
 * What an image rests on, down to the last layer, for reading.
 * @param from the image; @param named what it rests on; @param folders where that may lie; @param seen identities of the files above
 * @throws AppError as openImage
 */
export async function openBelow(from: string, named: NamedBacking, folders: readonly string[], seen: Set<string>): Promise<BlockDevice> {
  const layers: DiskImage[] = []
  try {
    for (let next: NamedBacking | null = named, above = from; next !== null;) {
      if (layers.length === MAX_LAYERS)
        throw new AppError('corrupt', `The disk image “${from}” rests on more than ${MAX_LAYERS} others.`, { subject: from })
      const path = await findBacking(above, next.path, folders)
      const { file, identity } = await openLocked(path, true)
      try {
        if (seen.has(identity)) throw new AppError('corrupt', `The disk image “${path}” rests on itself.`, { subject: path })
        seen.add(identity)
        const format = next.format ?? (await recognise(file))
        layers.push(await driver(format, path).open(file, { openBacking: async () => null }))
      } catch (error) {
        await file.close()
        throw error
      }
      next = layers.at(-1)!.backing
      above = path
    }
    return layers.length === 1 ? layers[0]! : mergedLayers(layers, from)
  } catch (error) {
    await Promise.all(layers.map(closeQuietly))
    throw error
  }
}

function driver(format: DiskFormat, path: string): NonNullable<(typeof FORMATS)[DiskFormat]> {
  const found = FORMATS[format]
  if (!found) throw new AppError('unsupported', `Coppice does not read ${format} images yet (“${path}”).`, { subject: path })
  return found
}

async function closeQuietly(device: BlockDevice | null): Promise<void> {
  await device?.close().catch(() => {})
}
