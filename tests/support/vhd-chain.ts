/** Differencing VHDs (specification 1.0): the parent's id in the header, and bitmaps that say which sectors of a block are the disk's own. */
import { open, readFile } from 'node:fs/promises'
import { byteFile } from '../../src-main/storage/file/open-byte-file.ts'
import { createVhd, openVhd } from '../../src-main/storage/formats/vhd/vhd-image.ts'

const SECTOR = 512
const BLOCK = 2 * 1024 * 1024
/** Of the footer's copy, of the header behind it, and of the table behind that. */
const HEADER_AT = 512

/** @param own where the disk has bytes of its own: whole sectors, inside of one block each */
export async function makeVhd(
  path: string,
  size: number,
  parent: string | null,
  own: readonly { offset: number; bytes: Uint8Array }[],
): Promise<void> {
  const file = byteFile(await open(path, 'wx+'), path, 0, false)
  await createVhd(file, { size })
  const image = await openVhd(file, { openBacking: async () => null })
  for (const { offset, bytes } of own) await image.write(offset, bytes)
  await image.close()
  if (parent === null) return
  const handle = await open(path, 'r+')
  const whole = await readFile(path)
  const parentFile = await readFile(parent)
  const sum = (bytes: Buffer, at: number): void => {
    bytes.writeUInt32BE(0, at)
    bytes.writeUInt32BE(~bytes.reduce((total, byte) => total + byte, 0) >>> 0, at)
  }
  for (const at of [0, whole.length - SECTOR]) {
    const footer = Buffer.from(whole.subarray(at, at + SECTOR))
    footer.writeUInt32BE(4, 60)
    sum(footer, 64)
    await handle.write(footer, 0, SECTOR, at)
  }
  const header = Buffer.from(whole.subarray(HEADER_AT, HEADER_AT + 1024))
  header.set(parentFile.subarray(68, 84), 40)
  sum(header, 36)
  await handle.write(header, 0, header.length, HEADER_AT)
  const tableAt = Number(header.readBigUInt64BE(16))
  const bitmaps = new Map<number, Buffer>()
  for (const { offset, bytes } of own) {
    const block = Math.floor(offset / BLOCK)
    const bitmap = bitmaps.get(block) ?? Buffer.alloc(BLOCK / SECTOR / 8)
    bitmaps.set(block, bitmap)
    const first = (offset % BLOCK) / SECTOR
    for (let sector = first; sector < first + bytes.length / SECTOR; sector++) bitmap[sector >> 3]! |= 0x80 >> (sector & 7)
  }
  for (const [block, bitmap] of bitmaps) await handle.write(bitmap, 0, bitmap.length, whole.readUInt32BE(tableAt + block * 4) * SECTOR)
  await handle.close()
}
