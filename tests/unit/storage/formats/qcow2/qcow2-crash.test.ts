/** A crash at any moment leaves what was flushed, and tables that are sound but for room that nobody uses. */
import { describe, expect, test } from 'vitest'
import { AppError } from '../../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../../../../src-main/storage/file/byte-file.ts'
import { checkQcow2 } from '../../../../../src-main/storage/formats/qcow2/check/check.ts'
import type { CreateQcow2 } from '../../../../../src-main/storage/formats/qcow2/create-qcow2.ts'
import type { Qcow2Image } from '../../../../../src-main/storage/formats/qcow2/qcow2-image.ts'
import { expectSame } from '../../../../support/disk-model.ts'
import type { MemoryFile } from '../../../../support/memory-file.ts'
import { crashes, expectOldOrNew, journalled, type Asked, type Entry } from '../../../../support/power-loss.ts'
import {
  addSnapshot,
  altered,
  BACKING,
  belowBytes,
  copyOf,
  expectSound,
  newQcow2,
  openOver,
  openSnapshot,
} from '../../../../support/qcow2-images.ts'
import { readBytes } from '../../../../support/read-bytes.ts'
import { noise, seeded } from '../../../../support/seeded.ts'

/** Rounds of requests at once, some with a flush in their midst. @returns what the disk had before */
async function work(image: Qcow2Image, journal: Entry[], rounds: number, random: (below: number) => number): Promise<Uint8Array> {
  const { size } = image.info
  const { clusterSize } = image
  const disk = await readBytes(image, 0, size)
  const before = disk.slice()
  for (let round = 0; round < rounds; round++) {
    // Requests at once do not touch the same clusters, so that the model is simple; neighbours share tables.
    const lanes = 1 + random(4)
    const lane = Math.floor(size / lanes / clusterSize) * clusterSize
    const open = new Set<Asked>()
    const requests = Array.from({ length: lanes }, async (_, i) => {
      const packed = random(4) === 0
      const length = packed ? clusterSize : 1 + random(Math.min(lane, clusterSize * 3))
      const within = random(lane - length + 1)
      const offset = i * lane + (packed ? within - (within % clusterSize) : within)
      const bytes = packed ? new Uint8Array(length).fill(1 + random(255)) : random(3) === 0 ? new Uint8Array(length) : noise(random, length)
      const asked: Asked = { kind: 'asked', offset, bytes }
      journal.push(asked)
      open.add(asked)
      const request = packed
        ? image.packed.write(offset, bytes)
        : bytes.some((byte) => byte !== 0)
          ? image.write(offset, bytes)
          : random(2) === 0
            ? image.writeZeroes(offset, length)
            : image.discard(offset, length)
      // A request that failed may have come half the way. What it left is kept like everything else.
      const done = await request.then(
        () => true,
        () => false,
      )
      disk.set(await readBytes(image, offset, length), offset)
      if (done) open.delete(asked)
    })
    if (random(2) === 0) {
      for (let wait = random(20); wait > 0; wait--) await Promise.resolve()
      const had = { kind: 'flushed' as const, disk: disk.slice(), open: [...open] }
      await image.flush().then(
        () => void journal.push(had),
        () => {},
      )
    }
    await Promise.all(requests)
  }
  await image.close().catch(() => {})
  return before
}

const layouts: [string, CreateQcow2 & { rounds: number; snapshot?: boolean; faults?: boolean }][] = [
  ['small clusters, so that tables are many', { size: 200 * 512, clusterSize: 512, refcountBits: 64, rounds: 30 }],
  ['counts of one bit', { size: 300 * 512, clusterSize: 512, refcountBits: 1, rounds: 30 }],
  ['version 2', { size: 100 * 1024, clusterSize: 1024, version: 2, rounds: 30 }],
  ['a backing', { size: 150 * 512, clusterSize: 512, refcountBits: 8, backing: BACKING, rounds: 30 }],
  ['a backing, version 2', { size: 60 * 1024, clusterSize: 1024, version: 2, backing: BACKING, rounds: 30 }],
  ['a snapshot', { size: 200 * 512, clusterSize: 512, rounds: 30, snapshot: true }],
  ['lazy counts', { size: 200 * 512, clusterSize: 512, refcountBits: 16, lazyRefcounts: true, rounds: 30 }],
  ['writes that fail', { size: 200 * 512, clusterSize: 512, refcountBits: 64, rounds: 40, faults: true }],
  ['writes that fail, and a snapshot', { size: 200 * 512, clusterSize: 512, rounds: 30, snapshot: true, faults: true }],
  ['usual clusters', { size: 20 * 65_536, rounds: 5 }],
]

/** Changes take a different time each. */
function pauses(random: (below: number) => number): () => Promise<void> {
  return async () => {
    for (let wait = random(8); wait > 0; wait--) await Promise.resolve()
  }
}

/** Some writes fail, before or after they did something. */
function flaky(file: MemoryFile, random: (below: number) => number): ByteFile {
  return altered(file, {
    async write(offset, bytes) {
      const fault = random(60)
      if (fault > 0) await file.write(offset, bytes)
      if (fault < 2) throw new AppError('io', 'The disk reported a write error.')
    },
  })
}

async function content(file: MemoryFile, below: Uint8Array | null = null): Promise<Uint8Array> {
  const image = await openOver(altered(file, { readOnly: true }), below)
  const bytes = await readBytes(image, 0, image.info.size)
  await image.close()
  return bytes
}

/** What crashes during some work on an image leave. */
async function* crashesDuring(file: MemoryFile, seed: number, act: (file: MemoryFile) => Promise<void>): AsyncGenerator<MemoryFile> {
  const random = seeded(seed)
  const journal: Entry[] = []
  const image = file.bytes().slice()
  await act(journalled(image, journal, pauses(random)))
  for await (const crash of crashes(image, journal, image, random, 4)) yield crash.file
}

describe('qcow2 and power that fails', () => {
  test.each(layouts)('%s', { timeout: 60_000 }, async (_name, { rounds, snapshot, faults, ...options }) => {
    const below = options.backing ? belowBytes(options.size - 1024) : null
    const start = await newQcow2(options)
    let then: Uint8Array | null = null
    if (snapshot) {
      await work(await openOver(start), [], 20, seeded(7))
      await addSnapshot(start, 'then')
      then = await content(start)
    }
    const image = start.bytes().slice()
    for (let seed = 1; seed <= 2; seed++) {
      const random = seeded(seed)
      const journal: Entry[] = []
      const file = journalled(image, journal, pauses(random))
      const before = await work(await openOver(faults ? flaky(file, random) : file, below), journal, rounds, random)
      for await (const { file, flushed, asked } of crashes(image, journal, before, random)) {
        if (options.lazyRefcounts) await (await openOver(file)).close() // counts anew
        await expectSound(file, true)
        expectOldOrNew(await content(file, below), flushed, asked)
        if (random(20) === 0) {
          // Whatever was lost, the image can be used on.
          await work(await openOver(file, below), [], 5, random)
          await expectSound(file, true)
        }
        if (then) expectSame(await readBytes(await openSnapshot(file), 0, then.length), then, 0)
      }
    }
  })

  test('while the refcount table gets too small', { timeout: 60_000 }, async () => {
    const size = 4500 * 512
    const file = await newQcow2({ size, clusterSize: 512, refcountBits: 64 })
    const made = await openOver(file)
    await made.write(0, new Uint8Array(3850 * 512).fill(1)) // almost all that the first table can count
    await made.close()
    const refcountTable = (image: MemoryFile): bigint => new DataView(image.bytes().buffer).getBigUint64(48)
    const before = await content(file)
    const places = new Set<bigint>()
    for (let seed = 1; seed <= 2; seed++) {
      const random = seeded(seed)
      const journal: Entry[] = []
      const image = await openOver(journalled(file.bytes(), journal, pauses(random)))
      const bytes = noise(random, 400 * 512)
      for (const [offset, length] of [
        [3900 * 512, 50 * 512],
        [4000 * 512 + 7, 400 * 512],
        [100, 1000],
      ] as const) {
        journal.push({ kind: 'asked', offset, bytes: bytes.subarray(0, length) })
        await image.write(offset, bytes.subarray(0, length))
      }
      await image.close()
      for await (const { file: crashed, asked } of crashes(file.bytes(), journal, before, random)) {
        await expectSound(crashed, true)
        expectOldOrNew(await content(crashed), before, asked)
        places.add(refcountTable(crashed))
      }
    }
    expect(places.size).toBe(2)
  })

  test('while an image grows or shrinks', { timeout: 60_000 }, async () => {
    for (const [from, to] of [
      [100 * 512, 3000 * 512],
      [3000 * 512, 10 * 512 + 512],
    ] as const) {
      const below = belowBytes(200 * 512)
      const file = await newQcow2({ size: from, clusterSize: 512, refcountBits: 32, backing: BACKING })
      const image = await openOver(file, below)
      for (let at = 0; at < from - 1000; at += 7000) await image.write(at, noise(seeded(at), 1000))
      await image.close()
      const before = await content(file, below)
      const after = new Uint8Array(to)
      after.set(before.subarray(0, to))
      const sizes = new Set<number>()
      for await (const crashed of crashesDuring(file, to, async (same) => {
        const resized = await openOver(same, below)
        await resized.resize(to)
        await resized.close()
      })) {
        const found = await content(crashed, below)
        sizes.add(found.length)
        expectSame(found, found.length === to ? after : before, 0)
        await expectSound(crashed, true)
      }
      expect([...sizes].sort()).toEqual([from, to].sort())
    }
  })

  test('while an image gets another backing', async () => {
    for (const clusterSize of [512, 4096]) {
      const file = await newQcow2({ size: 4096, clusterSize, backing: { path: 'x'.repeat(300), format: 'qcow2' } })
      const old = (await openOver(file)).backing
      for (const next of [
        { path: 'y'.repeat(clusterSize === 512 ? 200 : 700), format: 'qcow2' } as const,
        { path: 'short', format: 'qcow2' } as const,
        null,
      ])
        for await (const crashed of crashesDuring(file, clusterSize, async (same) => {
          const image = await openOver(same)
          await image.setBacking(next)
          await image.close()
        }))
          expect([JSON.stringify(old), JSON.stringify(next)]).toContain(JSON.stringify((await openOver(crashed)).backing))
    }
  })

  test('while an image is repaired', { timeout: 60_000 }, async () => {
    for (const lower of [false, true]) {
      const file = await newQcow2({ size: 300 * 512, clusterSize: 512, refcountBits: 16 })
      const image = await openOver(file)
      for (let at = 0; at < 290; at += 3) await image.write(at * 512, noise(seeded(at), 900))
      await image.close()
      const wanted = await content(file)
      // Each refcount block of a new image of this size lies where it counts itself; the first lies in cluster 2.
      const random = seeded(3)
      for (let i = 0; i < 60; i++) await file.write(2 * 512 + 2 * (10 + random(240)), new Uint8Array([0, lower ? random(3) : 2]))
      const found = await checkQcow2(copyOf(file), { repair: false })
      expect(found.leaks).toBeGreaterThan(0)
      expect(found.corruptions > 0).toBe(true)
      for await (const crashed of crashesDuring(file, 5, async (same) => void (await checkQcow2(same, { repair: true })))) {
        expectSame(await content(crashed), wanted, 0)
        const { corruptions } = await checkQcow2(crashed, { repair: false })
        expect(corruptions).toBeLessThanOrEqual(found.corruptions)
        const again = await checkQcow2(crashed, { repair: true })
        expect(again.repairedCorruptions).toBe(again.corruptions)
        await expectSound(crashed)
        expectSame(await content(crashed), wanted, 0)
      }
    }
  })
})
