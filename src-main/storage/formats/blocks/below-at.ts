import type { BlockDevice } from '../../block-device.ts'
import type { Below } from './block-disk.ts'

/**
 * What lies below a layer, or below a part of it. Where the parent is shorter, zeroes follow.
 * @param start bytes: where on the parent's disk the layer begins
 */
export function belowAt(parent: BlockDevice, start = 0): Below {
  return async (offset, into) => {
    const there = Math.max(0, Math.min(into.length, parent.info.size - start - offset))
    if (there > 0) await parent.read(start + offset, into.subarray(0, there))
    into.fill(0, there)
  }
}
