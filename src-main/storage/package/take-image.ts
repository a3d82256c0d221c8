/**
 * Disks of machines that come from elsewhere become disks of ours.
 *
 * Theory of operation: an image is read where it is, also in the middle of an archive, through a window on the file; nothing is unpacked. What it rests on
 * is found in one of two ways. Most images name the file themselves, which then has to lie in the package's folder. VirtualBox's name their parent by an
 * identifier alone, and the machine's description lists the files: then every layer is opened over the one that is said, each but the oldest has to be one that
 * wants a parent, and the identifiers have to fit.
 */
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { FilePart, ForeignImage } from '../../../src-shared/threads/storage-thread.ts'
import type { BlockDevice } from '../block-device.ts'
import { resolvedExtents } from '../chain/resolved-extents.ts'
import type { DiskImage, OpenImageOptions } from '../disk-image.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { makeFile } from '../file/make-file.ts'
import { FORMATS } from '../formats/formats.ts'
import { recognised } from '../formats/recognise.ts'
import { openVmdk } from '../formats/vmdk/vmdk-image.ts'
import { fillImage } from '../jobs/convert-image.ts'
import { checkedSize } from '../jobs/create-image.ts'
import type { JobOptions } from '../jobs/job-progress.ts'
import { openBelow } from '../open-image.ts'
import { nameOf, openImagePart } from './file-part.ts'

export interface SeenImage {
  /** What the newest layer is. */
  format: DiskFormat
  /** Bytes of the disk. */
  size: number
}

/** Opens the image with all that it rests on, and closes it again. @throws AppError why it could not be taken */
export async function lookAtImage(image: ForeignImage): Promise<SeenImage> {
  return withImage(image, async (device) => ({ format: device.info.format, size: checkedSize(device.info.size) }))
}

/**
 * The disk as a whole in a new file, which appears under its name only when whole.
 * @throws AppError of the source, or as makeFile; `cancelled`
 */
export async function takeImage(image: ForeignImage, to: { path: string; format: DiskFormat }, options: JobOptions): Promise<SeenImage> {
  return withImage(image, async (device) => {
    const size = checkedSize(device.info.size)
    await makeFile(to.path, (file) => fillImage(file, device, { format: to.format, size, backing: null }, false, options))
    return { format: device.info.format, size }
  })
}

async function withImage<T>(image: ForeignImage, work: (device: BlockDevice) => Promise<T>): Promise<T> {
  try {
    const device = image.layers.length > 1 ? await openChain(image) : await openWhole(image)
    try {
      return await work(device)
    } finally {
      await device.close()
    }
  } catch (error) {
    throw asAppError(error, `Reading “${nameOf(image.layers[0]!)}”`)
  }
}

/** An image that names by itself what it rests on, if anything. */
async function openWhole({ layers: [part], format, folders }: ForeignImage): Promise<BlockDevice> {
  const { file, identity } = await openImagePart(part!)
  let backing: BlockDevice | null = null
  try {
    const image = await openFormat(file, part!, format, {
      openBacking: async (named) => {
        if (part!.range !== null) throw outside(part!, named.path)
        return (backing = await openBelow(part!.path, named, folders, new Set([identity])))
      },
    })
    return resolvedExtents(image, backing)
  } catch (error) {
    await (backing as BlockDevice | null)?.close().catch(() => {})
    await file.close()
    throw error
  }
}

/** Layers whose order somebody else says: the oldest is opened first, each of the others over the one before. */
async function openChain({ layers, format, folders }: ForeignImage): Promise<BlockDevice> {
  const seen = new Set<string>()
  let below: DiskImage | null = null
  try {
    for (const [at, part] of [...layers.entries()].reverse()) {
      const next: DiskImage = await openOver(part, at === 0 ? format : null, below, { folders, seen })
      if (below) checkLink(next, below, part, layers[at + 1]!)
      below = next
    }
    return below!
  } catch (error) {
    await below?.close().catch(() => {})
    throw error
  }
}

/** @param below null: the oldest, which may still name what it rests on */
async function openOver(
  part: FilePart,
  format: DiskFormat | null,
  below: DiskImage | null,
  { folders, seen }: { folders: readonly string[]; seen: Set<string> },
): Promise<DiskImage> {
  const { file, identity } = await openImagePart(part)
  let wants = false
  let backing: BlockDevice | null = below
  try {
    if (seen.has(identity)) throw new AppError('corrupt', `The disk image “${nameOf(part)}” rests on itself.`, { subject: part.path })
    seen.add(identity)
    const given = async (): Promise<DiskImage | null> => {
      wants = true
      return below
    }
    const image = await openFormat(file, part, format, {
      openBacking: async (named) => {
        if (below) return given()
        if (part.range !== null) throw outside(part, named.path)
        return (backing = await openBelow(part.path, named, folders, seen))
      },
      ...(below ? { openParent: given } : {}),
    })
    if (below && !wants) {
      await image.close()
      throw new AppError('corrupt', `The disk image “${nameOf(part)}” rests on nothing, but the machine’s description says that it does.`, {
        subject: part.path,
      })
    }
    return { ...image, ...resolvedExtents(image, backing) }
  } catch (error) {
    await file.close()
    throw error
  }
}

function checkLink(above: DiskImage, below: DiskImage, abovePart: FilePart, belowPart: FilePart): void {
  const wanted = above.parentIdentity
  if (wanted === undefined || below.identity === undefined || wanted === below.identity) return
  throw new AppError(
    'corrupt',
    `The disk image “${nameOf(abovePart)}” rests on another one (${wanted}) than “${nameOf(belowPart)}” (${below.identity}).`,
    { subject: abovePart.path },
  )
}

/** @param format null: told by the file's mark, raw without one */
async function openFormat(file: ByteFile, part: FilePart, format: DiskFormat | null, options: OpenImageOptions): Promise<DiskImage> {
  const kind = format ?? (await recognised(file)) ?? 'raw'
  const driver = FORMATS[kind]
  if (!driver) throw new AppError('unsupported', `Coppice does not read ${kind} images yet (“${file.path}”).`, { subject: file.path })
  // What stands beside an archive is no part of it.
  if (kind === 'vmdk' && part.range !== null)
    return openVmdk(file, { ...options, openExtent: (name) => Promise.reject(outside(part, name)) })
  return driver.open(file, options)
}

function outside(part: FilePart, name: string): AppError {
  return new AppError(
    'unsupported',
    `The disk image “${nameOf(part)}” needs a further file, “${name.slice(0, 80)}”. Unpack the archive into a folder, and import from there.`,
    { subject: part.path },
  )
}
