/** A drive's image as v86 takes it. */
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import type { BlockClient } from '../engine.ts'
import { BlockDisk } from './block-disk.ts'
import { FloppyDisk } from './floppy-disk.ts'

/** v86's names of the places for drives. */
export type DriveSlot = 'hda' | 'hdb' | 'cdrom' | 'fda' | 'fdb'

export interface OpenDrive {
  slot: DriveSlot
  /** What is in it; null: nothing. */
  image: BlockDisk | FloppyDisk | null
}

/** @throws AppError why the image cannot be used */
export async function openImage(
  { id, kind, cache }: Pick<MachineSpec['drives'][number], 'id' | 'kind' | 'cache'>,
  blocks: BlockClient,
  counters: Counters,
): Promise<BlockDisk | FloppyDisk> {
  const options = {
    sectorSize: kind === 'cdrom' ? (2048 as const) : (512 as const),
    counters,
    onError: (error: AppError) => console.error(`Drive ${id}: ${error.message} ${error.toWire().details?.technical ?? ''}`),
  }
  try {
    if (kind === 'floppy') return await FloppyDisk.open(blocks, options)
    const disk = await BlockDisk.open(blocks, options)
    // The guest sees a drive whose write cache is off.
    disk.writeCache = cache !== 'writethrough'
    if (disk.byteLength === 0) throw new AppError('corrupt', `The image of drive ${id} is empty.`, { subject: id })
    return disk
  } catch (error) {
    throw asAppError(error, `Opening drive ${id}`)
  }
}

/** Where an image's bytes go through. */
export function diskOf(image: BlockDisk | FloppyDisk): BlockDisk {
  return image instanceof FloppyDisk ? image.disk : image
}
