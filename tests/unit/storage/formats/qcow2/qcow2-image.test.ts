import { describe, expect, test } from 'vitest'
import type { ByteFile } from '../../../../../src-main/storage/file/byte-file.ts'
import { checkQcow2 } from '../../../../../src-main/storage/formats/qcow2/check/check.ts'
import { isQcow2 } from '../../../../../src-main/storage/formats/qcow2/header.ts'
import { actLikeModel, expectSame } from '../../../../support/disk-model.ts'
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
  patchHeader,
} from '../../../../support/qcow2-images.ts'
import type { MemoryFile } from '../../../../support/memory-file.ts'
import { readBytes } from '../../../../support/read-bytes.ts'
import { noise, seeded } from '../../../../support/seeded.ts'

const openWith = (file: MemoryFile, changes: Partial<ByteFile>) => openOver(altered(file, changes))

const KiB = 1024
const MiB = 1024 * KiB

describe('qcow2 images', () => {
  test('a new one is small, empty, and says what it is', async () => {
    const file = await newQcow2({ size: 10 * MiB + 100 })
    expect(isQcow2(file.bytes())).toBe(true)
    expect(isQcow2(new Uint8Array(512))).toBe(false)
    expect(file.size).toBe(4 * 64 * KiB)
    const image = await openOver(file)
    expect(image.info).toEqual({ size: 10 * MiB + 512, readOnly: false, format: 'qcow2' })
    expect(image.backing).toBeNull()
    expect(image.rewriteLoses).toBeNull()
    expect(image.details).toEqual([
      { label: 'Version', value: '3 (QEMU 1.1)' },
      { label: 'Cluster size', value: '64 KiB' },
      { label: 'Reference counts', value: '16 bits' },
      { label: 'Compression', value: 'Deflate' },
    ])
    expect(await image.extent(0, image.info.size)).toEqual({ length: image.info.size, state: 'unallocated' })
    await image.close()
    expect(file.size).toBe(4 * 64 * KiB)
    await expectSound(file)
  })

  test('what cannot be made is refused with its field', async () => {
    for (const [options, path] of [
      [{ size: 1, clusterSize: 1000 }, 'clusterSize'],
      [{ size: 1, clusterSize: 4 * MiB }, 'clusterSize'],
      [{ size: 1, refcountBits: 3 }, 'refcountBits'],
      [{ size: 1, version: 2, refcountBits: 8 }, 'refcountBits'],
      [{ size: 1, version: 2, lazyRefcounts: true }, 'lazyRefcounts'],
      [{ size: -1 }, 'size'],
      [{ size: NaN }, 'size'],
      [{ size: 2 ** 40, clusterSize: 512 }, 'size'],
      [{ size: 1, backing: BACKING, preallocation: 'metadata' }, 'preallocation'],
      [{ size: 1, backing: { path: 'x'.repeat(1024), format: 'raw' } }, 'backing.path'],
      [{ size: 1, backing: { path: '', format: 'raw' } }, 'backing.path'],
    ] as const)
      await expect(newQcow2(options), path).rejects.toMatchObject({ code: 'invalid-input', details: { fields: [{ path }] } })
  })

  test('clusters side by side are one request to the file', async () => {
    const file = await newQcow2({ size: MiB })
    const requests: string[] = []
    const image = await openWith(file, {
      read: (offset, into) => (requests.push(`read ${into.length}`), file.read(offset, into)),
      write: (offset, bytes) => (requests.push(`write ${bytes.length}`), file.write(offset, bytes)),
    })
    await image.write(MiB - 1, new Uint8Array(1)) // the tables are in memory then
    requests.length = 0
    await image.write(1000, new Uint8Array(300_000).fill(1))
    await image.write(5000, new Uint8Array(100_000).fill(2))
    await readBytes(image, 3000, 200_000)
    expect(requests).toEqual(['write 300000', 'write 100000', 'read 200000'])
    await image.close()
  })

  test('metadata waits for a flush; a flush with nothing to say is one sync', async () => {
    const file = await newQcow2({ size: MiB })
    let syncs = 0
    const image = await openWith(file, { sync: async () => void syncs++ })
    for (let i = 0; i < 10; i++) await image.write(i * 70_000, new Uint8Array(1000).fill(1))
    expect(syncs).toBe(0)
    await image.flush()
    expect(syncs).toBe(2) // data and counts, then the tables
    await image.write(0, new Uint8Array(10))
    await image.flush()
    expect(syncs).toBe(3)
    await image.close()
  })

  test('tables that change without end are written unasked', { timeout: 30_000 }, async () => {
    const size = 1200 * MiB
    const file = await newQcow2({ size, clusterSize: 512, refcountBits: 1, backing: BACKING })
    let syncs = 0
    const image = await openWith(file, { sync: async () => void syncs++ })
    await image.writeZeroes(0, size)
    expect(syncs).toBeGreaterThan(1)
    expect(await image.extent(size - 512, 512)).toEqual({ length: 512, state: 'zero' })
    await image.close()
    await expectSound(file)
  })

  test('requests at once in one cluster do not lose each other', async () => {
    const file = await newQcow2({ size: MiB, backing: BACKING })
    const below = belowBytes(MiB)
    const image = await openOver(file, below)
    const model = below.slice()
    await Promise.all(
      Array.from({ length: 128 }, async (_, i) => {
        model.fill(i + 1, i * 512, i * 512 + 300)
        await image.write(i * 512, new Uint8Array(300).fill(i + 1))
      }),
    )
    expectSame(await readBytes(image, 0, MiB), model, 0)
    await image.close()
    expect(file.size).toBeLessThanOrEqual(6 * 64 * KiB)
    await expectSound(file)
  })

  test.each([2, 3] as const)('zeroes and discards over a backing, version %d', async (version) => {
    const below = belowBytes(80 * KiB)
    const file = await newQcow2({ size: 100 * KiB, clusterSize: 4096, version, backing: BACKING })
    let image = await openOver(file, below)
    await image.write(0, new Uint8Array(20 * KiB).fill(7))
    await image.discard(0, 8 * KiB)
    await image.writeZeroes(8 * KiB + 100, 60 * KiB)
    await image.writeZeroes(80 * KiB, 20 * KiB)
    const wanted = new Uint8Array(100 * KiB)
    wanted.set(below)
    wanted.fill(version === 2 ? 7 : 0, 0, 8 * KiB)
    wanted.fill(7, 8 * KiB, 8 * KiB + 100)
    wanted.fill(0, 8 * KiB + 100, 68 * KiB + 100)
    expectSame(await readBytes(image, 0, 100 * KiB), wanted, 0)
    await image.close()
    await expectSound(file)
    image = await openOver(file, below)
    expectSame(await readBytes(image, 0, 100 * KiB), wanted, 0)
    expect(await image.extent(16 * KiB, 100)).toEqual({ length: 100, state: version === 2 ? 'data' : 'zero' })
    await image.close()
  })

  test('what is under way when the image closes comes to its end', async () => {
    const file = await newQcow2({ size: MiB, clusterSize: 4096 })
    const image = await openOver(file)
    const model = new Uint8Array(MiB)
    for (let i = 0; i < 50; i++) model.fill(i + 1, i * 9000, i * 9000 + 9000)
    const writes = Array.from({ length: 50 }, (_, i) => image.write(i * 9000, model.slice(i * 9000, i * 9000 + 9000)))
    await image.close()
    await Promise.all(writes)
    await expect(image.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'disconnected' })
    await expectSound(file)
    expectSame(await readBytes(await openOver(file), 0, MiB), model, 0)
  })

  test('a disk of no bytes can grow', async () => {
    const file = await newQcow2({ size: 0 })
    await expectSound(file)
    const image = await openOver(file)
    await image.resize(MiB)
    await image.write(MiB - 512, new Uint8Array(512).fill(1))
    await image.close()
    await expectSound(file)
    expect((await readBytes(await openOver(file), MiB - 1, 1))[0]).toBe(1)
  })

  test('what was discarded is used again, after a flush', async () => {
    const file = await newQcow2({ size: 4 * MiB })
    const image = await openOver(file)
    await image.write(0, noise(seeded(1), 2 * MiB))
    await image.flush()
    const full = file.size
    for (let i = 0; i < 5; i++) {
      await image.discard(0, 2 * MiB)
      await image.flush()
      await image.write(2 * MiB, noise(seeded(2), 2 * MiB))
      await image.flush()
      await image.discard(2 * MiB, 2 * MiB)
      await image.flush()
      await image.write(0, noise(seeded(3), 2 * MiB))
      await image.flush()
    }
    expect(file.size).toBe(full)
    expectSame(await readBytes(image, 0, 2 * MiB), noise(seeded(3), 2 * MiB), 0)
    await image.close()
    await expectSound(file)
  })

  test('room is given back to the file system only when no table on disk names it', async () => {
    const file = await newQcow2({ size: MiB })
    const events: string[] = []
    const image = await openWith(file, {
      sync: async () => void events.push('sync'),
      discard: async (_offset, length) => void events.push(`hole ${length}`),
    })
    await image.write(0, new Uint8Array(128 * KiB).fill(1))
    await image.flush()
    events.length = 0
    await image.discard(0, 128 * KiB)
    expect(events).toEqual([])
    await image.flush()
    expect(events).toEqual(['sync', 'sync', `hole ${128 * KiB}`])
    await image.close()
  })

  test('compressed clusters share room, are read back, and are let go', async () => {
    const file = await newQcow2({ size: MiB + 1000 * 512, clusterSize: 4096 })
    const image = await openOver(file)
    const model = new Uint8Array(image.info.size)
    for (let at = 0; at < model.length; at += 4096) {
      const end = Math.min(model.length, at + 4096)
      model.fill((at / 4096) % 250, at, end)
      if (at % 12288 === 0) model.set(noise(seeded(at + 1), 100), at)
      await image.packed.write(at, model.slice(at, end))
    }
    expectSame(await readBytes(image, 0, model.length), model, 0)
    await image.flush()
    expect(file.size).toBeLessThan(model.length / 8)
    // What does not get smaller is stored as it is.
    const random = noise(seeded(9), 4096)
    await image.packed.write(0, random)
    model.set(random, 0)
    await image.write(5000, new Uint8Array(10_000).fill(0xee))
    model.fill(0xee, 5000, 15_000)
    await image.discard(40_960, 40_960)
    model.fill(0, 40_960, 81_920)
    await image.close()
    await expectSound(file)
    const again = await openOver(file)
    expectSame(await readBytes(again, 0, model.length), model, 0)
    await expect(again.packed.write(512, random)).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(again.packed.write(0, random.subarray(1))).rejects.toMatchObject({ code: 'invalid-input' })
    await again.close()
  })

  test('a snapshot inside keeps what it has, whatever is written', async () => {
    for (const clusterSize of [512, 4096]) {
      const size = 120 * clusterSize
      const file = await newQcow2({ size, clusterSize, refcountBits: 8 })
      let image = await openOver(file)
      const model = new Uint8Array(size)
      image = (await actLikeModel(image, model, {
        seed: 5,
        steps: 40,
        longest: 3 * clusterSize,
        reopen: async (same) => same,
      })) as typeof image
      await image.packed.write(0, new Uint8Array(clusterSize).fill(3))
      model.fill(3, 0, clusterSize)
      await image.close()
      const then = model.slice()
      await addSnapshot(file, 'first')
      await expectSound(file)
      image = await openOver(file)
      expect(image.snapshots).toMatchObject([{ id: '1', name: 'first', takenAt: 1_700_000_000_000, stateBytes: 0, diskSize: size }])
      expect(image.details.at(-1)).toEqual({ label: 'Internal snapshots', value: 'first' })
      expect(image.rewriteLoses).toContain('internal snapshots')
      const reopen = async (device: { close(): Promise<void> }) => {
        await device.close()
        await expectSound(file)
        return openOver(file)
      }
      await (await actLikeModel(image, model, { seed: 6, steps: 80, longest: 3 * clusterSize, reopen })).close()
      await expectSound(file)
      expectSame(await readBytes(await openSnapshot(file), 0, size), then, 0)
    }
  })

  test('sizes: growing shows zeroes only, shrinking cuts off and frees', async () => {
    const below = belowBytes(300 * KiB)
    for (const version of [2, 3] as const) {
      const file = await newQcow2({ size: 100 * KiB + 512, clusterSize: 1024, version, backing: BACKING })
      let image = await openOver(file, below)
      await image.write(99 * KiB, new Uint8Array(1536).fill(5))
      await image.resize(9 * MiB)
      const model = new Uint8Array(9 * MiB)
      model.set(below.subarray(0, 100 * KiB + 512))
      model.fill(5, 99 * KiB, 100 * KiB + 512)
      expect(image.info.size).toBe(9 * MiB)
      expectSame(await readBytes(image, 0, 9 * MiB), model, 0)
      await image.write(8 * MiB, noise(seeded(1), MiB))
      await image.close()
      await expectSound(file)

      const large = file.size
      image = await openOver(file, below)
      await image.resize(50 * KiB + 512)
      expect(file.size).toBeLessThan(large)
      await expect(image.write(51 * KiB, new Uint8Array(1))).rejects.toMatchObject({ code: 'invalid-input' })
      await image.resize(200 * KiB)
      model.fill(0, 50 * KiB + 512)
      expectSame(await readBytes(image, 0, 200 * KiB), model.subarray(0, 200 * KiB), 0)
      await image.close()
      await expectSound(file)
      image = await openOver(file, below)
      expectSame(await readBytes(image, 0, 200 * KiB), model.subarray(0, 200 * KiB), 0)
      await image.close()
    }
  })

  test('sizes that cannot be', async () => {
    const image = await openOver(await newQcow2({ size: MiB, clusterSize: 512 }))
    for (const size of [-512, 1000, NaN, 2 ** 40]) await expect(image.resize(size)).rejects.toMatchObject({ code: 'invalid-input' })
    await image.close()
    const old = await newQcow2({ size: MiB, version: 2 })
    await addSnapshot(old, 'x')
    const kept = await openOver(old)
    await expect(kept.resize(2 * MiB)).rejects.toMatchObject({ code: 'unsupported' })
    await kept.close()
  })

  test('another backing', async () => {
    const below = belowBytes(64 * KiB)
    for (const clusterSize of [512, 65_536])
      for (const version of [2, 3] as const) {
        const file = await newQcow2({ size: 64 * KiB, clusterSize, version })
        for (const backing of [
          BACKING,
          { path: 'a/much longer name of another image', format: 'qcow2' } as const,
          { path: 'b', format: null },
          null,
        ]) {
          const image = await openOver(file, below)
          await image.setBacking(backing)
          expect(image.backing).toEqual(backing)
          await image.close()
          const again = await openOver(file, below)
          expect(again.backing).toEqual(backing)
          if (backing) expectSame(await readBytes(again, 0, 64 * KiB), below, 0)
          await again.close()
        }
        await expectSound(file)
      }
  })

  test('another backing, where an old header has its name right behind the fields', async () => {
    const file = await newQcow2({ size: 64 * KiB, version: 2 })
    patchHeader(file, (head) => {
      head.setBigUint64(8, 72n)
      head.setUint32(16, 9)
      new Uint8Array(head.buffer).set(new TextEncoder().encode('below.raw'), 72)
    })
    for (const backing of [BACKING, null, { path: 'x', format: null }, BACKING]) {
      const image = await openOver(file)
      await image.setBacking(backing)
      await image.close()
      expect((await openOver(file)).backing).toEqual(backing)
    }
  })

  test('changing an image clears what only those may keep who understand it', async () => {
    const file = await newQcow2({ size: MiB })
    const autoclear = 88
    patchHeader(file, (head) => head.setBigUint64(autoclear, 6n))
    const image = await openOver(file)
    await readBytes(image, 0, 512)
    await image.flush()
    expect(new DataView(file.bytes().buffer).getBigUint64(autoclear)).toBe(6n)
    await image.write(0, new Uint8Array(1))
    expect(new DataView(file.bytes().buffer).getBigUint64(autoclear)).toBe(0n)
    await image.close()
  })

  test('what is not supported is refused by name', async () => {
    const plain = await newQcow2({ size: MiB })
    const named = new Uint8Array(48)
    named[1] = 17
    named.set(new TextEncoder().encode('warp drive'), 2)
    for (const [change, message] of [
      [(head: DataView) => head.setUint32(4, 4), 'version 4'],
      [(head: DataView) => head.setUint32(32, 1), 'AES'],
      [(head: DataView) => head.setUint32(32, 2), 'LUKS'],
      [(head: DataView) => head.setBigUint64(72, 4n), 'external data file'],
      [(head: DataView) => head.setBigUint64(72, 16n), 'extended L2 entries'],
      [(head: DataView) => head.setBigUint64(72, 1n << 40n), 'feature 40'],
      [
        (head: DataView) => {
          head.setBigUint64(72, 1n << 17n)
          head.setUint32(104, 0x6803f857)
          head.setUint32(108, 48)
          new Uint8Array(head.buffer).set(named, 112)
        },
        '“warp drive”',
      ],
    ] as const) {
      const file = copyOf(plain)
      patchHeader(file, change)
      await expect(openOver(file)).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining(message) as string })
    }
  })

  test('an image that is marked as damaged can be read, and be repaired', async () => {
    const file = await newQcow2({ size: MiB })
    patchHeader(file, (head) => head.setBigUint64(72, 2n))
    await expect(openOver(file)).rejects.toMatchObject({ code: 'corrupt' })
    const image = await openWith(file, { readOnly: true })
    expect(image.details.at(-1)).toMatchObject({ label: 'State' })
    expectSame(await readBytes(image, 0, 4096), new Uint8Array(4096), 0)
    await expect(image.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'denied' })
    await expect(checkQcow2(altered(file, { readOnly: true }), { repair: true })).rejects.toMatchObject({ code: 'denied' })
    await image.close()
    expect(await checkQcow2(file, { repair: true })).toMatchObject({ corruptions: 0, leaks: 0 })
    await (await openOver(file)).close()
  })

  test('a sync that failed is never made good', async () => {
    const file = await newQcow2({ size: MiB })
    let broken = false
    const image = await openWith(file, {
      async sync() {
        if (broken) throw new Error('gone')
      },
    })
    await image.write(0, new Uint8Array(10).fill(1))
    broken = true
    await expect(image.flush()).rejects.toThrow('gone')
    broken = false
    await expect(image.flush()).rejects.toThrow('gone')
    await expect(image.close()).rejects.toThrow('gone')
  })

  test('a full disk is told, and nothing is lost', async () => {
    const file = await newQcow2({ size: 4 * MiB, clusterSize: 4096 })
    let left = 40
    const image = await openWith(file, {
      async write(offset, bytes) {
        if (left-- <= 0) throw new Error('disk full')
        await file.write(offset, bytes)
      },
    })
    const model = new Uint8Array(4 * MiB)
    const random = seeded(4)
    for (let round = 0; round < 300; round++) {
      left = random(12)
      const offset = random(4 * MiB - 9000)
      const bytes = noise(random, 1 + random(9000))
      const before = model.slice(offset, offset + bytes.length)
      if (
        await image.write(offset, bytes).then(
          () => true,
          () => false,
        )
      )
        model.set(bytes, offset)
      else {
        // Old or new, by the cluster.
        left = 1000
        const now = await readBytes(image, offset, bytes.length)
        expect(now.every((byte, i) => byte === before[i] || byte === bytes[i])).toBe(true)
        model.set(now, offset)
      }
      left = random(5)
      await image.flush().catch(() => {})
    }
    left = Infinity
    expectSame(await readBytes(image, 0, model.length), model, 0)
    await image.close()
    await expectSound(file)
    const again = await openOver(file)
    expectSame(await readBytes(again, 0, model.length), model, 0)
    await again.close()
  })
})
