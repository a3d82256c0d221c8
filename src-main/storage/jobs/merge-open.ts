/**
 * Merging two neighbouring layers of a disk's chain (merge-layers.ts) while the disk is served.
 *
 * Theory of operation. The chain's files are open, and nobody may have a layer open that is changed. So the disk is closed for a piece of the work, some tens
 * of ms, in which the guest's requests wait, and then served for as long, at least. A piece goes on copying into the upper layer where the one before it
 * ended, which changes nothing of what shows. The last piece is merging itself, which finds little left to copy and looks through everything once more: it
 * does not rely on the pieces. Whatever ends this early leaves the same disk.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { GoingOn } from '../going-on.ts'
import type { ServedDevice } from '../serve-ring.ts'
import type { JobOptions } from './job-progress.ts'
import { mergeLayers, pullPiece, type MergeLayer } from './merge-layers.ts'

/** ms that the guest's requests wait for a piece, about. */
const PIECE = 50
/** ms for which the disk is served between two pieces, at least. */
const SERVED = 20
/** ms in which somebody who looks at the file just now is done with it. */
const PATIENCE = 30_000
const WAIT = 20

/**
 * @param open the served disk, anew
 * @throws AppError as mergeLayers, or why the disk cannot be served any more
 */
export async function mergeOpen(
  device: GoingOn,
  open: () => Promise<ServedDevice>,
  layers: { lower: MergeLayer; upper: MergeLayer },
  options: JobOptions,
): Promise<void> {
  const choice = { ...layers, folders: [] }
  const again = (): Promise<ServedDevice> => patiently(open)
  for (let from: number | null = 0; from !== null;) {
    options.signal.throwIfAborted()
    const began = performance.now()
    const at: number = from
    from = await device.away(() => pullPiece(choice, at, () => performance.now() - began > PIECE, options), again)
    await sleep(Math.max(SERVED, performance.now() - began), null, { signal: options.signal }).catch(() => {
      throw AppError.cancelled()
    })
  }
  await device.away(() => mergeLayers(choice, options), again)
}

/** Whoever found it closed, and looks at it, is soon done. */
async function patiently(open: () => Promise<ServedDevice>): Promise<ServedDevice> {
  for (const end = performance.now() + PATIENCE; ;) {
    try {
      return await open()
    } catch (error) {
      if (asAppError(error).code !== 'busy' || performance.now() > end) throw error
      await sleep(WAIT)
    }
  }
}
