/** Partition tables as guests write them, and as hostile ones do. */
import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MiB } from '../../../src-shared/base/units.ts'
import { resizeImage } from '../../../src-main/storage/jobs/resize-image.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { rawDevice } from '../../../src-main/storage/formats/raw/raw-device.ts'
import { moveSecondTable, partitionTable } from '../../../src-main/storage/partition-table.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { crashes, journalled, type Entry } from '../../support/power-loss.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { seeded } from '../../support/seeded.ts'

const SECTOR = 512
const SECTORS = (64 * MiB) / SECTOR
const SECOND = 33

type Part = [start: number, sectors: number]

function mbr(entries: [type: number, ...Part][]): Buffer {
  const sector = Buffer.alloc(SECTOR)
  entries.forEach(([type, start, sectors], at) => {
    sector[446 + at * 16 + 4] = type
    sector.writeUInt32LE(start, 446 + at * 16 + 8)
    sector.writeUInt32LE(sectors, 446 + at * 16 + 12)
  })
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

/** UEFI 2.10 section 5.3: header and entries, at the beginning and at the end. */
function gpt(parts: Part[], sectors = SECTORS): [offset: number, bytes: Buffer][] {
  const entries = Buffer.alloc(128 * 128)
  parts.forEach(([start, length], at) => {
    entries.fill(at + 1, at * 128, at * 128 + 32)
    entries.writeBigUInt64LE(BigInt(start), at * 128 + 32)
    entries.writeBigUInt64LE(BigInt(start + length - 1), at * 128 + 40)
  })
  const header = (mine: number, other: number, table: number): Buffer => {
    const bytes = Buffer.alloc(92)
    bytes.write('EFI PART', 0, 'latin1')
    bytes.writeUInt32LE(0x10000, 8)
    bytes.writeUInt32LE(92, 12)
    bytes.writeBigUInt64LE(BigInt(mine), 24)
    bytes.writeBigUInt64LE(BigInt(other), 32)
    bytes.writeBigUInt64LE(34n, 40)
    bytes.writeBigUInt64LE(BigInt(sectors - SECOND - 1), 48)
    bytes.writeBigUInt64LE(BigInt(table), 72)
    bytes.writeUInt32LE(128, 80)
    bytes.writeUInt32LE(128, 84)
    bytes.writeUInt32LE(crc32(entries), 88)
    bytes.writeUInt32LE(crc32(bytes), 16)
    return bytes
  }
  const last = sectors - 1
  return [
    [0, mbr([[0xee, 1, last]])],
    [SECTOR, header(1, last, 2)],
    [2 * SECTOR, entries],
    [(last - 32) * SECTOR, entries],
    [last * SECTOR, header(last, 1, last - 32)],
  ]
}

async function disk(parts: [number, Buffer][], size = SECTORS * SECTOR): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-test-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'disk.img')
  await writeFile(path, '')
  await truncate(path, size)
  const image = await openImage({ path, format: 'raw', readOnly: false })
  for (const [offset, bytes] of parts) await image.write(offset, bytes)
  await image.close()
  return path
}

async function tableOf(path: string) {
  const image = await openImage({ path, format: 'raw', readOnly: true })
  try {
    return await partitionTable(image)
  } finally {
    await image.close()
  }
}
const resize = (path: string, size: number, shrink: boolean) => resizeImage({ path, format: 'raw', folders: [] }, size, shrink)

describe('a partition table', () => {
  test('is none where there is none', async () => {
    expect(await tableOf(await disk([]))).toBeNull()
    const fat = mbr([])
    fat.fill(0x41, 440, 510)
    expect(await tableOf(await disk([[0, fat]])), 'a file system with the same mark').toBeNull()
  })

  test('of the old kind ends with its last partition, logical ones included', async () => {
    const path = await disk([
      [
        0,
        mbr([
          [0x83, 2048, 20480],
          [0x05, 40960, 40960],
        ]),
      ],
      [
        40960 * SECTOR,
        mbr([
          [0x83, 2048, 8192],
          [0x05, 20480, 20480],
        ]),
      ],
      [(40960 + 20480) * SECTOR, mbr([[0x83, 2048, 10000]])],
    ])
    expect(await tableOf(path)).toMatchObject({ kind: 'mbr', last: { number: 2, end: 81920 * SECTOR }, least: 81920 * SECTOR })
    // A chain that leads back ends.
    const loop = await disk([
      [0, mbr([[0x0f, 2048, 100]])],
      [
        2048 * SECTOR,
        mbr([
          [0x83, 1, 9],
          [0x05, 0, 100],
        ]),
      ],
    ])
    expect(await tableOf(loop)).toMatchObject({ last: { number: 1 } })
  })

  test('of GUIDs ends with its last partition and the second table', async () => {
    expect(
      await tableOf(
        await disk(
          gpt([
            [2048, 20480],
            [40960, 100],
          ]),
        ),
      ),
    ).toMatchObject({
      ...{ kind: 'gpt', last: { number: 2, end: 41060 * SECTOR }, least: (41060 + SECOND) * SECTOR },
    })
  })

  test('that is damaged says so; any bytes give a table, none or that', async () => {
    const [first, header, ...rest] = gpt([[2048, 100]])
    header![1][60] = 7
    await expect(tableOf(await disk([first!, header!, ...rest]))).rejects.toMatchObject({ code: 'corrupt' })
    const random = seeded(5)
    for (let round = 0; round < 30; round++) {
      const bytes = Buffer.concat([gpt([[2048, 100]])[0]![1], Buffer.from(gpt([[2048, 100]])[1]![1]), Buffer.alloc(2000)])
      for (let times = 0; times < 8; times++) bytes[440 + random(170)] = random(256)
      if (random(2) === 0)
        bytes.writeUInt32LE(crc32(Buffer.concat([bytes.subarray(512, 528), Buffer.alloc(4), bytes.subarray(532, 604)])), 528)
      await tableOf(await disk([[0, bytes]])).catch((error: unknown) => expect(error).toBeInstanceOf(AppError))
    }
  })
})

describe('a disk that becomes smaller', () => {
  test('loses no partition, whatever is said', async () => {
    const path = await disk([[0, mbr([[0x83, 2048, 81920]])]])
    await expect(resize(path, 20 * MiB, true)).rejects.toMatchObject({
      ...{
        code: 'invalid-input',
        message: expect.stringContaining('its partition 1 ends at 41 MiB. Shrink that partition in the guest first.') as string,
      },
    })
    await expect(resize(path, 50 * MiB, false)).rejects.toMatchObject({ code: 'invalid-input' })
    expect(await resize(path, 41 * MiB, true)).toEqual({ size: 41 * MiB })
  })

  test('takes its second table along', async () => {
    const path = await disk(gpt([[2048, 20480]]))
    await expect(resize(path, 11 * MiB, true)).rejects.toMatchObject({ message: expect.stringContaining('room behind') as string })
    const size = 20 * MiB
    await resize(path, size, true)
    const image = await openImage({ path, format: 'raw', readOnly: true })
    for (const [offset, bytes] of gpt([[2048, 20480]], size / SECTOR).slice(1))
      expect(Buffer.compare(await readBytes(image, offset, bytes.length), bytes), `at ${offset}`).toBe(0)
    await image.close()
  })

  test('has a whole table at every moment, also where power fails', async () => {
    const size = 4 * MiB
    const content = new Uint8Array(8 * MiB)
    for (const [offset, bytes] of gpt([[2048, 1000]], content.length / SECTOR)) content.set(bytes, offset)
    const journal: Entry[] = []
    const device = rawDevice(journalled(content.slice(), journal))
    const table = (await partitionTable(device))!
    await moveSecondTable(device, table.gpt!, size)
    await device.resize!(size)
    let times = 0
    for await (const { file } of crashes(content, journal, content, seeded(3), 4)) {
      times++
      const found = await partitionTable(rawDevice(file))
      expect(found?.last).toEqual(table.last)
    }
    expect(times).toBeGreaterThan(10)
  })
})
