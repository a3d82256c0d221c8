/** Differencing VDIs, as VirtualBox makes them for snapshots: type 4, the parent's UUID in the header, and whole blocks. */
import { open, readFile } from 'node:fs/promises'
import type { BlockDevice } from '../../src-main/storage/block-device.ts'
import { byteFile } from '../../src-main/storage/file/open-byte-file.ts'
import { vdiUuid } from '../../src-main/storage/formats/vdi/vdi-header.ts'
import { createVdi, openVdi } from '../../src-main/storage/formats/vdi/vdi-image.ts'

/** @param parent path of the VDI it rests on; null: none */
export async function makeVdi(path: string, size: number, parent: { path: string; device: BlockDevice } | null): Promise<BlockDevice> {
  const handle = await open(path, 'wx+')
  const file = byteFile(handle, path, 0, false)
  await createVdi(file, { size })
  if (parent) {
    const type = new Uint8Array(4)
    type[0] = 4
    await file.write(76, type)
    await file.write(424, (await readFile(parent.path)).subarray(392, 408))
  }
  return openVdi(file, { openBacking: async () => null, openParent: async () => parent?.device ?? null })
}

export async function uuidOfVdi(path: string): Promise<string> {
  return vdiUuid((await readFile(path)).subarray(0, 512))
}
