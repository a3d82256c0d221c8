import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { NO_HOLES, type Holes } from '../../../../src-main/storage/file/holes/holes.ts'
import { byteFile } from '../../../../src-main/storage/file/open-byte-file.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const MiB = 2 ** 20

/** Files in this test get these instead of the system's. */
const double = vi.hoisted(() => ({ holes: null as Holes | null }))

vi.mock(import('../../../../src-main/storage/file/holes/open-holes.ts'), async (load) => {
  const { openHoles, ...rest } = await load()
  return { ...rest, openHoles: (file) => (double.holes ? Promise.resolve(double.holes) : openHoles(file)) }
})
afterEach(() => {
  double.holes = null
})

function useHoles(holes: Partial<Holes>): void {
  double.holes = { ...NO_HOLES, ...holes }
}

async function fileOf(bytes: Uint8Array, readOnly = false) {
  const path = join(await tempFolder(), 'a.img')
  await writeFile(path, bytes)
  const file = byteFile(await open(path, readOnly ? 'r' : 'r+'), path, bytes.length, readOnly)
  onTestFinished(() => file.close())
  return { path, file }
}

const ones = (length: number): Uint8Array => new Uint8Array(length).fill(1)
const taken = async (path: string): Promise<number> => (await stat(path)).blocks * 512

describe('zeroing', () => {
  test.each([
    [MiB, 2 * MiB],
    [MiB + 1, MiB + 2],
    [MiB - 1, 2 * MiB + 5],
    [7, 100],
    [0, 4 * MiB],
    [4 * MiB - 1, 1],
    [9, 0],
  ])('%i for %i bytes reads as zeroes, and nothing else does', async (offset, length) => {
    const { path, file } = await fileOf(ones(4 * MiB))
    await file.zero(offset, length)
    const expected = ones(4 * MiB)
    expected.fill(0, offset, offset + length)
    expect(Buffer.compare(await readFile(path), expected)).toBe(0)
    expect(file.size).toBe(4 * MiB)
  })

  test.runIf(process.platform === 'linux')('gives room back', async () => {
    const { path, file } = await fileOf(ones(4 * MiB))
    await file.sync()
    const before = await taken(path)
    await file.zero(MiB + 100, 2 * MiB)
    await file.sync()
    expect(before - (await taken(path))).toBeGreaterThan(1.9 * MiB)
  })

  test('keeps the size: past the end nothing is written', async () => {
    for (const holes of [null, NO_HOLES]) {
      if (holes) useHoles(holes)
      const { path, file } = await fileOf(ones(5000))
      await file.zero(4000, MiB)
      await file.zero(6000, MiB)
      expect(file.size).toBe(5000)
      const content = await readFile(path)
      expect(content.length).toBe(5000)
      expect(content.subarray(0, 4000).every((byte) => byte === 1)).toBe(true)
      expect(content.subarray(4000).every((byte) => byte === 0)).toBe(true)
    }
  })

  test('where no holes can be made, zeroes are written', async () => {
    useHoles(NO_HOLES)
    const { path, file } = await fileOf(ones(3 * MiB + 10))
    await file.zero(5, 3 * MiB)
    const content = await readFile(path)
    expect(content.subarray(5, 3 * MiB + 5).every((byte) => byte === 0)).toBe(true)
    expect([...content.subarray(0, 5), ...content.subarray(3 * MiB + 5)].every((byte) => byte === 1)).toBe(true)
  })

  test('where only blocks become holes, what is around them is written', async () => {
    const asked: [number, number][] = []
    useHoles({ punch: (start, end) => (asked.push([start, end]), Promise.resolve({ start: 4096, end: 8192 })) })
    const { path, file } = await fileOf(ones(12_288))
    await file.zero(4000, 5000)
    const content = await readFile(path)
    expect(asked).toEqual([[4000, 9000]])
    // The double made no hole of the middle.
    const zeroes = [...content.keys()].filter((at) => content[at] === 0)
    expect([zeroes[0], zeroes.length, zeroes.at(-1)]).toEqual([4000, 96 + 808, 8999])
  })
})

describe('discarding', () => {
  test.runIf(process.platform === 'linux')('gives room back', async () => {
    const { path, file } = await fileOf(ones(4 * MiB))
    await file.sync()
    const before = await taken(path)
    await file.discard!(0, 2 * MiB)
    expect(before - (await taken(path))).toBeGreaterThan(1.9 * MiB)
  })

  test('writes nothing where no holes can be made', async () => {
    useHoles(NO_HOLES)
    const { path, file } = await fileOf(ones(MiB))
    await file.discard!(0, MiB)
    expect((await readFile(path)).every((byte) => byte === 1)).toBe(true)
  })
})

describe('finding data', () => {
  test.runIf(process.platform === 'linux')('skips holes', async () => {
    const { file } = await fileOf(new Uint8Array(0))
    await file.truncate(2 ** 40)
    await file.write(2 ** 39, ones(64 * 1024))
    const run = await file.nextData(0)
    expect(run).toEqual({ start: 2 ** 39, end: 2 ** 39 + 64 * 1024 })
    expect(await file.nextData(run!.end)).toBeNull()
    expect(await file.nextData(2 ** 41)).toBeNull()
  })

  test('of a read-only file, too', async () => {
    const { file } = await fileOf(ones(MiB), true)
    expect(await file.nextData(100)).toEqual({ start: 100, end: MiB })
  })

  test('everything is data where the system cannot tell', async () => {
    useHoles(NO_HOLES)
    const { file } = await fileOf(new Uint8Array(MiB))
    expect(await file.nextData(3)).toEqual({ start: 3, end: MiB })
    expect(await file.nextData(MiB)).toBeNull()
  })
})

describe('closing', () => {
  test('waits for work on holes, as the system knows the file by a number that is used again', async () => {
    let finish!: () => void
    const order: string[] = []
    useHoles({
      punch: (start, end) => new Promise((resolve) => (finish = () => resolve({ start, end }))),
      close: () => Promise.resolve(void order.push('holes closed')),
    })
    const { file } = await fileOf(ones(MiB))
    const zeroing = file.zero(0, MiB).then(() => order.push('zeroed'))
    await vi.waitFor(() => finish())
    const closing = file.close().then(() => order.push('closed'))
    await Promise.all([zeroing, closing])
    expect(order.indexOf('closed')).toBe(2)
  })

  test('afterwards nothing is asked of the system', async () => {
    const punch = vi.fn<Holes['punch']>()
    useHoles({ punch })
    const { file } = await fileOf(ones(MiB))
    await file.close()
    await expect(file.zero(0, 10)).rejects.toMatchObject({ code: 'disconnected' })
    await expect(file.nextData(0)).rejects.toMatchObject({ code: 'disconnected' })
    expect(punch).not.toHaveBeenCalled()
  })
})
