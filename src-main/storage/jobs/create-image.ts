/** New images. */
import { resolve } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { TiB } from '../../../src-shared/base/units.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { backingNameFor } from '../chain/find-backing.ts'
import type { NamedBacking } from '../disk-image.ts'
import { makeFile } from '../file/make-file.ts'
import { writableFormat } from '../formats/formats.ts'
import { openImage, type ImageChoice } from '../open-image.ts'
import { knownFile, type ChosenImage } from './chosen-image.ts'

/** Bytes of the smallest sector: a disk is a whole number of them. */
const SECTOR = 512
/** Bytes: what ext4 takes for a file, and more than anybody has. */
const MAX_SIZE = 16 * TiB

export interface CreateChoice {
  path: string
  format: DiskFormat
  /** Bytes; null: as large as the backing. Rounded up to whole sectors. */
  size: number | null
  backing: ChosenImage | null
  clusterSize?: number
}

/**
 * @returns bytes of the disk
 * @throws AppError `invalid-input`, `already-exists`, what the backing cannot be opened for, or the system's reason
 */
export async function createImage({ path, format, size, backing, clusterSize }: CreateChoice): Promise<{ size: number }> {
  try {
    const below = backing && (await namedFrom(path, backing))
    const bytes = checkedSize(size ?? below?.size ?? null)
    const { create } = writableFormat(format)
    await makeFile(path, (file) =>
      create(file, {
        ...{ format, size: bytes, backing: below && { path: below.path, format: below.format } },
        ...(clusterSize === undefined ? {} : { clusterSize }),
      }),
    )
    return { size: bytes }
  } catch (error) {
    throw asAppError(error, `Making the disk image “${path}”`)
  }
}

/**
 * A qcow2 image that rests on one that is open.
 * @param size bytes of the disk
 * @throws AppError `already-exists`, or the system's reason
 */
export async function createAbove(path: string, below: Pick<ImageChoice, 'path' | 'format'>, size: number): Promise<void> {
  try {
    const { create } = writableFormat('qcow2')
    const backing = { path: backingNameFor(resolve(path), resolve(below.path)), format: below.format }
    await makeFile(path, (file) => create(file, { format: 'qcow2', size, backing }))
  } catch (error) {
    throw asAppError(error, `Making the disk image “${path}”`)
  }
}

export function checkedSize(size: number | null): number {
  if (size === null) throw AppError.invalid([{ path: 'size', message: 'Say how large the disk is to be.' }])
  const bytes = Math.ceil(size / SECTOR) * SECTOR
  if (!Number.isSafeInteger(bytes) || bytes < SECTOR || bytes > MAX_SIZE)
    throw AppError.invalid([{ path: 'size', message: 'A disk has from 512 bytes to 16 TiB.' }])
  return bytes
}

/** The backing as the image at `path` names it, which is opened once to see that it can be. */
async function namedFrom(path: string, choice: ChosenImage): Promise<NamedBacking & { size: number }> {
  const image = await knownFile(choice)
  const below = await openImage({ ...image, readOnly: true })
  try {
    return { path: backingNameFor(resolve(path), image.path), format: image.format, size: below.info.size }
  } finally {
    await below.close()
  }
}
