import { describe, expect, test } from 'vitest'
import type { BlockDevice } from '../../../../src-main/storage/block-device.ts'
import type { ByteFile } from '../../../../src-main/storage/file/byte-file.ts'
import { checkVhd } from '../../../../src-main/storage/formats/vhd/check-vhd.ts'
import { buildDynamicHeader, buildFooter, geometry, isVhd } from '../../../../src-main/storage/formats/vhd/vhd-footer.ts'
import { createVhd, openVhd } from '../../../../src-main/storage/formats/vhd/vhd-image.ts'
import { actLikeModel, expectSame } from '../../../support/disk-model.ts'
import { surviveFullDisk } from '../../../support/full-disk.ts'
import { surviveMutations } from '../../../support/hostile-image.ts'
import { jitteryFile } from '../../../support/jittery-file.ts'
import { memoryFile } from '../../../support/memory-file.ts'
import { survivePowerLoss } from '../../../support/power-loss.ts'
import { readBytes } from '../../../support/read-bytes.ts'

const MiB = 1024 * 1024
const open = (file: ByteFile) => openVhd(file, { openBacking: () => Promise.resolve(null) })

/** A dynamic image with blocks of 4 KiB, so that tests are quick. */
async function smallBlocks(blocks: number) {
  const file = memoryFile()
  const footer = buildFooter('dynamic', blocks * 4096 - 512)
  await file.write(0, footer)
  await file.write(512, buildDynamicHeader(1536, blocks, 4096))
  await file.write(1536, new Uint8Array(Math.ceil(blocks / 128) * 512).fill(0xff))
  await file.write(file.size, footer)
  return file
}

/** A footer with other fields and the right checksum. */
function footerWith(change: (fields: DataView) => void): Uint8Array<ArrayBuffer> {
  const footer = buildFooter('fixed', MiB)
  const fields = new DataView(footer.buffer)
  change(fields)
  fields.setUint32(64, 0)
  fields.setUint32(64, ~footer.reduce((sum, byte) => sum + byte, 0) >>> 0)
  return footer
}

async function fixedWith(change: (fields: DataView) => void) {
  const file = memoryFile()
  await file.truncate(MiB)
  await file.write(MiB, footerWith(change))
  return file
}

describe('VHD', () => {
  test('is known by its beginning or its end', async () => {
    const fixed = await fixedWith(() => {})
    expect(isVhd(fixed.bytes().subarray(0, 512), fixed.bytes().subarray(-512))).toBe(true)
    const dynamic = await smallBlocks(4)
    expect(isVhd(dynamic.bytes().subarray(0, 512), new Uint8Array(512))).toBe(true)
    expect(isVhd(new Uint8Array(512), new Uint8Array(512))).toBe(false)
    expect(isVhd(new Uint8Array(3), new Uint8Array(3))).toBe(false)
  })

  test('geometry, as the specification computes it', () => {
    expect(geometry(MiB)).toEqual({ cylinders: 30, heads: 4, sectors: 17 })
    expect(geometry(504 * MiB)).toEqual({ cylinders: 1024, heads: 16, sectors: 63 })
    expect(geometry(120 * MiB)).toEqual({ cylinders: 963, heads: 15, sectors: 17 })
    expect(geometry(1024 ** 4)).toEqual({ cylinders: 65535, heads: 16, sectors: 255 })
  })

  test('new images are empty and small', async () => {
    for (const kind of ['fixed', 'dynamic'] as const) {
      const file = memoryFile()
      await createVhd(file, { size: 5 * MiB + 512, kind })
      expect(file.size).toBe(kind === 'fixed' ? 5 * MiB + 1024 : 2560)
      const image = await open(file)
      expect(image.info).toEqual({ size: 5 * MiB + 512, readOnly: false, format: 'vhd' })
      expect(image.details[0]).toEqual({ label: 'Kind', value: kind === 'fixed' ? 'Fixed' : 'Dynamic' })
      expectSame(await readBytes(image, 0, image.info.size), new Uint8Array(image.info.size), 0)
      await image.close()
    }
    await expect(createVhd(memoryFile(), { size: 3 * 1024 ** 4 })).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test.each([1, 2, 3])('a dynamic image does what a model does (%d)', async (seed) => {
    const file = await smallBlocks(64)
    const image = await open(file)
    const reopen = async (device: { close(): Promise<void> }) => (await device.close(), open(file))
    const last = await actLikeModel(image, new Uint8Array(image.info.size), { seed, steps: 250, longest: 20_000, reopen })
    await last.close()
    expect(isVhd(new Uint8Array(0), file.bytes())).toBe(true)
  })

  test('a fixed image does what a model does, and keeps its footer', async () => {
    const file = memoryFile()
    await createVhd(file, { size: 100_352, kind: 'fixed' })
    const footer = file.bytes().slice(-512)
    const reopen = async (device: { close(): Promise<void> }) => (await device.close(), open(file))
    const last = await actLikeModel(await open(file), new Uint8Array(100_352), { seed: 4, steps: 150, longest: 20_000, reopen })
    await last.close()
    expectSame(file.bytes().subarray(-512), footer, 0)
  })

  test.each([1, 2, 3, 4])('does so on a file whose operations overtake each other (%d)', async (seed) => {
    const file = jitteryFile(await smallBlocks(64), seed)
    const image = await open(file)
    const reopen = async (device: BlockDevice) => (await device.close(), open(file))
    const last = await actLikeModel(image, new Uint8Array(image.info.size), { seed, steps: 150, longest: 20_000, reopen })
    await last.close()
  })

  test('a disk that is full fails what it must, and harms nothing else', async () => {
    await surviveFullDisk({ image: (await smallBlocks(24)).bytes().slice(), open, seed: 9, writes: 15, longest: 10_000 })
  })

  test('keeps what was flushed through a loss of power at any write', async () => {
    const file = await smallBlocks(24)
    const check = async (crashed: ByteFile) => {
      const tail = new Uint8Array(512)
      await crashed.read(crashed.size - 512, tail)
      expect(isVhd(new Uint8Array(0), tail)).toBe(true)
    }
    await survivePowerLoss({ image: file.bytes().slice(), open, seed: 9, writes: 40, longest: 10_000, check })
  })

  test('sectors whose bit is not set read as zeroes; a write sets all bits', async () => {
    const file = await smallBlocks(2)
    const image = await open(file)
    await image.write(0, new Uint8Array(7680).fill(9))
    await image.close()
    await file.write(2048, new Uint8Array([0b0110_0001])) // sectors 1, 2 and 7 of the first block
    const wanted = new Uint8Array(7680).fill(9)
    wanted.fill(0, 0, 512).fill(0, 1536, 3584)
    const again = await open(file)
    expectSame(await readBytes(again, 0, 7680), wanted, 0)
    expectSame(await readBytes(again, 300, 1500), wanted.subarray(300, 1800), 300)
    await again.write(3000, new Uint8Array([1]))
    wanted[3000] = 1
    expectSame(await readBytes(again, 0, 7680), wanted, 0)
    await again.close()
    expect(file.bytes()[2048]).toBe(0xff)
  })

  test('how large the disk is depends on who made it', async () => {
    const creator = (text: string, cylinders = 20) =>
      fixedWith((fields) => {
        for (const [index, char] of [...text].entries()) fields.setUint8(28 + index, char.charCodeAt(0))
        fields.setUint16(56, cylinders)
      })
    for (const text of ['vpc ', 'vs  ', 'qemu']) expect((await open(await creator(text))).info.size).toBe(20 * 4 * 17 * 512)
    for (const text of ['win ', 'qem2', 'd2v ', 'tap\0', 'CTXS', 'vbox']) expect((await open(await creator(text))).info.size).toBe(MiB)
    expect((await open(await creator('vpc ', 0))).info.size).toBe(MiB)
  })

  test('a footer of 511 bytes, as Virtual PC once wrote it', async () => {
    const file = await fixedWith(() => {})
    await file.truncate(file.size - 1)
    expect((await open(file)).info.size).toBe(MiB)
  })

  test('the copy stands in for a footer that is damaged, which is put right', async () => {
    const file = await smallBlocks(2)
    await file.write(file.size - 512, new Uint8Array(100))
    expect((await open(memoryFile(file.bytes(), 'a.vhd', true))).info.size).toBe(7680)
    await (await open(file)).close()
    expectSame(file.bytes().subarray(-512), file.bytes().subarray(0, 512), 0)
    await file.write(0, new Uint8Array(10))
    await file.write(file.size - 512, new Uint8Array(10))
    await expect(open(file)).rejects.toMatchObject({ code: 'corrupt' })
  })

  test('a check finds what is shared, nowhere, nobody’s or missing, and mends the last two', async () => {
    const file = await smallBlocks(8)
    const image = await open(file)
    await image.write(0, new Uint8Array(5 * 4096).fill(1))
    await image.close()
    const sound = { corruptions: 0, leaks: 0, repairedCorruptions: 0, repairedLeaks: 0, findings: [] }
    expect(await checkVhd(file, { repair: false })).toEqual(sound)
    const whole = file.bytes().slice()
    // A block more at the end, and no footer behind it.
    await file.truncate(file.size + 4096)
    expect(await checkVhd(file, { repair: false })).toMatchObject({ corruptions: 1, leaks: 1, repairedCorruptions: 0 })
    expect(await checkVhd(file, { repair: true })).toMatchObject({ corruptions: 1, leaks: 1, repairedCorruptions: 1, repairedLeaks: 1 })
    expectSame(file.bytes(), whole, 0)
    await file.write(1536, file.bytes().slice(1540, 1544))
    await file.write(1536 + 16, new Uint8Array([0, 1, 0, 0]))
    expect(await checkVhd(file, { repair: true })).toMatchObject({
      corruptions: 2,
      repairedCorruptions: 0,
      findings: ['Block 1 lies over another one.', 'Block 4 is said to be where none can be.', expect.any(String)],
    })
    expect(await checkVhd(await fixedWith(() => {}), { repair: false })).toEqual(sound)
  })

  test('a differencing disk is refused with its parent’s name', async () => {
    const file = memoryFile()
    const footer = footerWith((fields) => {
      fields.setUint32(60, 4)
      fields.setBigUint64(16, 512n)
    })
    const header = buildDynamicHeader(1536, 1, 2 * MiB)
    for (const [index, char] of [...'base.vhd'].entries()) header[65 + index * 2] = char.charCodeAt(0)
    const fields = new DataView(header.buffer)
    fields.setUint32(36, 0)
    fields.setUint32(36, ~header.reduce((sum, byte) => sum + byte, 0) >>> 0)
    await file.write(0, footer)
    await file.write(512, header)
    await file.write(2048, footer)
    await expect(open(file)).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('“base.vhd”') as string,
    })
  })

  test('survives any bytes', async () => {
    const file = await smallBlocks(32)
    const image = await open(file)
    await image.write(5000, new Uint8Array(60_000).fill(3))
    await image.close()
    // Checksums hide what is behind them: mutated images get right ones.
    const rightChecksums = (mutated: ByteFile) => {
      return open({
        ...mutated,
        get size() {
          return mutated.size
        },
        async read(offset, into) {
          await mutated.read(offset, into)
          const at = into.length === 512 ? 64 : into.length === 1024 ? 36 : null
          if (at === null || (into[0] !== 0x63 && into[0] !== 0)) return
          const fields = new DataView(into.buffer)
          fields.setUint32(at, 0)
          fields.setUint32(at, ~into.reduce((sum, byte) => sum + byte, 0) >>> 0)
        },
      })
    }
    const end = file.size
    await surviveMutations(
      file.bytes(),
      [
        [0, 90],
        [512, 560],
        [1536, 1664],
        [end - 512, end - 420],
      ],
      1500,
      rightChecksums,
    )
    await surviveMutations(file.bytes(), [[0, end]], 500, open)
  })
})
