/** The only way in to a disk image: every opener declares its format, is checked, and is locked; so is everything below it. */
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../src-shared/model/disk-format.ts'
import { isNetworkAddress } from '../../src-shared/model/network-disk.ts'
import type { BlockDevice } from './block-device.ts'
import { findBacking } from './chain/find-backing.ts'
import { mergedLayers } from './chain/merged-layers.ts'
import { resolvedExtents } from './chain/resolved-extents.ts'
import type { DiskImage, NamedBacking } from './disk-image.ts'
import { openLocked } from './file/open-locked.ts'
import { FORMATS } from './formats/formats.ts'
import { recognise } from './formats/recognise.ts'
import { openNbdDisk } from './nbd/nbd-disk.ts'

/** Layers below an image. Snapshots of a machine have some dozens; more are a mistake or malice. */
export const MAX_LAYERS = 256

export interface ImageChoice {
  /** Of a file, or an address of a disk on the network. */
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
  if (isNetworkAddress(choice.path)) return openNetworkDisk(choice)
  let backing: BlockDevice | null = null
  const image = await openOver(
    choice,
    async (named, identity) => (backing = await openBelow(choice.path, named, folders, new Set([identity]))),
  )
  return resolvedExtents(image, backing)
}

/** An image without what it rests on: what it lacks reads as zeroes, and its extents say what it has itself. */
export function openLayer(choice: LayerChoice): Promise<DiskImage> {
  if (isNetworkAddress(choice.path)) return openNetworkDisk(choice)
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
  const first = { path: await findBacking(from, named.path, folders), format: named.format }
  const layers = (await openLayers(first, folders, seen)).map(({ image }) => image)
  return layers.length === 1 ? layers[0]! : mergedLayers(layers, from)
}

/** A disk, for reading, that says which file has each part of it. */
export interface Chain extends BlockDevice {
  /** "device:inode" of every file, the newest first. */
  readonly files: readonly string[]
  /** Which of them has the bytes from `offset` on, and where what it has ends; null: they are zeroes, as they are past the disk's end. Reads no data. */
  ownerAt(offset: number): Promise<{ owner: string | null; end: number }>
}

/**
 * @param first the newest layer; a format of null is told by its mark; @param folders absolute: where the files may lie that it rests on
 * @throws AppError as openImage
 */
export async function openChain(first: NamedBacking, folders: readonly string[]): Promise<Chain> {
  const layers = await openLayers(first, folders, new Set())
  const files = layers.map(({ identity }) => identity)
  const merged = mergedLayers(
    layers.map(({ image }) => image),
    first.path,
  )
  return {
    ...merged,
    files,
    async ownerAt(offset) {
      if (offset >= merged.info.size) return { owner: null, end: Infinity }
      const { layer, end } = await merged.layerAt(offset)
      return { owner: layer === null ? null : files[layer]!, end }
    },
  }
}

async function openLayers(
  first: NamedBacking,
  folders: readonly string[],
  seen: Set<string>,
): Promise<{ image: DiskImage; identity: string }[]> {
  const layers: { image: DiskImage; identity: string }[] = []
  try {
    for (let next: NamedBacking | null = first; next !== null;) {
      if (layers.length === MAX_LAYERS)
        throw new AppError('corrupt', `The disk image “${first.path}” rests on more than ${MAX_LAYERS} others.`, { subject: first.path })
      const { path, format: declared }: NamedBacking = next
      const { file, identity } = await openLocked(path, true)
      try {
        if (seen.has(identity)) throw new AppError('corrupt', `The disk image “${path}” rests on itself.`, { subject: path })
        seen.add(identity)
        const format: DiskFormat = declared ?? (await recognise(file))
        const image: DiskImage = await driver(format, path).open(file, { openBacking: async () => null })
        layers.push({ image, identity })
        const { backing } = image
        next = backing && { path: await findBacking(path, backing.path, folders), format: backing.format }
      } catch (error) {
        if (layers.at(-1)?.identity !== identity) await file.close()
        throw error
      }
    }
    return layers
  } catch (error) {
    await Promise.all(layers.map(({ image }) => closeQuietly(image)))
    throw error
  }
}

/** Servers see to it themselves that two do not write one disk. */
async function openNetworkDisk({ path, format, readOnly }: LayerChoice): Promise<DiskImage> {
  if (format !== 'raw')
    throw new AppError('unsupported', `What “${path}” has is used as a raw disk, not as an image of the format ${format}.`, {
      subject: path,
    })
  return openNbdDisk(path, { readOnly })
}

function driver(format: DiskFormat, path: string): NonNullable<(typeof FORMATS)[DiskFormat]> {
  const found = FORMATS[format]
  if (!found) throw new AppError('unsupported', `Coppice does not read ${format} images yet (“${path}”).`, { subject: path })
  return found
}

async function closeQuietly(device: BlockDevice | null): Promise<void> {
  await device?.close().catch(() => {})
}
