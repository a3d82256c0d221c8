/** Our NBD client against qemu-nbd, on sockets and on the loopback: what one writes the other has; a server that is killed leaves nobody waiting. */
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { KiB, MiB } from '../../../src-shared/base/units.ts'
import type { DiskImage } from '../../../src-main/storage/disk-image.ts'
import { convertImage } from '../../../src-main/storage/jobs/convert-image.ts'
import { inspectImage } from '../../../src-main/storage/jobs/inspect-image.ts'
import { openNbdDisk } from '../../../src-main/storage/nbd/nbd-disk.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { actLikeModel } from '../../support/disk-model.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { qemuNbd, type QemuNbd, type QemuNbdOptions } from '../../support/qemu-nbd.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const PATIENCE = 400

interface Served extends QemuNbd {
  image: string
  folder: string
  open(readOnly?: boolean, patience?: number): Promise<DiskImage>
}

async function served(size: number, format = 'qcow2', options: QemuNbdOptions = {}, port = false): Promise<Served> {
  const folder = await tempFolder()
  const image = join(folder, `disk.${format}`)
  await qemuImg('create', '-q', '-f', format, image, String(size))
  const server = await qemuNbd(image, port ? null : join(folder, 'nbd'), { format, ...options })
  return {
    ...server,
    ...{ image, folder },
    open: async (readOnly = false, patience = PATIENCE) => {
      const disk = await openNbdDisk(server.address, { readOnly, patience })
      onTestFinished(() => disk.close().catch(() => {}))
      return disk
    },
  }
}

describe.skipIf(WITHOUT_QEMU_IMG)('a disk on an NBD server', () => {
  test.each([
    ['a socket', 'qcow2', {}, false],
    ['a port', 'raw', { exportName: 'a b/c' }, true],
    ['blocks of 512 bytes', 'raw', { more: ['--cache=none', '--aio=threads'] }, false],
  ] as const)('is what was written to it: %s', async (_, format, options, port) => {
    const size = 8 * MiB
    const it = await served(size, format, options, port)
    const model = new Uint8Array(size)
    const disk = await it.open()
    expect(disk.info).toEqual({ size, readOnly: false, format: 'raw' })
    const last = await actLikeModel(disk, model, {
      ...{ seed: 7, steps: 120, longest: 300 * KiB },
      reopen: async (device) => {
        await device.close()
        return it.open()
      },
    })
    await last.close()
    await it.kill()
    await qemuImg('check', '-q', '-f', format, it.image).catch((error: unknown) => {
      if (format !== 'raw') throw error
    })
    const raw = join(it.folder, 'model.img')
    await writeFile(raw, model)
    expect(await qemuImg('compare', '-f', 'raw', '-F', format, raw, it.image)).toContain('identical')
  })

  test('reads what the server’s side wrote, knows where data is, and is converted as sparse as it is', async () => {
    const it = await served(64 * MiB, 'raw')
    await it.kill()
    await qemuIo('raw', it.image, 'write -P 0x5a 1M 64k', 'write -P 0x11 40M 1M')
    await it.again()
    const disk = await it.open(true)
    expect([...(await readBytes(disk, MiB - 1, 2))]).toEqual([0, 0x5a])
    expect(await disk.extent(64 * KiB, disk.info.size - 64 * KiB)).toEqual({ length: MiB - 64 * KiB, state: 'zero' })
    expect(await disk.extent(MiB, disk.info.size - MiB)).toEqual({ length: 64 * KiB, state: 'data' })
    expect(await disk.extent(MiB + 100, 200)).toEqual({ length: 200, state: 'data' })
    await expect(disk.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'denied' })
    const path = join(it.folder, 'copy.qcow2')
    await convertImage({ path: it.address, format: 'raw' }, { path, format: 'qcow2', packed: false, replace: false }, quiet)
    expect(await qemuImg('compare', '-f', 'raw', '-F', 'qcow2', it.image, path)).toContain('identical')
    expect(await inspectImage({ path: it.address, format: null, folders: [] })).toMatchObject({
      ...{ path: it.address, format: 'raw', size: 64 * MiB, storedBytes: null, fileBytes: null, layers: [], problem: null },
    })
  })

  test('many requests at once, each with its own answer', async () => {
    const it = await served(32 * MiB)
    const disk = await it.open()
    const parts = Array.from({ length: 256 }, (_, at) => at)
    await Promise.all(parts.map((at) => disk.write(at * 128 * KiB + at, new Uint8Array(4096).fill(at + 1))))
    await disk.flush()
    const found = await Promise.all(parts.map(async (at) => [...new Set(await readBytes(disk, at * 128 * KiB + at, 4096))]))
    expect(found).toEqual(parts.map((at) => [(at + 1) % 256]))
  })

  test('what cannot be had says why', async () => {
    const it = await served(MiB, 'raw', { readOnly: true })
    await expect(it.open()).rejects.toMatchObject({ code: 'denied', message: expect.stringContaining('lets it be read only') as string })
    await expect(openImage({ path: it.address, format: 'qcow2', readOnly: true })).rejects.toMatchObject({ code: 'unsupported' })
    const open = (address: string) => openNbdDisk(address, { readOnly: true })
    await expect(open(it.address.replace('disk', 'none'))).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringContaining('no export “none”') as string,
    })
    await expect(open('nbd+unix:///disk?socket=/nowhere')).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('no such socket') as string,
    })
    await expect(open('iscsi://server/iqn.a:b/0')).rejects.toMatchObject({ code: 'unsupported' })
  })
})

describe.skipIf(WITHOUT_QEMU_IMG)('a server that is killed', () => {
  test('and comes back: what waited is done, and a flush does not claim what may be lost', async () => {
    const it = await served(16 * MiB, 'raw')
    const disk = await it.open(false, 60_000)
    await disk.write(0, new Uint8Array(MiB).fill(1))
    await disk.flush()
    await disk.write(MiB, new Uint8Array(MiB).fill(2))
    await it.kill()
    const waiting = Promise.all([
      readBytes(disk, MiB - 1, 1),
      ...Array.from({ length: 16 }, (_, at) => disk.write((2 + at / 2) * MiB, new Uint8Array(256 * KiB).fill(3))),
    ])
    await it.again()
    expect([...(await waiting)[0]!]).toEqual([1])
    await expect(disk.flush()).rejects.toMatchObject({ code: 'io', message: expect.stringContaining('may not be stored') as string })
    await disk.flush()
    await disk.close()
    await it.kill()
    expect(await qemuIo('raw', it.image, 'read -P 1 0 1M', 'read -P 3 9M 256k')).toContain('256 KiB')
  })

  test('for good: every request fails, now and later, and closing ends', async () => {
    const it = await served(16 * MiB, 'raw')
    const disk = await it.open()
    const big = Promise.allSettled(Array.from({ length: 32 }, (_, at) => disk.write((at % 16) * MiB, new Uint8Array(512 * KiB).fill(at))))
    await it.kill()
    const read = disk.read(0, new Uint8Array(4096))
    await expect(read).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('cannot be reached') as string })
    await big
    await expect(disk.write(0, new Uint8Array(512))).rejects.toMatchObject({ code: 'unavailable' })
    await expect(disk.flush()).rejects.toBeTruthy()
    await disk.close().catch(() => {})
    await expect(disk.read(0, new Uint8Array(512))).rejects.toMatchObject({ code: 'disconnected' })
  })

  test('and comes back with another disk: it is not used', async () => {
    const it = await served(16 * MiB, 'raw')
    const disk = await it.open(false, 60_000)
    await it.kill()
    await truncate(it.image, 8 * MiB)
    await it.again()
    await expect(disk.read(0, new Uint8Array(512))).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('another disk') as string,
    })
  })
})
