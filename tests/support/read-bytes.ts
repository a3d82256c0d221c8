import type { BlockDevice } from '../../src-main/storage/block-device.ts'

/** @returns `length` bytes of the disk at `offset` */
export async function readBytes(device: Pick<BlockDevice, 'read'>, offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length)
  await device.read(offset, bytes)
  return bytes
}
