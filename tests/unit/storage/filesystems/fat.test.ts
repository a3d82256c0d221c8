import { describe, expect, test } from 'vitest'
import { listFat } from '../../../../src-main/storage/filesystems/fat/list-fat.ts'
import { FoundFiles } from '../../../../src-main/storage/filesystems/file-list.ts'
import { findPartitions } from '../../../../src-main/storage/filesystems/partitions.ts'
import { volumeOf } from '../../../../src-main/storage/filesystems/volume.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { buildFat, FAT_SHAPES, type FatNode } from '../../../support/fat-builder.ts'
import { fuzzRuns, fuzzSeed } from '../../../support/hostile-image.ts'
import { seeded } from '../../../support/seeded.ts'

const signal = new AbortController().signal

function diskOf(bytes: Uint8Array) {
  return {
    info: { size: bytes.length, readOnly: true, format: 'raw' as const },
    read: async (offset: number, into: Uint8Array): Promise<void> => into.set(bytes.subarray(offset, offset + into.length)),
  }
}
const list = (bytes: Uint8Array) => listFat(volumeOf(diskOf(bytes), 0, bytes.length), signal)

const tree: FatNode[] = [
  { name: 'short', size: 10 },
  { name: 'A name with many characters, and blanks.text', size: 70_000 },
  {
    name: 'folder',
    children: [
      ...Array.from({ length: 60 }, (_, i): FatNode => ({ name: `file number ${i}`, size: i })),
      { name: 'déjà vu', children: [{ name: 'deep', size: 1 }] },
      { name: 'empty', children: [] },
    ],
  },
]

describe('FAT', () => {
  test.each(FAT_SHAPES)('of $bits bits: names, sizes, folders of several clusters', async (shape) => {
    const found = await list(buildFat(shape, tree))
    expect(found).toMatchObject({ kind: 'fat', label: 'TEST', note: null })
    const files = Object.fromEntries([...found!.files].map(([path, { size }]) => [path, size]))
    expect(files).toEqual({
      '/short': 10,
      '/A name with many characters, and blanks.text': 70_000,
      ...Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`/folder/file number ${i}`, i])),
      '/folder/déjà vu/deep': 1,
    })
  })

  test('folders in rings are followed once, chains that lead nowhere are left out', async () => {
    const shape = FAT_SHAPES[1]!
    const bytes = buildFat(shape, [{ name: 'a', children: [{ name: 'b', children: [] }] }])
    const view = new DataView(bytes.buffer)
    const table = 512
    // Every cluster names itself as the next one.
    for (let cluster = 2; cluster < 40; cluster++) view.setUint16(table + cluster * 2, cluster, true)
    expect(await list(bytes)).toMatchObject({ note: 'Some of its folders are damaged and are left out.' })
  })

  test('what is something else is none', async () => {
    expect(await list(new Uint8Array(4096))).toBeNull()
    expect(await list(new Uint8Array(100))).toBeNull()
  })

  test('damaged ones are read as far as they go, or refused', { timeout: 60_000 }, async () => {
    const random = seeded(fuzzSeed(5))
    const images = FAT_SHAPES.slice(0, 2).map((shape) => buildFat(shape, tree))
    for (let run = 0; run < fuzzRuns(300); run++) {
      const bytes = images[run % 2]!.slice()
      for (let change = 0; change < 4; change++) bytes[random(2) === 0 ? random(64) : random(40_000)] = random(256)
      await list(bytes).catch((error: unknown) => {
        if (!(error instanceof AppError) || error.code === 'internal') throw error
      })
    }
  })
})

describe('partitions', () => {
  const entry = (view: DataView, at: number, type: number, start: number, length: number): void => {
    view.setUint8(at + 4, type)
    view.setUint32(at + 8, start, true)
    view.setUint32(at + 12, length, true)
  }

  test('of a master boot record, with logical ones', async () => {
    const bytes = new Uint8Array(512 * 1000)
    const view = new DataView(bytes.buffer)
    for (const sector of [0, 200, 300]) view.setUint16(sector * 512 + 510, 0x55aa)
    entry(view, 446, 0x83, 10, 50)
    entry(view, 446 + 16, 0x05, 200, 300)
    entry(view, 446 + 32, 0x83, 900, 5000)
    entry(view, 200 * 512 + 446, 0x0b, 10, 20)
    entry(view, 200 * 512 + 462, 0x05, 100, 50)
    entry(view, 300 * 512 + 446, 0x83, 1, 2)
    // A ring.
    entry(view, 300 * 512 + 462, 0x05, 100, 50)
    const found = await findPartitions(diskOf(bytes))
    expect(found.slice(0, 3)).toEqual([
      { number: 1, start: 5120, size: 25_600 },
      { number: 5, start: 210 * 512, size: 10_240 },
      { number: 6, start: 301 * 512, size: 1024 },
    ])
    expect(found.length).toBeLessThan(70)
  })

  test('of a GPT; without any, the disk is one', async () => {
    const bytes = new Uint8Array(512 * 1000)
    const view = new DataView(bytes.buffer)
    expect(await findPartitions(diskOf(bytes))).toEqual([{ number: 0, start: 0, size: bytes.length }])
    view.setUint16(510, 0x55aa)
    entry(view, 446, 0xee, 1, 999)
    bytes.set(new TextEncoder().encode('EFI PART'), 512)
    view.setBigUint64(512 + 72, 2n, true)
    view.setUint32(512 + 80, 128, true)
    view.setUint32(512 + 84, 128, true)
    view.setUint8(1024 + 128, 1)
    view.setBigUint64(1024 + 128 + 32, 100n, true)
    view.setBigUint64(1024 + 128 + 40, 199n, true)
    expect(await findPartitions(diskOf(bytes))).toEqual([{ number: 2, start: 51_200, size: 51_200 }])
    view.setUint32(512 + 80, 0xffffffff, true)
    view.setUint32(512 + 84, 0xffffffff, true)
    expect(await findPartitions(diskOf(bytes))).toEqual([{ number: 0, start: 0, size: bytes.length }])
  })
})

test('a list of files takes so much memory and no more', () => {
  const found = new FoundFiles()
  const path = 'x'.repeat(1024 * 1024)
  for (let i = 0; i < 64; i++) found.add(`${i}${path}`.slice(0, path.length), { size: 1, stamp: '' })
  expect(() => found.add('one more', { size: 1, stamp: '' })).toThrow(/too many files to be listed \(more than 64\)/)
})
