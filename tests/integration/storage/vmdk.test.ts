/** VMDK against qemu-img: they read what we write, we read what they write, in every subformat that it makes. */
import { open as openFile, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { DiskImage, OpenImageOptions } from '../../../src-main/storage/disk-image.ts'
import type { ByteFile } from '../../../src-main/storage/file/byte-file.ts'
import { createVmdk } from '../../../src-main/storage/formats/vmdk/create-vmdk.ts'
import { openVmdk } from '../../../src-main/storage/formats/vmdk/vmdk-image.ts'
import { writeStreamOptimized } from '../../../src-main/storage/formats/vmdk/write-stream-optimized.ts'
import { rawDevice } from '../../../src-main/storage/formats/raw/raw-device.ts'
import { expectSame } from '../../support/disk-model.ts'
import { diskFile, exchangeWithQemu } from '../../support/qemu-exchange.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const MiB = 1024 * 1024

const open = (file: ByteFile, options: OpenImageOptions): Promise<DiskImage> =>
  openVmdk(file, { ...options, openExtent: (name) => diskFile(join(dirname(file.path), name), file.readOnly) })
const alone = { openBacking: () => Promise.resolve(null) }

describe.skipIf(WITHOUT_QEMU_IMG)('VMDK and qemu-img', () => {
  test.each([
    ['monolithicSparse', ''],
    ['monolithicSparse', ',zeroed_grain=on'],
    ['monolithicFlat', ''],
    ['twoGbMaxExtentSparse', ''],
    ['twoGbMaxExtentFlat', ''],
  ])('%s images of qemu-img%s', async (kind, more) => {
    await exchangeWithQemu({ format: 'vmdk', options: `subformat=${kind}${more}`, check: kind.includes('Sparse'), open })
  })

  test('our images', async () => {
    await exchangeWithQemu({ format: 'vmdk', check: true, open, create: createVmdk })
  })

  test('extents of two gigabytes', async () => {
    const path = join(await tempFolder(), 'disk.vmdk')
    await qemuImg('create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path, '5G')
    await qemuIo('vmdk', path, 'write -P 9 2147450880 64k', 'write -P 8 4294934528 64k')
    const image = await open(await diskFile(path), alone)
    expect(image.details).toContainEqual({ label: 'Extents', value: '3' })
    expectSame(await readBytes(image, 2147450880, 65536), new Uint8Array(65536).fill(9), 0)
    await image.write(4294967290, new Uint8Array(12).fill(5))
    await image.close()
    await qemuIo('vmdk', path, 'read -P 8 4294934528 32762', 'read -P 5 4294967290 12', 'read -P 8 4294967302 32762')
  })

  test('a layer over its parent', async () => {
    const folder = await tempFolder()
    const base = join(folder, 'base.vmdk')
    const layer = join(folder, 'layer.vmdk')
    await qemuImg('create', '-q', '-f', 'vmdk', base, '8M')
    await qemuIo('vmdk', base, 'write -P 1 0 8M')
    await qemuImg('create', '-q', '-f', 'vmdk', '-b', base, '-F', 'vmdk', layer)
    await qemuIo('vmdk', layer, 'write -P 2 1M 100k')
    const image = await open(await diskFile(layer), { openBacking: async ({ path }) => open(await diskFile(path, true), alone) })
    expect(image.backing).toMatchObject({ path: base })
    await image.write(5 * MiB + 100, new Uint8Array(1000).fill(3))
    const ours = await readBytes(image, 0, 8 * MiB)
    await image.close()
    await qemuImg('convert', '-f', 'vmdk', '-O', 'raw', layer, join(folder, 'all.raw'))
    expectSame(ours, await readFile(join(folder, 'all.raw')), 0)
    await qemuIo('vmdk', base, 'write -P 7 0 512')
    const file = await diskFile(layer, true)
    const opening = open(file, { openBacking: async ({ path }) => open(await diskFile(path, true), alone) })
    await expect(opening).rejects.toMatchObject({ message: expect.stringContaining('was changed') as string })
    await file.close()
  })

  describe('compressed streams', () => {
    const content = (size: number) => {
      const random = seeded(3)
      const disk = new Uint8Array(size)
      disk.set(noise(random, 300_000), 70_000)
      disk.fill(65, 33 * MiB, 35 * MiB)
      disk.set(noise(random, 700), size - 700)
      return disk
    }

    test('of qemu-img are read', async () => {
      const folder = await tempFolder()
      const disk = content(70 * MiB + 512)
      await writeFile(join(folder, 'disk.raw'), disk)
      const path = join(folder, 'disk.vmdk')
      await qemuImg('convert', '-f', 'raw', '-O', 'vmdk', '-o', 'subformat=streamOptimized', join(folder, 'disk.raw'), path)
      const image = await open(await diskFile(path, true), alone)
      expectSame(await readBytes(image, 0, disk.length), disk, 0)
      await image.close()
    })

    test.each([70 * MiB + 512, 64 * MiB])('of ours are read by qemu-img (%d bytes)', async (size) => {
      const folder = await tempFolder()
      const disk = content(size)
      await writeFile(join(folder, 'disk.raw'), disk)
      const source = rawDevice(await diskFile(join(folder, 'disk.raw'), true))
      const path = join(folder, 'disk.vmdk')
      const out = await openFile(path, 'w')
      const sink = { write: (bytes: Uint8Array) => out.writeFile(bytes) }
      await writeStreamOptimized(source, sink, { name: path, signal: new AbortController().signal, onProgress: () => {} })
      await out.close()
      await source.close()
      const info = JSON.parse(await qemuImg('info', '--output=json', path)) as Record<string, unknown>
      expect(info).toMatchObject({
        format: 'vmdk',
        'virtual-size': size,
        'format-specific': { data: { 'create-type': 'streamOptimized', extents: [{ compressed: true, 'cluster-size': 65536 }] } },
      })
      await qemuImg('compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'disk.raw'), path)
      await qemuImg('check', '-q', '-f', 'vmdk', path)
    })
  })
})
