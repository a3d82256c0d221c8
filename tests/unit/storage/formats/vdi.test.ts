import { describe, expect, test } from 'vitest'
import type { BlockDevice } from '../../../../src-main/storage/block-device.ts'
import type { ByteFile } from '../../../../src-main/storage/file/byte-file.ts'
import { checkVdi } from '../../../../src-main/storage/formats/vdi/check-vdi.ts'
import { isVdi } from '../../../../src-main/storage/formats/vdi/vdi-header.ts'
import { createVdi, openVdi } from '../../../../src-main/storage/formats/vdi/vdi-image.ts'
import { actLikeModel, expectSame } from '../../../support/disk-model.ts'
import { surviveFullDisk } from '../../../support/full-disk.ts'
import { surviveMutations } from '../../../support/hostile-image.ts'
import { jitteryFile } from '../../../support/jittery-file.ts'
import { memoryFile } from '../../../support/memory-file.ts'
import { survivePowerLoss } from '../../../support/power-loss.ts'
import { readBytes } from '../../../support/read-bytes.ts'

const MiB = 1024 * 1024
const open = (file: ByteFile) => openVdi(file, { openBacking: () => Promise.resolve(null) })

async function empty(size: number) {
  const file = memoryFile()
  await createVdi(file, { size })
  return file
}

/** An empty image with blocks of 4 KiB, so that tests are quick. */
async function smallBlocks(blocks: number, type = 1) {
  const file = await empty(MiB)
  const head = new DataView(file.bytes().buffer)
  head.setUint32(76, type, true)
  head.setUint32(344, 512 + Math.ceil((blocks * 4) / 512) * 512, true)
  head.setBigUint64(368, BigInt(blocks * 4096 - 512), true)
  head.setUint32(376, 4096, true)
  head.setUint32(384, blocks, true)
  await file.truncate(512)
  await file.write(512, new Uint8Array(Math.ceil((blocks * 4) / 512) * 512).fill(0xff))
  return file
}

describe('VDI', () => {
  test('is known by its signature', async () => {
    expect(isVdi((await empty(MiB)).bytes())).toBe(true)
    expect(isVdi(new Uint8Array(512))).toBe(false)
    expect(isVdi(new Uint8Array(10))).toBe(false)
  })

  test('a new image is empty and small', async () => {
    const file = await empty(3 * MiB + 512)
    expect(file.size).toBe(MiB)
    const image = await open(file)
    expect(image.info).toEqual({ size: 3 * MiB + 512, readOnly: false, format: 'vdi' })
    expect(image.details[0]).toEqual({ label: 'Kind', value: 'Dynamic' })
    expect(await image.extent(0, image.info.size)).toEqual({ length: 3 * MiB + 512, state: 'unallocated' })
    expectSame(await readBytes(image, 0, image.info.size), new Uint8Array(image.info.size), 0)
    await image.writeZeroes(0, image.info.size)
    await image.close()
    expect(file.size).toBe(MiB)
  })

  test.each([1, 2, 3])('does what a model does (%d)', async (seed) => {
    const file = await smallBlocks(64)
    const image = await open(file)
    const last = await actLikeModel(image, new Uint8Array(image.info.size), {
      seed,
      steps: 250,
      longest: 20_000,
      reopen: async (device) => (await device.close(), open(file)),
    })
    await last.close()
  })

  test('blocks of zeroes of an image read as zeroes and can be written', async () => {
    const file = await smallBlocks(4)
    new DataView(file.bytes().buffer).setUint32(512, 0xfffffffe, true)
    const image = await open(file)
    expect(await image.extent(0, 8192)).toEqual({ length: 4096, state: 'zero' })
    await image.write(10, new Uint8Array([7]))
    expect([...(await readBytes(image, 9, 3))]).toEqual([0, 7, 0])
    await image.close()
  })

  test.each([1, 2, 3, 4])('does so on a file whose operations overtake each other (%d)', async (seed) => {
    const file = jitteryFile(await smallBlocks(64), seed)
    const image = await open(file)
    const reopen = async (device: BlockDevice) => (await device.close(), open(file))
    const last = await actLikeModel(image, new Uint8Array(image.info.size), { seed, steps: 150, longest: 20_000, reopen })
    await last.close()
  })

  test('a disk that is full fails what it must, and harms nothing else', async () => {
    await surviveFullDisk({ image: (await smallBlocks(24)).bytes().slice(), open, seed: 5, writes: 15, longest: 10_000 })
  })

  test('keeps what was flushed through a loss of power at any write', async () => {
    const file = await smallBlocks(24)
    await survivePowerLoss({ image: file.bytes().slice(), open, seed: 5, writes: 40, longest: 10_000 })
  })

  test('gives room that a crash left behind to the next block', async () => {
    const file = await smallBlocks(3)
    await file.write(388, new Uint8Array([3])) // all counted, none used
    const image = await open(file)
    await image.write(0, new Uint8Array(image.info.size).fill(1))
    await image.close()
    expect(file.size).toBe(1024 + 3 * 4096)
    const again = await open(memoryFile(file.bytes(), 'a.vdi', true))
    expectSame(await readBytes(again, 0, again.info.size), new Uint8Array(again.info.size).fill(1), 0)
    await expect(again.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'denied' })
    await again.close()
  })

  test('refuses what it cannot read, and says why', async () => {
    await expect(open(await smallBlocks(4, 4))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('differencing disk') as string,
    })
    const shared = await smallBlocks(4)
    await shared.write(512, new Uint8Array(8))
    await shared.truncate(8192)
    await expect(open(shared)).rejects.toMatchObject({ code: 'corrupt', message: expect.stringContaining('same block') as string })
    await expect(createVdi(memoryFile(), { size: 1000 })).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('a check finds what is miscounted, shared or nowhere, and mends the count', async () => {
    const file = await smallBlocks(8)
    const image = await open(file)
    await image.write(0, new Uint8Array(5 * 4096).fill(1))
    await image.close()
    const sound = { corruptions: 0, leaks: 0, repairedCorruptions: 0, repairedLeaks: 0, findings: [] }
    expect(await checkVdi(file, { repair: false })).toEqual(sound)
    await file.write(388, new Uint8Array([3]))
    expect(await checkVdi(file, { repair: false })).toMatchObject({ corruptions: 1, leaks: 0, repairedCorruptions: 0 })
    await file.write(388, new Uint8Array([8]))
    expect(await checkVdi(file, { repair: true })).toMatchObject({ corruptions: 0, leaks: 3, repairedLeaks: 3 })
    expect(await checkVdi(file, { repair: true })).toEqual(sound)
    await file.write(512, new Uint8Array([1]))
    await file.write(516 + 12, new Uint8Array([7]))
    expect(await checkVdi(file, { repair: true })).toMatchObject({
      corruptions: 2,
      leaks: 2,
      findings: ['Block 1 lies over another one.', 'Block 4 is said to be where none can be.', expect.any(String)],
    })
    const readOnly = memoryFile(file.bytes(), 'a.vdi', true)
    await expect(checkVdi(readOnly, { repair: true })).rejects.toMatchObject({ code: 'denied' })
    await expect(checkVdi(file, { repair: false, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('survives any bytes', async () => {
    const file = await smallBlocks(32)
    const image = await open(file)
    await image.write(5000, new Uint8Array(60_000).fill(3))
    await image.close()
    await surviveMutations(
      file.bytes(),
      [
        [64, 72],
        [72, 472],
        [340, 392],
        [512, 640],
      ],
      1500,
      open,
    )
  })
})
