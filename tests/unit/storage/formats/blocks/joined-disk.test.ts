import { describe, expect, test } from 'vitest'
import { fileWindow } from '../../../../../src-main/storage/formats/blocks/file-window.ts'
import { joinedDisk } from '../../../../../src-main/storage/formats/blocks/joined-disk.ts'
import { rawDevice } from '../../../../../src-main/storage/formats/raw/raw-device.ts'
import { actLikeModel } from '../../../../support/disk-model.ts'
import { memoryFile } from '../../../../support/memory-file.ts'

/** Three windows into files of 5,000 bytes. */
function joined(files = [memoryFile(new Uint8Array(5000)), memoryFile(new Uint8Array(5000)), memoryFile(new Uint8Array(5000))]) {
  const devices = [512, 2048, 1024].map((size, index) => rawDevice(fileWindow(files[index]!, 100 * index, size)))
  return { files, disk: joinedDisk(devices, { size: 3584, readOnly: false, format: 'vmdk' }, 'a.vmdk') }
}

describe('devices after each other', () => {
  test('do what a model does, and touch nothing outside of their windows', async () => {
    const { files, disk } = joined()
    const last = await actLikeModel(disk, new Uint8Array(3584), {
      seed: 3,
      steps: 200,
      longest: 2000,
      reopen: async (device) => (await device.close(), joined(files).disk),
    })
    await last.close()
    expect(
      files[1]!
        .bytes()
        .subarray(0, 100)
        .every((byte) => byte === 0),
    ).toBe(true)
    expect(
      files[1]!
        .bytes()
        .subarray(2148)
        .every((byte) => byte === 0),
    ).toBe(true)
    expect(files.map(({ size }) => size)).toEqual([5000, 5000, 5000])
  })

  test('refuse what lies outside, and everything after they are closed', async () => {
    const { disk } = joined()
    await expect(disk.read(3000, new Uint8Array(600))).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(disk.write(-1, new Uint8Array(1))).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(disk.extent(0, 0)).rejects.toMatchObject({ code: 'invalid-input' })
    await disk.close()
    await disk.close()
    await expect(disk.flush()).rejects.toMatchObject({ code: 'disconnected' })
  })

  test('tell of one that cannot be closed, and close the others', async () => {
    const closed: number[] = []
    const devices = [0, 1, 2].map((index) => ({
      ...rawDevice(memoryFile(new Uint8Array(512))),
      close: async () => {
        closed.push(index)
        if (index === 1) throw new Error('It fell off.')
      },
    }))
    const disk = joinedDisk(devices, { size: 1536, readOnly: false, format: 'vmdk' }, 'a.vmdk')
    await expect(disk.close()).rejects.toThrow('It fell off.')
    expect(closed).toEqual([0, 1, 2])
  })
})
