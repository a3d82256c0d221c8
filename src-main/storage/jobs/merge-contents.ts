/**
 * Moves what one layer has of a disk into its neighbour. Theory of operation: at every moment, whatever has been written, the disk that shows through both
 * is the same. Pulled up, the upper layer gets copies of what shows through it anyway. Pushed down, the lower one changes only where the upper one
 * hides it.
 */
import { MiB } from '../../../src-shared/base/units.ts'
import { readZeroExtended } from '../chain/read-zero-extended.ts'
import type { BlockDevice } from '../block-device.ts'
import type { DiskImage } from '../disk-image.ts'
import { pour } from './pour.ts'

/** Bytes: what is written at once where zeroes can only be written; a multiple of every cluster size. */
const ZEROES = new Uint8Array(2 * MiB)
/** Bytes that one question for an extent spans at most, so that a job can be stopped in between. */
const EXTENT_SPAN = 1024 * MiB

export interface Neighbours {
  /** Without what it rests on; its extents say what it has itself. */
  upper: DiskImage
  /** Over `base`; its extents say what it has itself. */
  lower: DiskImage
  /** All that the lower one rests on. */
  base: BlockDevice | null
}

type Source = Pick<BlockDevice, 'info' | 'read' | 'extent'>

/** Bytes of data that each way would write. */
export async function mergeCosts(layers: Neighbours, signal: AbortSignal): Promise<{ pull: number; push: number }> {
  return { pull: await dataIn(missing(layers), signal), push: await dataIn(layers.upper, signal) }
}

/**
 * The upper layer gets what it needs in order to rest on `base`. Nothing is flushed.
 * @param from bytes of the disk: what lies before is left out
 * @returns bytes of data written
 */
export async function pullUp(layers: Neighbours, progress: (done: number) => void, from = 0): Promise<number> {
  const { upper, base } = layers
  let bytes = 0
  const write = async (offset: number, piece: Uint8Array): Promise<void> => {
    await upper.write(offset, piece)
    bytes += piece.length
  }
  const zeroes = (offset: number, length: number): Promise<void> => hideByZeroes(upper, offset, length, write)
  // Whole clusters of the upper layer only, so that what they have around a request never is asked for. Without a base, what is not there is zeroes.
  await pour(missing(layers, from), { data: write, ...(base ? { zeroes } : {}) }, { grain: upper.clusterSize!, progress })
  return bytes
}

/** Ends the walk through a disk. */
class Enough extends Error {}

/**
 * The same for a part of the disk. What was done of it before stays done, also by others who write the upper layer in between.
 * @param from bytes of the disk; @param isEnough asked now and then
 * @returns where it ended; null: at the end of the disk
 */
export async function pullUpFrom(
  layers: Neighbours,
  from: number,
  isEnough: () => boolean,
  progress: (done: number) => void,
): Promise<number | null> {
  let ended = from
  const walk = (at: number): void => {
    ended = Math.max(from, at)
    progress(ended)
    // At least a piece each time.
    if (ended > from && isEnough()) throw new Enough()
  }
  try {
    await pullUp(layers, walk, from)
    return null
  } catch (error) {
    // What was begun before is done when pouring ends.
    if (error instanceof Enough) return ended
    throw error
  }
}

/**
 * Zeroes, whatever shows through an image there.
 * @param write of zeroes that have to be stored; its own unless they are counted
 */
export async function hideByZeroes(
  image: DiskImage,
  offset: number,
  length: number,
  write: (offset: number, bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  await image.writeZeroes(offset, length)
  // Some versions cannot say that a cluster is zeroes.
  for (let at = offset; at < offset + length;) {
    const { length: run, state } = await image.extent(at, Math.min(ZEROES.length, offset + length - at))
    if (state === 'unallocated') await write(at, ZEROES.subarray(0, run))
    at += run
  }
}

/**
 * The lower layer gets what the upper one has; it is as large, at least. Nothing is flushed.
 * @returns bytes of data written
 */
export async function pushDown({ upper, lower }: Neighbours, progress: (done: number) => void): Promise<number> {
  let bytes = 0
  const data = async (offset: number, piece: Uint8Array): Promise<void> => {
    await lower.write(offset, piece)
    bytes += piece.length
  }
  const zeroes = (offset: number, length: number): Promise<void> => lower.writeZeroes(offset, length)
  await pour(upper, { data, zeroes }, { grain: upper.clusterSize!, progress })
  return bytes
}

/** What the upper layer lacks if it is to rest on `base`: `unallocated` is where it has its own, or where `base` shows the same as the lower layer. */
function missing({ upper, lower, base }: Neighbours, from = 0): Source {
  const end = lower.info.size
  const baseEnd = base?.info.size ?? 0
  return {
    info: upper.info,
    // Past the lower layer's end are zeroes, whatever the base has there.
    read: (offset, into) => readZeroExtended(lower, offset, into),
    async extent(offset, length) {
      if (offset < from) return { length: Math.min(length, from - offset), state: 'unallocated' }
      const own = await upper.extent(offset, length)
      if (own.state !== 'unallocated') return { length: own.length, state: 'unallocated' }
      const shows = offset < baseEnd
      if (offset >= end)
        return shows ? { length: Math.min(own.length, baseEnd - offset), state: 'zero' } : { length: own.length, state: 'unallocated' }
      const its = await lower.extent(offset, Math.min(own.length, end - offset))
      return its.state === 'zero' && !shows ? { length: its.length, state: 'unallocated' } : its
    },
  }
}

async function dataIn(source: Source, signal: AbortSignal): Promise<number> {
  let bytes = 0
  for (let at = 0; at < source.info.size;) {
    signal.throwIfAborted()
    const { length, state } = await source.extent(at, Math.min(EXTENT_SPAN, source.info.size - at))
    if (state === 'data') bytes += length
    at += length
  }
  return bytes
}
