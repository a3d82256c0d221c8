/** Qcow2 against qemu-img and qemu-io: they read what we write, we read what they write. */
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { rawDevice } from '../../../src-main/storage/formats/raw/raw-device.ts'
import type { BlockDevice } from '../../../src-main/storage/block-device.ts'
import { checkQcow2 } from '../../../src-main/storage/formats/qcow2/check/check.ts'
import { createQcow2 } from '../../../src-main/storage/formats/qcow2/create-qcow2.ts'
import { openQcow2 } from '../../../src-main/storage/formats/qcow2/open-qcow2.ts'
import type { Qcow2Image } from '../../../src-main/storage/formats/qcow2/qcow2-image.ts'
import { actLikeModel, expectSame } from '../../support/disk-model.ts'
import { diskFile, exchangeWithQemu } from '../../support/qemu-exchange.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const KiB = 1024
const MiB = 1024 * KiB

/** Opens an image and, by the formats and paths in them, everything below it. */
async function openChain(path: string, readOnly = false): Promise<Qcow2Image> {
  return openQcow2(await diskFile(path, readOnly), {
    openBacking: async ({ path: below, format }): Promise<BlockDevice> => {
      const place = join(path, '..', below)
      return format === 'raw' ? rawDevice(await diskFile(place, true)) : openChain(place, true)
    },
  })
}

/** Some noise, some text, some zeroes. */
function sample(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size)
  const random = seeded(size)
  for (let at = 0; at < size; at += 50_000) {
    const kind = random(4)
    if (kind === 0) bytes.set(noise(random, Math.min(50_000, size - at)), at)
    else if (kind < 3) bytes.fill(random(256), at, at + 10_000 + random(30_000))
  }
  return bytes
}

async function expectSameDisk(path: string, model: Uint8Array): Promise<void> {
  const raw = `${path}.model`
  await writeFile(raw, model)
  await qemuImg('compare', '-f', 'raw', '-F', 'qcow2', raw, path)
  await qemuImg('check', '-q', '-f', 'qcow2', path)
}

describe.skipIf(WITHOUT_QEMU_IMG)('qcow2 and qemu-img', () => {
  test.each([
    ['compat=1.1', 21 * MiB + 5 * 512],
    ['compat=0.10,cluster_size=4k', 5 * MiB],
    ['cluster_size=512,refcount_bits=64', 3 * MiB],
    ['cluster_size=512,refcount_bits=1', 3 * MiB],
    ['cluster_size=2M', 21 * MiB],
    ['lazy_refcounts=on,refcount_bits=8,cluster_size=8k', 5 * MiB],
    ['preallocation=metadata,cluster_size=16k', 5 * MiB],
  ])('their images: %s', async (options, size) => {
    await exchangeWithQemu({ format: 'qcow2', options, size, check: true, open: openQcow2 })
  })

  test.each([
    [{}, 21 * MiB + 512],
    [{ version: 2, clusterSize: 4096 }, 5 * MiB],
    [{ clusterSize: 512, refcountBits: 2 }, 3 * MiB],
    [{ clusterSize: 2 * MiB, refcountBits: 32 }, 21 * MiB],
    [{ lazyRefcounts: true, clusterSize: 8192 }, 5 * MiB],
    [{ preallocation: 'metadata', clusterSize: 4096, refcountBits: 4 }, 5 * MiB],
  ] as const)('our images: %o', async (options, size) => {
    await exchangeWithQemu({
      format: 'qcow2',
      size,
      check: true,
      open: openQcow2,
      create: (file, choice) => createQcow2(file, { ...options, ...choice }),
    })
  })

  test.each(['compression_type=zlib', 'compression_type=zstd', 'compression_type=zlib,cluster_size=4k', 'compat=0.10,cluster_size=2M'])(
    'compressed images: %s',
    async (options) => {
      const folder = await tempFolder()
      const model = sample(5 * MiB + 512)
      await writeFile(join(folder, 'source.raw'), model)
      const path = join(folder, 'disk.qcow2')
      await qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', options, join(folder, 'source.raw'), path)
      const image = await openChain(path)
      expectSame(await readBytes(image, 0, model.length), model, 0)
      for (let at = 0; at < MiB; at += 3 * image.clusterSize) {
        const cluster = new Uint8Array(image.clusterSize).fill(at / image.clusterSize)
        await image.packed.write(at, cluster)
        model.set(cluster, at)
      }
      const last = await actLikeModel(image, model, {
        seed: 3,
        steps: 30,
        longest: 100_000,
        reopen: async (device) => (await device.close(), openChain(path)),
      })
      await last.close()
      await expectSameDisk(path, model)
    },
  )

  test('compressed by us, read by them', async () => {
    const path = join(await tempFolder(), 'disk.qcow2')
    const model = sample(MiB + 512)
    for (const options of [{}, { clusterSize: 512 }, { clusterSize: 2 * MiB }, { refcountBits: 1, clusterSize: 4096 }]) {
      await writeFile(path, '')
      const file = await diskFile(path)
      await createQcow2(file, { size: model.length, ...options })
      const image = await openQcow2(file, { openBacking: () => Promise.resolve(null) })
      const { clusterSize, write } = image.packed
      await Promise.all(
        Array.from({ length: Math.ceil(model.length / clusterSize) }, (_, i) =>
          write(i * clusterSize, model.slice(i * clusterSize, (i + 1) * clusterSize)),
        ),
      )
      await image.close()
      await expectSameDisk(path, model)
    }
  })

  test('chains of images, both ways', async () => {
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    const model = sample(3 * MiB)
    await writeFile(path('base.raw'), model)
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', 'base.raw', '-F', 'raw', path('one.qcow2'), String(4 * MiB))
    const whole = new Uint8Array(5 * MiB)
    whole.set(model)
    await qemuIo('qcow2', path('one.qcow2'), 'write -P 5 100000 300000', 'write -z 1M 512k', 'discard 2M 64k')
    whole.fill(5, 100_000, 400_000)
    whole.fill(0, MiB, MiB + 512 * KiB)
    whole.fill(0, 2 * MiB, 2 * MiB + 64 * KiB)
    await writeFile(path('two.qcow2'), '')
    const made = await diskFile(path('two.qcow2'))
    await createQcow2(made, { size: 5 * MiB, clusterSize: 4096, backing: { path: 'one.qcow2', format: 'qcow2' } })
    await made.close()
    const two = await openChain(path('two.qcow2'))
    const last = await actLikeModel(two, whole, {
      seed: 1,
      steps: 60,
      longest: 200_000,
      hasBacking: true,
      reopen: async (device) => (await device.close(), openChain(path('two.qcow2'))),
    })
    await last.close()
    await expectSameDisk(path('two.qcow2'), whole)
    expect(await qemuImg('info', path('two.qcow2'))).toContain('backing file: one.qcow2')

    // Another name for the same.
    await writeFile(path('a longer name.qcow2'), '')
    await qemuImg('convert', '-O', 'qcow2', path('one.qcow2'), path('a longer name.qcow2'))
    const renamed = await openChain(path('two.qcow2'))
    await renamed.setBacking({ path: 'a longer name.qcow2', format: 'qcow2' })
    await renamed.close()
    await expectSameDisk(path('two.qcow2'), whole)
    const theirs = await openChain(path('one.qcow2'))
    await theirs.setBacking({ path: 'another.raw', format: 'raw' })
    await theirs.close()
    const info = JSON.parse(await qemuImg('info', '--output=json', '-U', path('one.qcow2'))) as Record<string, string>
    expect(info).toMatchObject({ 'backing-filename': 'another.raw', 'backing-filename-format': 'raw' })
  })

  test('snapshots inside are listed and kept', async () => {
    const path = join(await tempFolder(), 'disk.qcow2')
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', path, String(4 * MiB))
    await qemuIo('qcow2', path, 'write -P 1 0 1M', 'write -P 2 2M 300k')
    const first = new Uint8Array(4 * MiB).fill(1, 0, MiB).fill(2, 2 * MiB, 2 * MiB + 300 * KiB)
    await qemuImg('snapshot', '-c', 'first', path)
    let image = await openChain(path)
    const second = first.slice()
    const options = { steps: 40, longest: 60_000, reopen: async (device: BlockDevice) => (await device.close(), openChain(path)) }
    await (await actLikeModel(image, second, { seed: 1, ...options })).close()
    await expectSameDisk(path, second)
    await qemuImg('snapshot', '-c', 'second', path)
    image = await openChain(path)
    expect(image.snapshots).toMatchObject([
      { id: '1', name: 'first', diskSize: 4 * MiB },
      { id: '2', name: 'second', stateBytes: 0 },
    ])
    const third = second.slice()
    await (await actLikeModel(image, third, { seed: 2, ...options })).close()
    await expectSameDisk(path, third)
    for (const [name, model] of [
      ['first', first],
      ['second', second],
    ] as const) {
      await qemuImg('snapshot', '-a', name, path)
      await expectSameDisk(path, model)
      image = await openChain(path)
      expectSame(await readBytes(image, 0, model.length), model, 0)
      await image.close()
    }
    await qemuImg('snapshot', '-d', 'first', path)
    await qemuImg('snapshot', '-d', 'second', path)
    await qemuImg('check', '-q', path)
  })

  test('resized by us', async () => {
    const path = join(await tempFolder(), 'disk.qcow2')
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'cluster_size=1k', path, '1M')
    await qemuIo('qcow2', path, 'write -P 7 0 1M')
    const image = await openChain(path)
    await image.resize(300 * MiB)
    await image.write(299 * MiB, new Uint8Array(MiB).fill(9))
    await image.resize(512 * KiB)
    await image.resize(MiB)
    await image.close()
    await expectSameDisk(path, new Uint8Array(MiB).fill(7, 0, 512 * KiB))
  })

  test('bitmaps are known to be stale after we wrote, and checked as theirs', async () => {
    const path = join(await tempFolder(), 'disk.qcow2')
    await qemuImg('create', '-q', '-f', 'qcow2', path, '8M')
    await qemuImg('bitmap', '--add', path, 'b0')
    await qemuIo('qcow2', path, 'write -P 7 0 1M')
    const image = await openChain(path)
    expect(image.details.at(-1)).toEqual({ label: 'Bitmaps', value: '1' })
    const file = await diskFile(path, true)
    expect(await checkQcow2(file, { repair: false })).toMatchObject({ leaks: 0, corruptions: 0 })
    await file.close()
    await image.write(0, new Uint8Array(100))
    await image.close()
    expect(await qemuImg('info', path)).not.toContain('b0')
  })

  test('an image of theirs that was not closed is counted anew', async () => {
    const path = join(await tempFolder(), 'disk.qcow2')
    await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on,cluster_size=4k', path, '8M')
    // As a kill after the flush.
    await qemuIo('qcow2', path, 'write -P 7 1M 2M', 'flush', 'abort').catch(() => {})
    const reading = await openChain(path, true)
    expect(reading.details.at(-1)).toMatchObject({ label: 'State' })
    await reading.close()
    const image = await openChain(path)
    const model = new Uint8Array(8 * MiB).fill(7, MiB, 3 * MiB)
    expectSame(await readBytes(image, 0, model.length), model, 0)
    await image.write(5 * MiB, new Uint8Array(MiB).fill(3))
    model.fill(3, 5 * MiB, 6 * MiB)
    await image.close()
    await expectSameDisk(path, model)
  })

  test('damage is found as they find it, and repaired to their liking', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'disk.qcow2')
    for (let seed = 1; seed <= 6; seed++) {
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', `cluster_size=${seed % 2 ? 512 : 4096}`, path, '1M')
      await qemuIo('qcow2', path, 'write -P 1 0 200k', 'write -P 2 500k 100k', 'write -z 300k 50k')
      if (seed % 3 === 0) await qemuImg('snapshot', '-c', 'x', path)
      const file = await diskFile(path)
      const random = seeded(seed)
      const fields = new DataView(new ArrayBuffer(72))
      await file.read(0, new Uint8Array(fields.buffer))
      const pointers = async (at: number): Promise<number> => {
        const entry = new DataView(new ArrayBuffer(8))
        await file.read(at, new Uint8Array(entry.buffer))
        return Number(entry.getBigUint64(0) & 0x00fffffffffffe00n)
      }
      const counts = await pointers(Number(fields.getBigUint64(48)))
      const table = await pointers(Number(fields.getBigUint64(40)))
      for (let i = 0; i < 8; i++) await file.write(counts + 2 * (5 + random(60)), new Uint8Array([0, random(4)]))
      if (seed % 2 === 0) for (let i = 0; i < 3; i++) await file.write(table + 8 * random(10), new Uint8Array([random(2) ? 0x80 : 0]))
      await file.close()
      const theirs = JSON.parse(await failing('check', '--output=json', '-f', 'qcow2', path)) as Record<string, number | undefined>
      const again = await diskFile(path)
      const ours = await checkQcow2(again, { repair: false })
      expect({ leaks: ours.leaks, corruptions: ours.corruptions }, `seed ${seed}`).toEqual({
        leaks: theirs['leaks'] ?? 0,
        corruptions: theirs['corruptions'] ?? 0,
      })
      await checkQcow2(again, { repair: true })
      await again.close()
      await qemuImg('check', '-q', '-f', 'qcow2', path)
    }
  })

  test('what cannot be supported is refused by name', async () => {
    const folder = await tempFolder()
    for (const [options, message] of [
      ['extended_l2=on,cluster_size=128k', 'extended L2 entries'],
      [`data_file=${join(folder, 'data')}`, 'external data file'],
    ] as const) {
      const path = join(folder, 'disk.qcow2')
      await qemuImg('create', '-q', '-f', 'qcow2', '-o', options, path, '1M')
      const file = await diskFile(path, true)
      await expect(openQcow2(file, { openBacking: () => Promise.resolve(null) })).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining(message) as string,
      })
      await file.close()
    }
  })

  test('a new image is as small as theirs', async () => {
    const path = join(await tempFolder(), 'disk.qcow2')
    await writeFile(path, '')
    const file = await diskFile(path)
    await createQcow2(file, { size: 100 * 1024 * MiB })
    await file.close()
    await qemuImg('check', '-q', path)
    expect((await stat(path)).size).toBe(256 * KiB)
  })
})

/** qemu-img's output, also where it ends with what it found. */
async function failing(...args: string[]): Promise<string> {
  return qemuImg(...args).catch((error: { stdout: string }) => error.stdout)
}
