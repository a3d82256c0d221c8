import type { BlockDevice } from '../block-device.ts'

/** Fills `into`: past the disk's end, and without a disk, are zeroes. */
export async function readZeroExtended(disk: Pick<BlockDevice, 'info' | 'read'> | null, offset: number, into: Uint8Array): Promise<void> {
  const there = disk ? Math.max(0, Math.min(into.length, disk.info.size - offset)) : 0
  into.fill(0, there)
  if (there > 0) await disk!.read(offset, into.subarray(0, there))
}
