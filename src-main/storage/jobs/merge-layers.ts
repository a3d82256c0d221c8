/**
 * Merges two neighbouring layers of a disk's chain into one, which is what deleting a snapshot comes to.
 *
 * Theory of operation. There are two ways, and the one that copies less data is taken:
 *
 *     pull: what shows through the upper layer of the lower one is copied into it; the upper layer is made to rest on what the lower one rests on; the
 *           lower one is deleted. The way for any format of the lower layer.
 *     push: what the upper layer has is written into the lower one, which is made as large; the lower layer takes the upper one's name. Where both are
 *           qcow2, and the lower one can have that size.
 *
 * A crash leaves the upper layer's name with the same disk, whenever it happens: what is copied does not change what shows (merge-contents.ts) and is on disk
 * before the one write, or the one rename, after which the lower layer is not needed any more. Merging again goes on from there, by either way:
 *
 *     while copying                        the upper layer rests on the lower one as before, and has (or hides) more of it
 *     pulled, the lower layer still there  nothing rests on it. It is deleted if a mark beside it (merge-mark.ts), which is on disk before the upper layer
 *                                          lets go of it, says that it was merged into this very file, and no image of the folder rests on it
 *     the lower layer is gone              all is done
 *
 * Without that mark an upper layer that does not rest on the lower one is refused: the two may be branches of one chain, each of which is needed.
 */
import { chmod, lstat, realpath, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { syncFolder, takeName } from '../../files/write-file-atomic.ts'
import type { BlockDevice } from '../block-device.ts'
import { restsOn } from '../chain/find-backing.ts'
import type { DiskImage } from '../disk-image.ts'
import { openLocked } from '../file/open-locked.ts'
import { openBelow, openOver } from '../open-image.ts'
import { progressOf, type JobOptions } from './job-progress.ts'
import { mergeCosts, pullUp, pullUpFrom, pushDown, type Neighbours } from './merge-contents.ts'
import { isMarkedMerged, markMerged, nameOfUser, unmark } from './merge-mark.ts'

export interface MergeLayer {
  path: string
  format: DiskFormat
}

export interface MergeChoice {
  lower: MergeLayer
  upper: MergeLayer
  /** Absolute: where the files may lie that the lower layer rests on, beside its own folder. */
  folders: readonly string[]
}

/** What the job does to files as a whole. */
export interface MergeFiles {
  open: typeof openLocked
  /** Durable when they resolve. */
  takeName(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
}

const SYSTEM: MergeFiles = {
  open: openLocked,
  takeName,
  async remove(path) {
    await unlink(path)
    await syncFolder(dirname(path))
  },
}

/**
 * Nothing else may rest on the lower layer, which from now on is not the disk that it was.
 * @returns bytes of data that were copied
 * @throws AppError `invalid-input`: the upper layer does not rest on the lower one, or lies in another folder; `unsupported`: internal snapshots, or a format
 *   that cannot; `busy`, `no-space`, `cancelled`, or as openImage. The upper layer is the same disk then, and can be merged again
 */
export async function mergeLayers(choice: MergeChoice, options: JobOptions, files: MergeFiles = SYSTEM): Promise<{ bytes: number }> {
  try {
    const upper = { ...choice.upper, path: await realpath(choice.upper.path) }
    const lower = { ...choice.lower, path: await realOrGone(choice.lower.path) }
    if (dirname(upper.path) !== dirname(lower.path))
      throw wrong('lower.path', `“${lower.path}” and “${upper.path}” are not in one folder, so that they cannot be merged.`)
    const image = await openOver({ ...upper, readOnly: false }, async () => null, files.open)
    return await closing(image, async () => {
      const { backing } = image
      if (backing === null || !(await restsOn(upper.path, backing.path, lower.path))) return finishMerged(lower.path, upper.path, files)
      if (backing.format !== null && backing.format !== lower.format)
        throw wrong('lower.format', `“${upper.path}” says that “${lower.path}” is of the format ${backing.format}, not ${lower.format}.`)
      await refuseUnmergeable(image, lower)
      return mergeInto(image, { ...choice, upper, lower }, options, files)
    })
  } catch (error) {
    throw asAppError(error, `Merging “${choice.lower.path}” into “${choice.upper.path}”`)
  }
}

/** Bytes of data: so few are written down at one go, where the disk is in use. */
const FEW = 16 * MiB

/**
 * A part of the way of copying up: the upper layer gets what it lacks, from a place of the disk on. It goes on resting on the lower one, which is not changed.
 * @param isEnough asked now and then
 * @returns bytes of the disk: where it ended; null: what is left is soon done by `mergeLayers`
 * @throws AppError as mergeLayers
 */
export async function pullPiece(choice: MergeChoice, from: number, isEnough: () => boolean, options: JobOptions): Promise<number | null> {
  try {
    const upper = { ...choice.upper, path: await realpath(choice.upper.path) }
    const lower = { ...choice.lower, path: await realOrGone(choice.lower.path) }
    const image = await openOver({ ...upper, readOnly: false }, async () => null)
    return await closing(image, async () => {
      if (image.backing === null || !(await restsOn(upper.path, image.backing.path, lower.path))) return null
      await refuseUnmergeable(image, lower)
      return withLower({ ...choice, lower }, image, true, openLocked, async (layers) => {
        if (from === 0 && (await isSoonPushed(layers, options.signal))) return null
        return pullUpFrom(layers, from, isEnough, progressOf(image.info.size, options))
      })
    })
  } catch (error) {
    throw asAppError(error, `Merging “${choice.lower.path}” into “${choice.upper.path}”`)
  }
}

async function isSoonPushed(layers: Neighbours, signal: AbortSignal): Promise<boolean> {
  const { upper, lower } = layers
  if (lower.info.format !== 'qcow2' || upper.info.format !== 'qcow2' || lower.info.size !== upper.info.size) return false
  const costs = await mergeCosts(layers, signal)
  return costs.push <= FEW && costs.push < costs.pull
}

/** Opens the lower layer over what it rests on. */
async function withLower<T>(
  { lower, folders }: Pick<MergeChoice, 'lower' | 'folders'>,
  upper: DiskImage,
  readOnly: boolean,
  open: typeof openLocked,
  work: (layers: Neighbours) => Promise<T>,
): Promise<T> {
  let base: BlockDevice | null = null
  const below = await openOver(
    { ...lower, readOnly },
    async (named, identity) => (base = await openBelow(lower.path, named, [dirname(lower.path), ...folders], new Set([identity]))),
    open,
  )
  return closing(below, () => work({ upper, lower: below, base }))
}

async function mergeInto(
  image: DiskImage,
  { upper, lower, folders }: MergeChoice,
  options: JobOptions,
  files: MergeFiles,
): Promise<{ bytes: number }> {
  return withLower({ lower, folders }, image, false, files.open, async (layers) => {
    const { lower: below } = layers
    if (below.rewriteLoses) throw new AppError('unsupported', below.rewriteLoses)
    if (below.otherFiles)
      throw new AppError(
        'unsupported',
        `“${lower.path}” has its data in other files (“${below.otherFiles[0]}” …), so that it cannot be merged with what rests on it. Convert the disk to qcow2.`,
        { subject: lower.path },
      )
    const progress = progressOf(image.info.size, options)
    const costs = await mergeCosts(layers, options.signal)
    const push =
      costs.push < costs.pull && lower.format === 'qcow2' && upper.format === 'qcow2' && (await madeAsLarge(below, image.info.size))
    if (push) {
      const bytes = await pushDown(layers, progress)
      await below.close()
      // Windows gives no name away that belongs to an open file.
      await image.close()
      await chmod(lower.path, (await stat(upper.path)).mode & 0o777)
      await files.takeName(lower.path, upper.path)
      await unmark(lower.path) // of an earlier try, by the other way
      return { bytes }
    }
    const bytes = await pullUp(layers, progress)
    await image.flush()
    await markMerged(lower.path, upper.path)
    await image.setBacking!(restingOn(layers))
    await below.close()
    await removeMerged(lower.path, files)
    return { bytes }
  })
}

/** The name stays right: both images are in one folder. */
function restingOn({ lower: { backing }, base }: Neighbours): DiskImage['backing'] {
  return backing && { path: backing.path, format: backing.format ?? base!.info.format }
}

/** The lower layer gets the upper one's size. @returns false: it cannot have it */
async function madeAsLarge(lower: DiskImage, size: number): Promise<boolean> {
  if (lower.info.size === size) return true
  try {
    await lower.resize!(size)
    return true
  } catch (error) {
    if (asAppError(error).code === 'invalid-input') return false
    throw error
  }
}

async function refuseUnmergeable(upper: DiskImage, lower: MergeLayer): Promise<void> {
  if (!upper.setBacking || upper.clusterSize === undefined)
    throw new AppError(
      'unsupported',
      `Images of the format ${upper.info.format} cannot be merged with what they rest on. Convert them to qcow2.`,
    )
  if (upper.rewriteLoses) throw new AppError('unsupported', upper.rewriteLoses)
  if (!(await stat(lower.path)).isFile())
    throw wrong('lower.path', `“${lower.path}” is no regular file, and would have to be deleted after merging.`)
}

/** The upper layer does not rest on the lower one: that is right where they were merged before. */
async function finishMerged(lower: string, upper: string, files: MergeFiles): Promise<{ bytes: number }> {
  if (await isGone(lower)) await unmark(lower)
  else {
    if (!(await isMarkedMerged(lower, upper))) throw wrong('upper.path', `“${upper}” does not rest on “${lower}”.`)
    const user = await nameOfUser(lower)
    if (user !== null) throw wrong('lower.path', `“${lower}” was merged into “${upper}”, but “${user}” rests on it, too.`)
    await (await files.open(lower, false)).file.close() // nobody has it open
    await removeMerged(lower, files)
  }
  return { bytes: 0 }
}

async function removeMerged(lower: string, files: MergeFiles): Promise<void> {
  await files.remove(lower)
  await unmark(lower)
}

/** Runs and closes; a failure to close is told unless something failed before. */
async function closing<T>(image: DiskImage, run: () => Promise<T>): Promise<T> {
  let result: T
  try {
    result = await run()
  } catch (error) {
    await image.close().catch(() => {})
    throw error
  }
  await image.close()
  return result
}

async function realOrGone(path: string): Promise<string> {
  return (await isGone(path)) ? join(await realpath(dirname(path)), basename(path)) : realpath(path)
}

async function isGone(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return false
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return true
    throw error
  }
}

function wrong(path: string, message: string): AppError {
  return AppError.invalid([{ path, message }])
}
