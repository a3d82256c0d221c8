/**
 * Writes what an overlay has into the image that it rests on, and empties the overlay.
 *
 * Theory of operation: whatever was written, the disk that shows through the overlay is the same. The lower image changes only where the overlay hides it
 * (merge-contents.ts). When all of that is on disk, an empty overlay takes the name of the full one, by one rename. What a crash or a cancel leaves is the
 * overlay with its disk, and a lower image with some of it, which is no disk by itself; committing again goes on from there.
 */
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { findBacking } from '../chain/find-backing.ts'
import type { BlockDevice } from '../block-device.ts'
import type { DiskImage } from '../disk-image.ts'
import { makeFile } from '../file/make-file.ts'
import { openLocked } from '../file/open-locked.ts'
import { writableFormat } from '../formats/formats.ts'
import { recognise } from '../formats/recognise.ts'
import { openBelow, openOver } from '../open-image.ts'
import { known, type ChosenImage, type KnownImage } from './chosen-image.ts'
import { progressOf, type JobOptions } from './job-progress.ts'
import { pushDown } from './merge-contents.ts'
import { nameOfUser } from './merge-mark.ts'

/** What the job does to files as a whole. */
export interface CommitFiles {
  open: typeof openLocked
  replace: typeof makeFile
}

const SYSTEM: CommitFiles = { open: openLocked, replace: makeFile }

/**
 * Nothing else may rest on the lower image, which from now on is not the disk that it was.
 * @returns bytes of data that were copied, and the image that has them now
 * @throws AppError `invalid-input`: it rests on nothing, or others rest on what it rests on; `unsupported`: internal snapshots, or formats that cannot; `busy`,
 *   `denied`, `no-space`, `cancelled`, or as openImage. The overlay is the same disk then, and can be committed again
 */
export async function commitImage(
  choice: ChosenImage,
  options: JobOptions,
  files: CommitFiles = SYSTEM,
): Promise<{ bytes: number; into: string }> {
  try {
    const image = await known(choice)
    const upper = await openOver({ ...image, readOnly: false }, async () => null, files.open)
    try {
      return await commit(image, upper, options, files)
    } finally {
      await upper.close()
    }
  } catch (error) {
    throw asAppError(error, `Committing “${choice.path}”`)
  }
}

async function commit(
  { path, folders }: KnownImage,
  upper: DiskImage,
  options: JobOptions,
  files: CommitFiles,
): Promise<{ bytes: number; into: string }> {
  const { backing, info, clusterSize } = upper
  if (backing === null)
    throw new AppError('invalid-input', `“${path}” rests on no other image: there is nothing to commit it into.`, { subject: path })
  if (info.format !== 'qcow2' || clusterSize === undefined)
    throw new AppError('unsupported', `Images of the format ${info.format} cannot be committed. Convert the disk to qcow2.`, {
      subject: path,
    })
  if (upper.rewriteLoses) throw new AppError('unsupported', upper.rewriteLoses)
  const into = await findBacking(path, backing.path, folders)
  const user = await nameOfUser(into, path)
  if (user !== null)
    throw new AppError('invalid-input', `“${user}” rests on “${into}”, too, and would be another disk if that changed.`, { subject: into })
  const lower = await openLower({ path: into, format: backing.format ?? (await formatOf(into)) }, folders, files)
  let bytes: number
  try {
    if (lower.rewriteLoses) throw new AppError('unsupported', lower.rewriteLoses)
    await makeAsLarge(lower, into, info.size)
    bytes = await pushDown({ upper, lower, base: null }, progressOf(info.size, options))
    await lower.flush()
  } finally {
    await lower.close()
  }
  const { create } = writableFormat('qcow2')
  const image = { format: info.format, size: info.size, backing, clusterSize }
  await files.replace(path, (file) => create(file, image), { release: () => upper.close() })
  return { bytes, into }
}

function openLower(image: { path: string; format: DiskFormat }, folders: readonly string[], files: CommitFiles): Promise<DiskImage> {
  return openOver(
    { ...image, readOnly: false },
    async (named, identity): Promise<BlockDevice> => openBelow(image.path, named, folders, new Set([identity])),
    files.open,
  )
}

async function formatOf(path: string): Promise<DiskFormat> {
  const { file } = await openLocked(path, true)
  try {
    return await recognise(file)
  } finally {
    await file.close()
  }
}

async function makeAsLarge(lower: DiskImage, path: string, size: number): Promise<void> {
  if (lower.info.size >= size) return
  if (!lower.resize)
    throw new AppError(
      'unsupported',
      `“${path}” is smaller than what rests on it, and cannot be made larger. Convert it to qcow2 or raw.`,
      {
        subject: path,
      },
    )
  await lower.resize(size)
}
