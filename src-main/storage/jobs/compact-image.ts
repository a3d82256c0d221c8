/**
 * Gives back the room of an image that holds zeroes or nothing.
 *
 * Theory of operation: a raw disk gets holes where it has zeroes, in place: at every moment it is the same disk. An image of another format is written
 * anew beside itself, and takes its own place by one rename when it is whole: the clusters that the guest has discarded, or filled with zeroes, are not
 * written again. Only the image's own layer is looked at; what it rests on stays below it.
 */
import { stat } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { roomOf } from '../../files/room.ts'
import type { DiskImage } from '../disk-image.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { makeFile } from '../file/make-file.ts'
import { writableFormat } from '../formats/formats.ts'
import { openLayer } from '../open-image.ts'
import { knownFile, type ChosenImage } from './chosen-image.ts'
import { progressOf, type JobOptions } from './job-progress.ts'
import { pour } from './pour.ts'

/** Bytes: zeroes of a raw disk are given back in runs of so many at least. */
const RAW_GRAIN = 64 * 1024
const NOT_SMALLER = new Error('The new file takes as much room as the old one.')

/**
 * @returns bytes that the file takes on this computer's disk
 * @throws AppError as openImage, `unsupported` where rewriting would lose something, `no-space`, `cancelled`; the image then is what it was
 */
export async function compactImage(choice: ChosenImage, options: JobOptions): Promise<{ before: number; after: number }> {
  try {
    const { path, format } = await knownFile(choice)
    const before = roomOf(await stat(path))
    // Locked for writing also where it is only read: nobody may write it, or hold it open, while it is replaced.
    const image = await openLayer({ path, format, readOnly: false })
    try {
      if (format === 'raw') await punch(image, options)
      else if (!(await rewrite(image, path, before, options))) return { before, after: before }
    } finally {
      await image.close()
    }
    return { before, after: roomOf(await stat(path)) }
  } catch (error) {
    throw asAppError(error, `Compacting “${choice.path}”`)
  }
}

async function punch(image: DiskImage, options: JobOptions): Promise<void> {
  const zeroes = (offset: number, length: number): Promise<void> => image.writeZeroes(offset, length)
  await pour(image, { data: async () => {}, zeroes }, { grain: RAW_GRAIN, progress: progressOf(image.info.size, options) })
  await image.flush()
}

/** @returns whether the image is a new one, which is so where that is smaller */
async function rewrite(image: DiskImage, path: string, before: number, options: JobOptions): Promise<boolean> {
  if (image.rewriteLoses) throw new AppError('unsupported', image.rewriteLoses)
  const { size, format } = image.info
  const { clusterSize, backing } = image
  const { open, create } = writableFormat(format)
  const fill = async (file: ByteFile): Promise<void> => {
    await create(file, { format, size, backing, ...(clusterSize === undefined ? {} : { clusterSize }) })
    const to = await open(file, { openBacking: async () => null })
    try {
      const sink = {
        data: (offset: number, bytes: Uint8Array) => to.write(offset, bytes),
        // Without a backing what is not there is zeroes anyway.
        ...(backing === null ? {} : { zeroes: (offset: number, length: number) => to.writeZeroes(offset, length) }),
      }
      await pour(image, sink, { grain: clusterSize ?? RAW_GRAIN, progress: progressOf(size, options) })
      await to.flush()
    } finally {
      await to.close()
    }
    // What was stored packed is not any more.
    if ((await storedBytes(file)) >= before) throw NOT_SMALLER
  }
  try {
    await makeFile(path, fill, { release: () => image.close() })
    return true
  } catch (error) {
    if (error === NOT_SMALLER) return false
    throw error
  }
}

async function storedBytes(file: ByteFile): Promise<number> {
  let bytes = 0
  for (let run = await file.nextData(0); run; run = await file.nextData(run.end)) bytes += run.end - run.start
  return bytes
}
