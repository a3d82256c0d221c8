/** The same disk in another file, of the same or another format. */
import { lstat, stat } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { BlockDevice } from '../block-device.ts'
import type { DiskImage } from '../disk-image.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { makeFile } from '../file/make-file.ts'
import { writableFormat, type NewImage } from '../formats/formats.ts'
import { lockImage, type ImageLock } from '../lock/image-lock.ts'
import { openImage, type ImageChoice } from '../open-image.ts'
import { progressOf, type JobOptions } from './job-progress.ts'
import { pour, type Sink } from './pour.ts'

/** Bytes: zeroes are looked for in runs of so many at least, which is also what most formats store as a whole. */
const GRAIN = 64 * 1024

export interface ConvertTarget extends Omit<NewImage, 'size' | 'backing'> {
  path: string
  /** Whether a file that is there gives way. */
  replace: boolean
  /** Stored packed, where the format can: qcow2 by the cluster, vmdk as one stream (for exports). */
  packed: boolean
}

/**
 * @returns bytes of the disk
 * @throws AppError of the source (see openImage) or the target (see makeFile); `busy`: what is to be replaced is in use, or is a layer of the source; `unsupported` where the format cannot be written, or not packed; `cancelled`
 */
export async function convertImage(
  source: Omit<ImageChoice, 'readOnly'>,
  target: ConvertTarget,
  options: JobOptions,
): Promise<{ size: number }> {
  try {
    const from = await openImage({ ...source, readOnly: true })
    try {
      const { path, replace, packed, ...image } = target
      const { size } = from.info
      const held = replace ? await lockReplaced(path, source.path) : null
      try {
        const replacing = replace ? { release: async () => held?.release() } : null
        await makeFile(path, (file) => fillImage(file, from, { ...image, size, backing: null }, packed, options), replacing)
      } finally {
        await held?.release()
      }
      return { size }
    } finally {
      await from.close()
    }
  } catch (error) {
    throw asAppError(error, `Converting “${source.path}”`)
  }
}

/** Nobody may have the file open that gives way: neither who writes it, nor who reads it, such as this very job as a layer of its source. */
async function lockReplaced(path: string, source: string): Promise<ImageLock | null> {
  const old = await lstat(path, { bigint: true }).catch(() => null)
  if (!old?.isFile()) return null
  // An image that gives way to itself in another form: it is open already, and nobody writes it.
  const { dev, ino } = await stat(source, { bigint: true })
  if (dev === old.dev && ino === old.ino) return null
  return lockImage(path, `${old.dev}:${old.ino}`, 'write', true)
}

/** Writes the disk into an empty file. `packed` as in ConvertTarget. @throws AppError as convertImage */
export async function fillImage(file: ByteFile, from: BlockDevice, image: NewImage, packed: boolean, options: JobOptions): Promise<void> {
  const { open, create, writePacked } = writableFormat(image.format)
  const progress = progressOf(image.size, options)
  if (packed && writePacked) return writePacked(file, from, progress)
  await create(file, image)
  const to = await open(file, { openBacking: async () => null })
  try {
    const sink: Sink = packed ? packedSink(to) : { data: (offset, bytes) => to.write(offset, bytes) }
    await pour(from, sink, { grain: (packed ? to.packed?.clusterSize : to.clusterSize) ?? GRAIN, progress })
    await to.flush()
  } finally {
    await to.close()
  }
}

function packedSink({ packed, info: { format } }: DiskImage): Sink {
  if (!packed)
    throw new AppError('unsupported', `Images of the format ${format} are not stored packed. Choose qcow2 or vmdk, or store it unpacked.`)
  const { clusterSize } = packed
  return {
    async data(offset, bytes) {
      for (let at = 0; at < bytes.length; at += clusterSize) await packed.write(offset + at, bytes.subarray(at, at + clusterSize))
    },
  }
}
