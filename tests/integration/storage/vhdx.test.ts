/** VHDX against qemu-img: we read what they write, and replay a log as they do. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { crc32c } from '../../../src-main/storage/formats/vhdx/crc32c.ts'
import { openVhdx } from '../../../src-main/storage/formats/vhdx/vhdx-image.ts'
import { expectSame } from '../../support/disk-model.ts'
import { diskFile, exchangeWithQemu } from '../../support/qemu-exchange.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { LOG_GUID, setGuid, writeLog } from '../../support/vhdx-builder.ts'

const openReadOnly = async (path: string) => openVhdx(await diskFile(path, true), { openBacking: () => Promise.resolve(null) })

describe.skipIf(WITHOUT_QEMU_IMG)('VHDX and qemu-img', () => {
  test.each([
    ['dynamic', 'subformat=dynamic'],
    ['dynamic, 16 MiB blocks', 'subformat=dynamic,block_size=16M'],
    ['dynamic, no zero blocks', 'subformat=dynamic,block_state_zero=off'],
    ['fixed', 'subformat=fixed'],
  ])('%s images', async (_kind, options) => {
    await exchangeWithQemu({ format: 'vhdx', options, check: true, open: openVhdx, readOnly: true })
  })

  test('a log is replayed as QEMU replays it', async () => {
    const path = join(await tempFolder(), 'disk.vhdx')
    await qemuImg('create', '-q', '-f', 'vhdx', '-o', 'block_size=1M', path, '16M')
    await qemuIo('vhdx', path, 'write -P 1 0 1M', 'write -P 2 1M 1M', 'write -P 3 2M 1M')
    // As after a crash: a log that exchanges the first two blocks, and both headers naming it.
    const file = await readFile(path)
    const fields = new DataView(file.buffer, file.byteOffset)
    const region = [0, 1].map((index) => 192 * 1024 + 16 + index * 32).find((at) => fields.getUint32(at, true) === 0x2dc27766)!
    const batAt = Number(fields.getBigUint64(region + 16, true))
    const sector = Uint8Array.from(file.subarray(batAt, batAt + 4096))
    sector.copyWithin(0, 8, 16)
    sector.set(file.subarray(batAt, batAt + 8), 8)
    expect(Number(fields.getBigUint64(128 * 1024 + 72, true))).toBe(1024 * 1024)
    writeLog(file, 8192, [{ sequence: 5n, writes: [{ at: batAt, bytes: sector }] }])
    for (const at of [64 * 1024, 128 * 1024]) {
      setGuid(file, at + 48, LOG_GUID)
      fields.setUint32(at + 4, crc32c(file.subarray(at, at + 4096), 4), true)
    }
    await writeFile(path, file)

    const image = await openReadOnly(path)
    const ours = await readBytes(image, 0, image.info.size)
    await image.close()
    expect([ours[0], ours[1024 * 1024], ours[2 * 1024 * 1024]]).toEqual([2, 1, 3])
    expectSame(await readFile(path), file, 0)
    await qemuImg('check', '-q', '-r', 'all', '-f', 'vhdx', path)
    await qemuImg('convert', '-f', 'vhdx', '-O', 'raw', path, `${path}.raw`)
    expectSame(ours, await readFile(`${path}.raw`), 0)
  })
})
