import type { FileHandle } from 'node:fs/promises'
import { SECTOR } from './raw-device.ts'

/** Bytes: 8 EiB is more than any device has; sizes beyond 2^53 cannot be addressed here. */
const MAX_SIZE = Number.MAX_SAFE_INTEGER - (Number.MAX_SAFE_INTEGER % SECTOR)

/**
 * The size of a block device, bytes. `stat` gives 0 for it and Node has no ioctl, so its end is searched: a read at or past the end gives
 * nothing (read(2)). About 44 reads of one sector.
 */
export async function blockDeviceSize(file: Pick<FileHandle, 'read'>): Promise<number> {
  const sector = new Uint8Array(SECTOR)
  const readable = async (index: number): Promise<boolean> => (await file.read(sector, 0, SECTOR, index * SECTOR)).bytesRead > 0
  let inside = 0 // sectors known to be there
  let outside = 1
  while (outside * SECTOR < MAX_SIZE && (await readable(outside - 1))) {
    inside = outside
    outside = Math.min(outside * 2, MAX_SIZE / SECTOR)
  }
  while (outside - inside > 1) {
    const middle = Math.floor((inside + outside) / 2)
    if (await readable(middle - 1)) inside = middle
    else outside = middle
  }
  return inside * SECTOR
}
