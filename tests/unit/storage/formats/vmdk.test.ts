import { inflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { BlockDevice } from '../../../../src-main/storage/block-device.ts'
import type { ByteFile } from '../../../../src-main/storage/file/byte-file.ts'
import { checkVmdk } from '../../../../src-main/storage/formats/vmdk/check-vmdk.ts'
import { createVmdk } from '../../../../src-main/storage/formats/vmdk/create-vmdk.ts'
import { parseDescriptor } from '../../../../src-main/storage/formats/vmdk/descriptor.ts'
import { isVmdk, openVmdk, type OpenVmdkOptions } from '../../../../src-main/storage/formats/vmdk/vmdk-image.ts'
import { writeStreamOptimized } from '../../../../src-main/storage/formats/vmdk/write-stream-optimized.ts'
import { rawDevice } from '../../../../src-main/storage/formats/raw/raw-device.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { concatBytes, utf8 } from '../../../../src-shared/base/bytes.ts'
import { actLikeModel, expectSame } from '../../../support/disk-model.ts'
import { surviveFullDisk } from '../../../support/full-disk.ts'
import { fuzzRuns, fuzzSeed, surviveMutations } from '../../../support/hostile-image.ts'
import { jitteryFile } from '../../../support/jittery-file.ts'
import { memoryFile, type MemoryFile } from '../../../support/memory-file.ts'
import { survivePowerLoss } from '../../../support/power-loss.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import { noise, seeded } from '../../../support/seeded.ts'

const KiB = 1024
const MiB = 1024 * KiB

const ALONE: OpenVmdkOptions = {
  openBacking: () => Promise.resolve(null),
  openExtent: (name) => Promise.reject(new AppError('not-found', `There is no “${name}”.`)),
}
const open = (file: ByteFile) => openVmdk(file, ALONE)

async function empty(size: number, path = 'disk.vmdk') {
  const file = memoryFile(undefined, path)
  await createVmdk(file, { size })
  return file
}

/** An image with grains of 4 KiB, so that tests are quick. The directory and tables of the larger ones suffice. */
async function smallGrains(size: number) {
  const file = await empty(64 * MiB)
  const fields = new DataView(file.bytes().buffer)
  fields.setBigUint64(12, BigInt(size / 512), true)
  fields.setBigUint64(20, 8n, true)
  const descriptor = Buffer.from(file.bytes().subarray(512, 10 * 1024))
    .toString('latin1')
    .replace('RW 131072', `RW ${size / 512}`)
  await file.write(512, utf8(descriptor))
  return file
}

/** Files beside each other. */
function folder(files: Record<string, Uint8Array | string>) {
  const there = new Map<string, MemoryFile>(
    Object.entries(files).map(([name, content]) => [
      name,
      memoryFile(typeof content === 'string' ? utf8(content) : content, `folder/${name}`),
    ]),
  )
  const asked: string[] = []
  const options: OpenVmdkOptions = {
    openBacking: () => Promise.resolve(null),
    async openExtent(name) {
      asked.push(name)
      const file = there.get(name)
      if (!file) throw new AppError('not-found', `There is no “${name}”.`)
      return file
    },
  }
  return { files: there, asked, open: (name = 'disk.vmdk') => openVmdk(there.get(name)!, options) }
}

const descriptor = (extents: string, more = '') =>
  `# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="twoGbMaxExtentFlat"\n${more}\n# Extent description\n${extents}\n`

async function stream(source: BlockDevice, signal = new AbortController().signal) {
  const parts: Uint8Array[] = []
  const progress: number[] = []
  const sink = { write: (bytes: Uint8Array) => (parts.push(bytes), Promise.resolve()) }
  await writeStreamOptimized(source, sink, { name: 'disk.vmdk', signal, onProgress: (done) => progress.push(done) })
  return { bytes: concatBytes(parts), progress }
}

describe('VMDK', () => {
  test('is known by its magic or its first lines', async () => {
    expect(isVmdk((await empty(MiB)).bytes())).toBe(true)
    expect(isVmdk(utf8(descriptor('RW 1 ZERO')))).toBe(true)
    expect(isVmdk(utf8('\r\n# a comment\r\n  Version = 1\r\n'))).toBe(true)
    expect(isVmdk(utf8('version of nothing'))).toBe(false)
    expect(isVmdk(new Uint8Array(512))).toBe(false)
    expect(isVmdk(new Uint8Array(0))).toBe(false)
  })

  describe('in one sparse file', () => {
    test('a new image is empty and small', async () => {
      const file = await empty(100 * MiB + 512, 'folder/my disk.vmdk')
      expect(file.size).toBe(64 * KiB)
      const image = await open(file)
      expect(image.info).toEqual({ size: 100 * MiB + 512, readOnly: false, format: 'vmdk' })
      expect(image.details[0]).toEqual({ label: 'Kind', value: 'monolithicSparse' })
      expect(Buffer.from(file.bytes()).includes('"my disk.vmdk"')).toBe(true)
      expect(await image.extent(0, MiB)).toEqual({ length: MiB, state: 'unallocated' })
      await image.close()
      await expect(createVmdk(memoryFile(), { size: 4 * 1024 ** 4 })).rejects.toMatchObject({ code: 'invalid-input' })
    })

    test.each([1, 2, 3])('does what a model does (%d)', async (seed) => {
      const file = await smallGrains(300 * KiB + 512)
      const image = await open(file)
      const reopen = async (device: BlockDevice) => (await device.close(), open(file))
      const last = await actLikeModel(image, new Uint8Array(image.info.size), { seed, steps: 250, longest: 20_000, reopen })
      await last.close()
    })

    test.each([1, 2, 3, 4])('does so on a file whose operations overtake each other (%d)', async (seed) => {
      const file = jitteryFile(await smallGrains(300 * KiB + 512), seed)
      const image = await open(file)
      const reopen = async (device: BlockDevice) => (await device.close(), open(file))
      const last = await actLikeModel(image, new Uint8Array(image.info.size), { seed, steps: 150, longest: 20_000, reopen })
      await last.close()
    })

    test('a disk that is full fails what it must, and harms nothing else', async () => {
      await surviveFullDisk({ image: (await smallGrains(100 * KiB)).bytes().slice(), open, seed: 3, writes: 15, longest: 10_000 })
    })

    test('keeps what was flushed through a loss of power at any write', async () => {
      const file = await smallGrains(100 * KiB)
      await survivePowerLoss({ image: file.bytes().slice(), open, seed: 3, writes: 30, longest: 10_000 })
    })

    test('both copies of the grain tables are written', async () => {
      const file = await empty(MiB)
      const image = await open(file)
      await image.write(0, new Uint8Array(1))
      await image.close()
      const fields = new DataView(file.bytes().buffer)
      const entry = (directoryAt: number) => {
        const directory = Number(fields.getBigUint64(directoryAt, true)) * 512
        return fields.getUint32(fields.getUint32(directory, true) * 512, true)
      }
      expect(entry(48)).toBe(128)
      expect(entry(56)).toBe(128)
    })

    test('a change gives it a new content ID, reading does not', async () => {
      const file = await empty(MiB)
      const id = (await open(file)).contentId
      const image = await open(file)
      await image.read(0, new Uint8Array(10))
      await image.write(MiB - 1, new Uint8Array(1))
      await expect(image.write(MiB, new Uint8Array(1))).rejects.toMatchObject({ code: 'invalid-input' })
      await image.close()
      await expect(image.write(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'disconnected' })
      expect((await open(file)).contentId).not.toBe(id)
    })

    test('grain tables that are missing read as nothing, and are added before writing', async () => {
      const file = await empty(64 * MiB)
      const fields = new DataView(file.bytes().buffer)
      fields.setUint32(Number(fields.getBigUint64(56, true)) * 512 + 4, 0, true)
      fields.setUint32(Number(fields.getBigUint64(48, true)) * 512 + 4, 0, true)
      const before = await open(memoryFile(file.bytes(), 'a.vmdk', true))
      expect(await before.extent(33 * MiB, MiB)).toEqual({ length: MiB, state: 'unallocated' })
      const image = await open(file)
      await image.write(33 * MiB, new Uint8Array([5]))
      await image.close()
      expect((await readBytes(await open(file), 33 * MiB, 1))[0]).toBe(5)
    })

    test('a check finds grains that are shared or nowhere', async () => {
      const file = await smallGrains(40 * KiB)
      const image = await open(file)
      await image.write(0, new Uint8Array(5 * 4096).fill(1))
      await image.close()
      const sound = { corruptions: 0, leaks: 0, repairedCorruptions: 0, repairedLeaks: 0, findings: [] }
      expect(await checkVmdk(file, { repair: false })).toEqual(sound)
      const fields = new DataView(file.bytes().buffer)
      const table = fields.getUint32(Number(fields.getBigUint64(56, true)) * 512, true) * 512
      fields.setUint32(table, fields.getUint32(table + 4, true) + 7, true)
      fields.setUint32(table + 8, 5, true)
      expect(await checkVmdk(file, { repair: false })).toMatchObject({
        corruptions: 2,
        findings: ['Block 1 lies over another one.', 'Block 2 is said to be where none can be.'],
      })
      const { bytes } = await stream(rawDevice(memoryFile(noise(seeded(2), 300_000))))
      expect(await checkVmdk(memoryFile(bytes, 'a.vmdk', true), { repair: false })).toEqual(sound)
      await expect(checkVmdk(memoryFile(utf8(descriptor('RW 1 ZERO'))), { repair: false })).rejects.toMatchObject({ code: 'unsupported' })
    })

    test('grains of zeroes, where the header has them', async () => {
      const file = await empty(MiB)
      const fields = new DataView(file.bytes().buffer)
      const table = fields.getUint32(Number(fields.getBigUint64(56, true)) * 512, true) * 512
      fields.setUint32(table + 4, 1, true)
      await expect((await open(file)).read(70_000, new Uint8Array(1))).rejects.toMatchObject({ code: 'corrupt' })
      fields.setUint32(8, 7, true)
      const image = await open(file)
      expect(await image.extent(64 * KiB, MiB - 64 * KiB)).toEqual({ length: 64 * KiB, state: 'zero' })
      await image.write(70_000, new Uint8Array([1]))
      expect([...(await readBytes(image, 69_999, 3))]).toEqual([0, 1, 0])
    })
  })

  describe('in several files', () => {
    test('flat extents follow each other, with gaps of zeroes', async () => {
      const { open: openIt, files } = folder({
        'disk.vmdk': descriptor('RW 2 FLAT "disk-f001.vmdk" 0\nRW 3 ZERO\nRW 1 FLAT "disk-f001.vmdk" 3\n'),
        'disk-f001.vmdk': noise(seeded(1), 2048),
      })
      const image = await openIt()
      expect(image.info.size).toBe(6 * 512)
      const content = files.get('disk-f001.vmdk')!.bytes()
      expectSame(await readBytes(image, 0, 3072), concatBytes([content.subarray(0, 1024), new Uint8Array(1536), content.subarray(1536)]), 0)
      expect(await image.extent(1024, 2000)).toEqual({ length: 1536, state: 'zero' })
      await image.close()
    })

    test('flat and sparse extents do what a model does', async () => {
      const sparse = await smallGrains(100 * KiB)
      const { open: openIt } = folder({
        'disk.vmdk': descriptor(`RW 10 FLAT "a.bin" 1\nRW 199 SPARSE "b.bin"\nRW 7 FLAT "c.bin"`),
        'a.bin': new Uint8Array(11 * 512),
        'b.bin': sparse.bytes(),
        'c.bin': new Uint8Array(7 * 512),
      })
      const image = await openIt()
      expect(image.details).toContainEqual({ label: 'Extents', value: '3' })
      const reopen = async (device: BlockDevice) => (await device.close(), openIt())
      const last = await actLikeModel(image, new Uint8Array(216 * 512), { seed: 6, steps: 200, longest: 20_000, reopen })
      await last.close()
    })

    test.each(['../secret', '/etc/passwd', '..', '.', '', 'a/b', 'a\\b', 'C:x', 'x'.repeat(256)])(
      'a file elsewhere is refused, and never asked for: %j',
      async (name) => {
        const { open: openIt, asked } = folder({ 'disk.vmdk': descriptor(`RW 2 FLAT "${name}" 0`) })
        await expect(openIt()).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('same folder') as string })
        expect(asked).toEqual([])
      },
    )

    test.each([
      ['RW 2 FLAT "disk.vmdk" 0', 'itself'],
      ['RW 2 FLAT "short.bin" 0', 'shorter'],
      ['RW 2 FLAT "none.bin" 0', 'none.bin'],
      ['RW 1 SPARSE "part.bin"\nRW 1 SPARSE "part.bin"', 'twice'],
      ['RW 9999999 SPARSE "part.bin"', 'sectors'],
      ['NOACCESS 1 ZERO', 'not to be accessed'],
      ['RW 1 VMFSSPARSE "x"', 'VMFSSPARSE'],
      ['RW 0 ZERO', '0 sectors'],
      ['RW x', 'says nothing'],
      ['', 'names no extent'],
    ])('%j is refused', async (extents, says) => {
      const { open: openIt } = folder({
        'disk.vmdk': descriptor(extents),
        'short.bin': new Uint8Array(1023),
        'part.bin': (await empty(MiB)).bytes(),
      })
      await expect(openIt()).rejects.toMatchObject({ message: expect.stringContaining(says) as string })
    })

    test('a part alone is no disk', async () => {
      const file = await empty(MiB)
      new DataView(file.bytes().buffer).setBigUint64(36, 0n, true)
      await expect(open(file)).rejects.toMatchObject({ code: 'unsupported', message: expect.stringContaining('one part') as string })
    })
  })

  describe('over a parent', () => {
    const layer = async (parentId: string) => {
      const file = await empty(128 * KiB)
      const text = Buffer.from(file.bytes().subarray(512, 2048)).toString('latin1')
      await file.write(512, utf8(text.replace('parentCID=ffffffff', `parentCID=${parentId}\nparentFileNameHint="base.vmdk"`)))
      return file
    }

    test('reads the parent where it has nothing, copies up around what is written', async () => {
      const base = await empty(96 * KiB)
      const parent = await open(base)
      await parent.write(0, new Uint8Array(96 * KiB).fill(8))
      await parent.close()
      const again = () => open(memoryFile(base.bytes(), 'base.vmdk', true))
      const file = await layer((await again()).contentId)
      let named: unknown
      const image = await openVmdk(file, { ...ALONE, openBacking: async (backing) => ((named = backing), again()) })
      expect(named).toEqual({ path: 'base.vmdk', format: 'vmdk' })
      expect(image.backing).toEqual(named)
      const model = new Uint8Array(128 * KiB).fill(8, 0, 96 * KiB)
      expectSame(await readBytes(image, 0, 128 * KiB), model, 0)
      await image.write(70_000, new Uint8Array([1, 2]))
      await image.writeZeroes(10, 5)
      model.set([1, 2], 70_000)
      model.fill(0, 10, 15)
      expectSame(await readBytes(image, 0, 128 * KiB), model, 0)
      await image.writeZeroes(0, 64 * KiB)
      model.fill(0, 0, 64 * KiB)
      expectSame(await readBytes(image, 0, 128 * KiB), model, 0)
      await image.close()
    })

    test('a parent that changed is refused', async () => {
      const file = await layer('00000001')
      const parent = await open(await empty(MiB))
      await expect(openVmdk(file, { ...ALONE, openBacking: () => Promise.resolve(parent) })).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('was changed') as string,
      })
      await expect(parent.read(0, new Uint8Array(1))).rejects.toMatchObject({ code: 'disconnected' })
    })
  })

  describe('as a compressed stream', () => {
    const source = () => {
      const random = seeded(8)
      const disk = new Uint8Array(70 * MiB + 1536)
      disk.set(noise(random, 200_000), 100_000)
      disk.fill(7, 33 * MiB, 34 * MiB)
      disk.set(noise(random, 1000), disk.length - 1000)
      return disk
    }

    test('is written and read back', async () => {
      const disk = source()
      const { bytes, progress } = await stream(rawDevice(memoryFile(disk)))
      expect(bytes.length % 512).toBe(0)
      expect(bytes.length).toBeLessThan(400_000)
      expect(progress).toEqual([32 * MiB, 64 * MiB, disk.length])
      const image = await open(memoryFile(bytes, 'disk.vmdk', true))
      expect(image.info).toEqual({ size: disk.length, readOnly: true, format: 'vmdk' })
      expect(image.details[0]).toEqual({ label: 'Kind', value: 'streamOptimized' })
      expectSame(await readBytes(image, 0, disk.length), disk, 0)
      expectSame(await readBytes(image, 99_999, 3000), disk.subarray(99_999, 102_999), 99_999)
      expect((await image.extent(2 * MiB, 30 * MiB)).state).toBe('unallocated')
      await image.close()
    })

    test('can be read forwards only, as importers of OVF do', async () => {
      const disk = source()
      const { bytes } = await stream(rawDevice(memoryFile(disk)))
      const fields = new DataView(bytes.buffer)
      const read = new Uint8Array(72 * MiB)
      let sector = Number(fields.getBigUint64(64, true))
      let last = -1
      let grains = new Map<number, number>()
      let tables = new Map<number, number>()
      const types: number[] = []
      while (sector * 512 < bytes.length) {
        const at = sector * 512
        const value = Number(fields.getBigUint64(at, true))
        const size = fields.getUint32(at + 8, true)
        if (size > 0) {
          expect(value).toBeGreaterThan(last)
          read.set(inflateSync(bytes.subarray(at + 12, at + 12 + size)), value * 512)
          grains.set((value / 128) % 512, sector)
          last = value
          sector += Math.ceil((size + 12) / 512)
          continue
        }
        const type = fields.getUint32(at + 12, true)
        types.push(type)
        const entries = (count: number) =>
          new Map(
            Array.from({ length: count }, (_, index) => [index, fields.getUint32(at + 512 + index * 4, true)] as const).filter(
              ([, entry]) => entry !== 0,
            ),
          )
        if (type === 1) {
          expect(value).toBe(4)
          expect(entries(512)).toEqual(grains)
          tables.set(Math.floor(last / 65_536), sector + 1)
          grains = new Map()
        } else if (type === 2) {
          expect(entries(128)).toEqual(tables)
          tables = new Map([[0, sector + 1]])
        } else if (type === 3) {
          expect(bytes.subarray(at + 512, at + 512 + 56)).toEqual(bytes.subarray(0, 56))
          expect(Number(fields.getBigUint64(at + 512 + 56, true))).toBe(tables.get(0))
        }
        sector += 1 + value
      }
      expect(types).toEqual([1, 1, 1, 2, 3, 0])
      expectSame(read.subarray(0, disk.length), disk, 0)
    })

    test('of a sparse image skips what is not there', async () => {
      const image = await open(await empty(1024 * MiB))
      await image.write(900 * MiB, new Uint8Array([1]))
      const { bytes } = await stream(image)
      const back = await open(memoryFile(bytes, 'disk.vmdk', true))
      expect((await readBytes(back, 900 * MiB, 1))[0]).toBe(1)
      expect(bytes.length).toBe((128 + 1 + 1 + 4 + 1 + 1 + 2 + 1) * 512)
    })

    test('ends when it is cancelled', async () => {
      const controller = new AbortController()
      controller.abort()
      await expect(stream(rawDevice(memoryFile(new Uint8Array(MiB))), controller.signal)).rejects.toMatchObject({ code: 'cancelled' })
    })

    test('is not written to, and says when it is damaged', async () => {
      const { bytes } = await stream(rawDevice(memoryFile(source())))
      await expect(open(memoryFile(bytes))).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining('Convert') as string,
      })
      const torn = bytes.slice()
      torn[128 * 512 + 100]! ^= 1
      const image = await open(memoryFile(torn, 'disk.vmdk', true))
      await expect(readBytes(image, 64 * KiB, 100)).rejects.toMatchObject({
        code: 'corrupt',
        message: expect.stringContaining('inflated') as string,
      })
      await expect(open(memoryFile(bytes.slice(0, -512), 'disk.vmdk', true))).rejects.toMatchObject({ code: 'corrupt' })
    })
  })

  test('survives any bytes', async () => {
    const file = await smallGrains(100 * KiB)
    const image = await open(file)
    await image.write(5000, new Uint8Array(60_000).fill(3))
    await image.close()
    await surviveMutations(
      file.bytes(),
      [
        [0, 80],
        [512, 1100],
        [21 * 512, 22 * 512],
        [0, file.size],
      ],
      1500,
      open,
    )
    const { bytes } = await stream(rawDevice(memoryFile(noise(seeded(2), 200_000))))
    const readOnly = (mutated: ByteFile) => open({ ...mutated, readOnly: true, size: mutated.size })
    const end = bytes.length
    await surviveMutations(
      bytes,
      [
        [0, 80],
        [512, 1100],
        [65_536, 65_600],
        [end - 1536, end],
        [0, end],
      ],
      700,
      readOnly,
    )
  })

  test('any text is a descriptor or is refused', () => {
    const runs = fuzzRuns(2000)
    const random = seeded(fuzzSeed(runs))
    const whole = descriptor('RW 2 FLAT "disk-f001.vmdk" 0\nRW 3 ZERO', 'parentFileNameHint="x"')
    for (let round = 0; round < runs; round++) {
      const bytes = utf8(whole)
      for (let change = 0; change < 3; change++) bytes[random(bytes.length)] = random(4) ? 32 + random(96) : random(256)
      try {
        for (const { file } of parseDescriptor(bytes, 'a.vmdk').extents) expect(file).not.toMatch(/[/\\]|^\.\.?$/)
      } catch (error) {
        expect(error).toBeInstanceOf(AppError)
      }
    }
  })
})
