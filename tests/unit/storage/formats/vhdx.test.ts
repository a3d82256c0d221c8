import { describe, expect, test } from 'vitest'
import type { ByteFile } from '../../../../src-main/storage/file/byte-file.ts'
import { crc32c } from '../../../../src-main/storage/formats/vhdx/crc32c.ts'
import { isVhdx } from '../../../../src-main/storage/formats/vhdx/vhdx-header.ts'
import { openVhdx } from '../../../../src-main/storage/formats/vhdx/vhdx-image.ts'
import { expectSame } from '../../../support/disk-model.ts'
import { surviveMutations } from '../../../support/hostile-image.ts'
import { memoryFile } from '../../../support/memory-file.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import { batEntry, batSector, buildVhdx, DATA_AT, MiB, type VhdxChoice } from '../../../support/vhdx-builder.ts'

const openBytes = (bytes: Uint8Array) => openVhdx(memoryFile(bytes, 'a.vhdx', true), { openBacking: () => Promise.resolve(null) })
const FULL = 6
const DISK: VhdxChoice = {
  size: 3 * MiB + 4096,
  bat: { 0: { state: FULL, at: 5 }, 1: { state: 2 }, 2: { state: FULL, at: 4 }, 3: { state: 0 } },
  fileSize: 6,
}

/** Blocks 0 and 2 are 0x55 and 0x44, the others zeroes. */
function withData(choice: VhdxChoice = DISK) {
  const file = buildVhdx(choice)
  file.fill(0x44, DATA_AT, DATA_AT + MiB).fill(0x55, DATA_AT + MiB, DATA_AT + 2 * MiB)
  return file
}

/** Checksums hide what is behind them: mutated images get right ones. The log's entry is one of 12 KiB at sector 250. */
function rightChecksums(file: ByteFile): ByteFile {
  return {
    ...file,
    size: file.size,
    readOnly: true,
    async read(offset, into) {
      await file.read(offset, into)
      const at = into.length === MiB && offset === MiB ? 250 * 4096 : 0
      if (at === 0 && ![65_536, 131_072, 196_608, 262_144].includes(offset)) return
      const part = into.subarray(at, at > 0 ? at + 12_288 : into.length)
      new DataView(part.buffer, part.byteOffset).setUint32(4, crc32c(part, 4), true)
    },
  }
}

describe('VHDX', () => {
  test('CRC-32C of RFC 3720', () => {
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283)
  })

  test('reads blocks in every state', async () => {
    const image = await openBytes(withData())
    expect(isVhdx(withData())).toBe(true)
    expect(image.info).toEqual({ size: 3 * MiB + 4096, readOnly: true, format: 'vhdx' })
    const wanted = new Uint8Array(image.info.size)
    wanted.fill(0x55, 0, MiB).fill(0x44, 2 * MiB, 3 * MiB)
    expectSame(await readBytes(image, 0, wanted.length), wanted, 0)
    expectSame(await readBytes(image, MiB - 3, 2 * MiB), wanted.subarray(MiB - 3, 3 * MiB - 3), MiB - 3)
    expect(await image.extent(0, 3 * MiB)).toEqual({ length: MiB, state: 'data' })
    expect(await image.extent(MiB, 2 * MiB)).toEqual({ length: MiB, state: 'zero' })
    expect(await image.extent(3 * MiB, 4096)).toEqual({ length: 4096, state: 'unallocated' })
    await image.close()
  })

  test('the entries of sector bitmaps between the blocks’ are passed over', async () => {
    // 4096 blocks of 1 MiB are a chunk where sectors have 512 bytes.
    const image = await openBytes(
      withData({ size: 4098 * MiB, bat: { 4096: { state: FULL, at: 1 }, 4097: { state: FULL, at: 5 } }, fileSize: 6 }),
    )
    expect((await readBytes(image, 4096 * MiB, 1))[0]).toBe(0x55)
    const large = await openBytes(withData({ size: 4098 * MiB, sector: 4096, bat: { 4096: { state: FULL, at: 4 } }, fileSize: 6 }))
    expect((await readBytes(large, 4096 * MiB, 1))[0]).toBe(0x44)
    expect(large.details).toContainEqual({ label: 'Logical sectors', value: '4 KiB' })
  })

  test('uses the newer header, and the other when that is torn', async () => {
    const file = withData()
    file[128 * 1024 + 100] = 1
    await (await openBytes(file)).close()
    file[64 * 1024 + 100] = 1
    await expect(openBytes(file)).rejects.toMatchObject({ code: 'corrupt', message: expect.stringContaining('two headers') as string })
    const torn = withData()
    torn[192 * 1024 + 60] = 9
    await (await openBytes(torn)).close()
  })

  describe('the log', () => {
    const moved = { at: 5, bat: batSector({ 0: batEntry(FULL, 4), 1: batEntry(2, 0), 2: batEntry(FULL, 5) }) }

    test.each([0, 37, 254])('is replayed over the file, wherever in the ring it begins (%d)', async (start) => {
      const file = withData({
        ...DISK,
        log: {
          start,
          entries: [
            { sequence: 10n, writes: [batSector({ 0: batEntry(0, 0) }), { at: DATA_AT, bytes: new Uint8Array(4096).fill(1) }] },
            { sequence: 11n, writes: [moved.bat], zeroes: [{ at: DATA_AT + 4096, length: 8192 }] },
          ],
        },
      })
      const image = await openBytes(file)
      const wanted = new Uint8Array(MiB).fill(0x44).fill(1, 0, 4096).fill(0, 4096, 12_288)
      expectSame(await readBytes(image, 0, MiB), wanted, 0)
      expectSame(await readBytes(image, 4000, 200), wanted.subarray(4000, 4200), 4000)
      expect((await readBytes(image, 2 * MiB, 1))[0]).toBe(0x55)
      expect(image.details.at(-1)?.label).toBe('Log')
      await image.close()
    })

    test('ends with the newest entry that is whole', async () => {
      const file = withData({
        ...DISK,
        log: {
          start: 0,
          entries: [
            { sequence: 1n, writes: [moved.bat] },
            { sequence: 2n, writes: [batSector({})] },
          ],
        },
      })
      file[MiB + 8192 + 4096 + 200] = 1 // in the second entry
      expect((await readBytes(await openBytes(file), 0, 1))[0]).toBe(0x44)
    })

    test('only its newest entry knows how long the file has to be', async () => {
      const entries = [
        { sequence: 1n, writes: [moved.bat], flushedSize: 9 },
        { sequence: 2n, writes: [], flushedSize: 6 },
      ]
      await (await openBytes(withData({ ...DISK, log: { start: 0, entries } }))).close()
    })

    test('that should be there and is not, or whose file was cut off, is a fault', async () => {
      const file = withData({ ...DISK, log: { start: 0, entries: [{ sequence: 1n, writes: [moved.bat] }] } })
      const torn = file.slice()
      torn[MiB + 5000] = 7
      await expect(openBytes(torn)).rejects.toMatchObject({ code: 'corrupt', message: expect.stringContaining('log') as string })
      await expect(openBytes(file.slice(0, 5 * MiB))).rejects.toMatchObject({ message: expect.stringContaining('cut off') as string })
    })
  })

  test('refuses what it cannot do, and says why', async () => {
    await expect(openVhdx(memoryFile(withData()), { openBacking: () => Promise.resolve(null) })).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('Convert') as string,
    })
    await expect(openBytes(withData({ ...DISK, flags: 2, parentPath: '..\\base.vhdx' }))).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('“..\\base.vhdx”') as string,
    })
    await expect(openBytes(new Uint8Array(MiB))).rejects.toMatchObject({ code: 'corrupt' })
    const outside = await openBytes(withData({ ...DISK, bat: { 0: { state: FULL, at: 6 } } }))
    await expect(readBytes(outside, 0, 10)).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('block 0') as string,
    })
    const partial = await openBytes(withData({ ...DISK, bat: { 0: { state: 7, at: 4 } } }))
    await expect(partial.extent(0, 10)).rejects.toMatchObject({ code: 'corrupt' })
  })

  test('survives any bytes', { timeout: 60_000 }, async () => {
    const log = {
      start: 250,
      entries: [{ sequence: 3n, writes: [batSector({ 0: batEntry(FULL, 4) })], zeroes: [{ at: DATA_AT, length: 4096 }] }],
    }
    // The end of the file is of no interest, and copying it takes time.
    const file = buildVhdx({ ...DISK, size: 700_000 * 512, bat: { 0: { state: FULL, at: 4 } }, fileSize: 5, log }).slice(0, DATA_AT + MiB)
    const logAt = MiB + 250 * 4096
    await surviveMutations(
      file,
      [
        [0, 8],
        [65_536, 65_620],
        [131_072, 131_152],
        [196_608, 196_700],
        [262_144, 262_240],
        [2 * MiB, 2 * MiB + 2800],
        [3 * MiB, 3 * MiB + 200],
        [3 * MiB + 65_536, 3 * MiB + 65_580],
        [logAt, logAt + 140],
        [logAt + 4096, logAt + 4104],
      ],
      400,
      (mutated) => openVhdx(rightChecksums(mutated), { openBacking: () => Promise.resolve(null) }),
    )
  })
})
