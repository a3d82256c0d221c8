/**
 * Makes an image rest on another one.
 *
 * Theory of operation: first the image gets, as whole clusters, what shows through it now and would be something else with the new backing. While that is
 * done it rests on the old one, which shows the same. When all of it is on disk, one write of the header's sector names the new backing: before and after
 * that the image is the same disk. Where both chains have their bytes from the same file they are the same, and nothing is read.
 *
 * With `unsafe` the name is all that changes: for a backing that has moved, or was changed outside.
 */
import { stat } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { backingNameFor, findBacking } from '../chain/find-backing.ts'
import { readZeroExtended } from '../chain/read-zero-extended.ts'
import type { BlockDevice } from '../block-device.ts'
import type { DiskImage, NamedBacking } from '../disk-image.ts'
import { openLocked } from '../file/open-locked.ts'
import { openChain, openOver, type Chain } from '../open-image.ts'
import { known, type ChosenImage, type KnownImage } from './chosen-image.ts'
import { progressOf, type JobOptions } from './job-progress.ts'
import { hideByZeroes } from './merge-contents.ts'
import { pour, type Sink } from './pour.ts'

export interface RebaseChoice {
  image: ChosenImage
  /** null: on nothing. */
  backing: ChosenImage | null
  /** Only the name: what shows through may change. */
  unsafe: boolean
}

/**
 * @returns bytes of data that were copied into the image
 * @throws AppError `invalid-input`: the new backing rests on the image, or is it; `unsupported`: internal snapshots, or a format that rests on nothing; `busy`,
 *   `no-space`, `cancelled`, or as openImage, of the image or of either backing. The image then is the same disk, and rests on what it did
 */
export async function rebaseImage(
  choice: RebaseChoice,
  options: JobOptions,
  openFile: typeof openLocked = openLocked,
): Promise<{ bytes: number }> {
  try {
    const image = await known(choice.image)
    const target = choice.backing && (await known(choice.backing))
    const now = target && (await openChain(target, target.folders))
    try {
      await refuseRing(image.path, now)
      const upper = await openOver({ ...image, readOnly: false }, async () => null, openFile)
      try {
        refuseUnable(upper, image.path)
        const bytes = choice.unsafe ? 0 : await keepWhatShows(upper, image, now, options)
        await upper.flush()
        options.signal.throwIfAborted()
        await upper.setBacking!(target && { path: backingNameFor(image.path, target.path), format: target.format })
        return { bytes }
      } finally {
        await upper.close()
      }
    } finally {
      await now?.close()
    }
  } catch (error) {
    throw asAppError(error, `Rebasing “${choice.image.path}”`)
  }
}

async function refuseRing(path: string, now: Chain | null): Promise<void> {
  const { dev, ino } = await stat(path, { bigint: true })
  if (now?.files.includes(`${dev}:${ino}`))
    throw new AppError('invalid-input', `“${path}” cannot rest on that: it would rest on itself.`, { subject: path })
}

function refuseUnable(upper: DiskImage, path: string): void {
  if (!upper.setBacking || upper.clusterSize === undefined)
    throw new AppError(
      'unsupported',
      `Images of the format ${upper.info.format} cannot be made to rest on another one. Convert it to qcow2.`,
      {
        subject: path,
      },
    )
  if (upper.rewriteLoses) throw new AppError('unsupported', upper.rewriteLoses)
}

async function keepWhatShows(upper: DiskImage, image: KnownImage, now: Chain | null, options: JobOptions): Promise<number> {
  const was = await openOld(upper.backing, image)
  try {
    let bytes = 0
    const write = async (offset: number, piece: Uint8Array): Promise<void> => {
      await upper.write(offset, piece)
      bytes += piece.length
    }
    const grain = upper.clusterSize!
    const data = async (offset: number, piece: Uint8Array): Promise<void> => {
      const theirs = new Uint8Array(piece.length)
      await readZeroExtended(now, offset, theirs)
      for (const [start, end] of differing(piece, theirs, grain)) await write(offset + start, piece.subarray(start, end))
    }
    // Without a backing, what is not there is zeroes.
    const zeroes: Sink['zeroes'] = now ? (offset, length) => hideByZeroes(upper, offset, length, write) : undefined
    await pour(showing(upper, was, now), { data, ...(zeroes ? { zeroes } : {}) }, { grain, progress: progressOf(upper.info.size, options) })
    return bytes
  } finally {
    await was?.close()
  }
}

async function openOld(backing: NamedBacking | null, { path, folders }: KnownImage): Promise<Chain | null> {
  return backing && openChain({ path: await findBacking(path, backing.path, folders), format: backing.format }, folders)
}

/** What shows through the upper image and may differ below; `unallocated` is where it has its own, or both have theirs from the same file. */
function showing(upper: DiskImage, was: Chain | null, now: Chain | null): Pick<BlockDevice, 'info' | 'read' | 'extent'> {
  return {
    info: upper.info,
    read: (offset, into) => readZeroExtended(was, offset, into),
    async extent(offset, length) {
      const own = await upper.extent(offset, length)
      if (own.state !== 'unallocated') return { length: own.length, state: 'unallocated' }
      const [before, after] = await Promise.all([ownerAt(was, offset), ownerAt(now, offset)])
      const run = Math.min(own.length, before.end - offset, after.end - offset)
      if (before.owner === after.owner) return { length: run, state: 'unallocated' }
      return { length: run, state: before.owner === null ? 'zero' : 'data' }
    },
  }
}

async function ownerAt(chain: Chain | null, offset: number): Promise<{ owner: string | null; end: number }> {
  return chain ? chain.ownerAt(offset) : { owner: null, end: Infinity }
}

/** Where the two differ, by whole grains: [start, end), neighbours joined. */
function differing(ours: Uint8Array, theirs: Uint8Array, grain: number): [number, number][] {
  const runs: [number, number][] = []
  for (let start = 0; start < ours.length; start += grain) {
    const end = Math.min(start + grain, ours.length)
    if (Buffer.compare(ours.subarray(start, end), theirs.subarray(start, end)) === 0) continue
    const last = runs.at(-1)
    if (last && last[1] === start) last[1] = end
    else runs.push([start, end])
  }
  return runs
}
