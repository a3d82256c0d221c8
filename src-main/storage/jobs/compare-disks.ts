/**
 * Where two disks differ.
 *
 * Theory of operation: two states of a machine's disk rest on mostly the same files. The mappings of both chains are walked together, without reading data:
 * where both have their bytes from the same file (or zeroes) they are the same. What is left is read, by several workers at once, and compared by blocks.
 */
import { MiB } from '../../../src-shared/base/units.ts'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskDifference } from '../../../src-shared/model/disk-difference.ts'
import { readZeroExtended } from '../chain/read-zero-extended.ts'
import { openChain, type Chain } from '../open-image.ts'
import { known, type ChosenImage } from './chosen-image.ts'
import { progressOf, type JobOptions } from './job-progress.ts'

/** Bytes: what file systems write at once. */
const BLOCK = 4096
/** Bytes that are read at once; a multiple of BLOCK. */
const PIECE = MiB
const WORKERS = 4

export interface CompareChoice {
  before: ChosenImage
  after: ChosenImage
  /** Into how many parts the disk is divided at most. */
  parts: number
  /** It is enough to know whether they differ at all. */
  whether?: boolean
}

/** @throws AppError `cancelled`, or as openImage, of either */
export async function compareDisks(choice: CompareChoice, options: JobOptions): Promise<DiskDifference> {
  try {
    const before = await openChosen(choice.before)
    try {
      const after = await openChosen(choice.after)
      try {
        return await compareChains(before, after, choice, options)
      } finally {
        await after.close()
      }
    } finally {
      await before.close()
    }
  } catch (error) {
    throw asAppError(error, `Comparing “${choice.before.path}” with “${choice.after.path}”`)
  }
}

async function openChosen(choice: ChosenImage): Promise<Chain> {
  const image = await known(choice)
  return openChain(image, image.folders)
}

export type ComparedDisk = Pick<Chain, 'info' | 'read' | 'ownerAt'>

/** Of two that are open. */
export async function compareChains(
  before: ComparedDisk,
  after: ComparedDisk,
  { parts, whether = false }: Pick<CompareChoice, 'parts' | 'whether'>,
  options: JobOptions,
): Promise<DiskDifference> {
  const size = Math.max(before.info.size, after.info.size)
  const part = Math.max(BLOCK, Math.ceil(size / parts / BLOCK) * BLOCK)
  const difference: DiskDifference = {
    sizes: { before: before.info.size, after: after.info.size },
    ...{ blockSize: BLOCK, changedBlocks: 0, changedBytes: 0, comparedBytes: 0 },
    ...{ part, parts: new Array<number>(Math.ceil(size / part)).fill(0) },
  }
  const progress = progressOf(size, options)
  const pieces = piecesToCompare(before, after, size, progress)
  let failed = false
  const work = async (): Promise<void> => {
    const buffers = [new Uint8Array(PIECE), new Uint8Array(PIECE)] as const
    try {
      for (;;) {
        const next = failed || (whether && difference.changedBlocks > 0) ? null : await pieces.next()
        if (!next || next.done) return
        const { offset, length } = next.value
        const [ours, theirs] = [buffers[0].subarray(0, length), buffers[1].subarray(0, length)]
        await Promise.all([readZeroExtended(before, offset, ours), readZeroExtended(after, offset, theirs)])
        difference.comparedBytes += length
        note(difference, offset, ours, theirs)
      }
    } catch (error) {
      failed = true
      throw error
    }
  }
  const results = await Promise.allSettled(Array.from({ length: WORKERS }, work))
  for (const result of results) if (result.status === 'rejected') throw result.reason
  progress(size)
  return difference
}

/** In order, whole blocks each. Calls of `next` are answered one after the other. */
async function* piecesToCompare(
  before: ComparedDisk,
  after: ComparedDisk,
  size: number,
  progress: (done: number) => void,
): AsyncGenerator<{ offset: number; length: number }> {
  for (let at = 0; at < size;) {
    progress(at)
    const [one, other] = await Promise.all([before.ownerAt(at), after.ownerAt(at)])
    const end = Math.min(size, one.end, other.end)
    const sameUntil = one.owner !== other.owner ? at : end === size ? end : end - (end % BLOCK)
    if (sameUntil > at) {
      at = sameUntil
      continue
    }
    // Also a block of which only some may differ.
    for (const stop = Math.min(size, Math.ceil(end / BLOCK) * BLOCK); at < stop;) {
      progress(at)
      const length = Math.min(PIECE, stop - at)
      yield { offset: at, length }
      at += length
    }
  }
}

function note(difference: DiskDifference, offset: number, ours: Uint8Array, theirs: Uint8Array): void {
  if (Buffer.compare(ours, theirs) === 0) return
  for (let start = 0; start < ours.length; start += BLOCK) {
    const end = Math.min(start + BLOCK, ours.length)
    if (Buffer.compare(ours.subarray(start, end), theirs.subarray(start, end)) === 0) continue
    difference.changedBlocks++
    difference.changedBytes += end - start
    difference.parts[Math.floor((offset + start) / difference.part)]! += end - start
  }
}
