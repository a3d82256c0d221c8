import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { blockDeviceSize } from '../../../../src-main/storage/formats/raw/device-size.ts'
import { byteFile } from '../../../../src-main/storage/file/open-byte-file.ts'
import { rawDevice } from '../../../../src-main/storage/formats/raw/raw-device.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

async function deviceOver(content: Uint8Array, readOnly = false) {
  const path = join(await tempFolder(), 'a.img')
  await writeFile(path, content)
  return { path, device: rawDevice(byteFile(await open(path, readOnly ? 'r' : 'r+'), path, content.length, readOnly)) }
}

describe('raw device', () => {
  test('reads and writes at any offset and length', async () => {
    const { path, device } = await deviceOver(new Uint8Array(4096).fill(1))
    await device.write(1000, new Uint8Array(7).fill(2))
    expect([...(await readBytes(device, 998, 11))]).toEqual([1, 1, 2, 2, 2, 2, 2, 2, 2, 1, 1])
    await device.flush()
    await device.close()
    expect([...(await readFile(path)).subarray(999, 1008)]).toEqual([1, 2, 2, 2, 2, 2, 2, 2, 1])
  })

  test('a size that is no multiple of a sector is rounded up; the rest reads as zeroes', async () => {
    const { path, device } = await deviceOver(new Uint8Array(700).fill(9))
    expect(device.info).toEqual({ size: 1024, readOnly: false, format: 'raw' })
    const last = await readBytes(device, 512, 512)
    expect([...last.subarray(0, 188)].every((byte) => byte === 9)).toBe(true)
    expect([...last.subarray(188)].every((byte) => byte === 0)).toBe(true)
    await device.write(1020, new Uint8Array([1, 2, 3, 4]))
    expect([...(await readBytes(device, 1018, 6))]).toEqual([0, 0, 1, 2, 3, 4])
    await device.close()
    expect((await stat(path)).size).toBe(1024)
  })

  test('refuses what lies outside, with the numbers', async () => {
    const { device } = await deviceOver(new Uint8Array(1024))
    for (const [offset, length] of [
      [1024, 1],
      [1000, 25],
      [-1, 1],
      [0.5, 1],
      [Number.MAX_SAFE_INTEGER, 2],
      [NaN, 1],
    ] as const) {
      await expect(readBytes(device, offset, length)).rejects.toMatchObject({ code: 'invalid-input' })
      await expect(device.write(offset, new Uint8Array(length))).rejects.toMatchObject({ code: 'invalid-input' })
    }
    expect(await readBytes(device, 1024, 0)).toHaveLength(0)
    await device.close()
  })

  test('a read-only device refuses writes and says so', async () => {
    const { path, device } = await deviceOver(new Uint8Array(512), true)
    await expect(device.write(0, new Uint8Array(1))).rejects.toMatchObject({
      code: 'denied',
      message: expect.stringContaining(path) as string,
    })
    await device.flush()
    await device.close()
  })

  test('zeroes read as zeroes, discarded bytes as zeroes or as before; what is stored is told', async () => {
    const { device } = await deviceOver(new Uint8Array(4096).fill(7))
    await device.writeZeroes(100, 50)
    await device.discard(200, 50)
    expect([...(await readBytes(device, 98, 4))]).toEqual([7, 7, 0, 0])
    expect([0, 7]).toContain((await readBytes(device, 249, 1))[0])
    expect([...(await readBytes(device, 250, 2))]).toEqual([7, 7])
    expect(await device.extent(1000, 500)).toEqual({ length: 500, state: 'data' })
    await device.close()
  })

  test.runIf(process.platform === 'linux')('a discard gives room back, and extents are the file’s', async () => {
    const MiB = 2 ** 20
    const { path, device } = await deviceOver(new Uint8Array(4 * MiB).fill(7))
    await device.flush()
    await device.discard(MiB, 2 * MiB)
    await device.flush()
    expect((await stat(path)).blocks * 512).toBeLessThan(3 * MiB)
    expect(await device.extent(0, 4 * MiB)).toEqual({ length: MiB, state: 'data' })
    expect(await device.extent(MiB, 4 * MiB - MiB)).toEqual({ length: 2 * MiB, state: 'zero' })
    expect(await device.extent(MiB + 512, 512)).toEqual({ length: 512, state: 'zero' })
    expect(await device.extent(3 * MiB + 5, 512)).toEqual({ length: 512, state: 'data' })
    await device.writeZeroes(3 * MiB, MiB)
    expect(await device.extent(MiB, 3 * MiB)).toEqual({ length: 3 * MiB, state: 'zero' })
    await device.close()
  })

  test('closing twice is fine; afterwards nothing works', async () => {
    const { device } = await deviceOver(new Uint8Array(512))
    await Promise.all([device.close(), device.close()])
    await expect(readBytes(device, 0, 1)).rejects.toMatchObject({ code: 'disconnected' })
    await expect(device.flush()).rejects.toMatchObject({ code: 'disconnected' })
  })

  test.each([0, 512, 1024, 5 * 512, 1_474_560, 3 * 1024 ** 4 + 512])('finds the end of a device of %d bytes in few reads', async (size) => {
    let reads = 0
    const read = (_bytes: Uint8Array, _at: number, length: number, position: number) => {
      reads++
      return Promise.resolve({ bytesRead: Math.max(0, Math.min(length, size - position)), buffer: _bytes })
    }
    expect(await blockDeviceSize({ read } as Parameters<typeof blockDeviceSize>[0])).toBe(size)
    expect(reads).toBeLessThan(100)
  })
})
