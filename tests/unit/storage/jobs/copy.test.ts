import type * as real from 'node:fs/promises'
import { chmod, open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { NO_HOLES } from '../../../../src-main/storage/file/holes/holes.ts'
import { copyImage } from '../../../../src-main/storage/jobs/copy.ts'
import { openImage } from '../../../../src-main/storage/open-image.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

/** Bytes that the file system still has room for; bytes that were read from files; whether it knows of holes. */
const disk = vi.hoisted(() => ({ free: Infinity, read: 0, holes: true }))

vi.mock(import('../../../../src-main/storage/file/holes/open-holes.ts'), async (load) => {
  const { openHoles, ...rest } = await load()
  return { ...rest, openHoles: (file) => (disk.holes ? openHoles(file) : Promise.resolve(NO_HOLES)) }
})

vi.mock('node:fs/promises', async (load) => {
  const original = await load<typeof real>()
  return {
    ...original,
    // No reflinks: whatever the file system under the tests can do.
    copyFile: () => Promise.reject(Object.assign(new Error('ENOTSUP'), { code: 'ENOTSUP' })),
    open: async (...args: Parameters<typeof real.open>) => {
      const file = await original.open(...args)
      const write = file.write.bind(file) as (...args: unknown[]) => Promise<{ bytesWritten: number }>
      file.write = (async (bytes: Uint8Array, at: number, length: number, position: number) => {
        disk.free -= length
        if (disk.free < 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
        return write(bytes, at, length, position)
      }) as unknown as typeof file.write
      const read = file.read.bind(file) as (...args: unknown[]) => Promise<{ bytesRead: number }>
      file.read = (async (...args: unknown[]) => {
        const result = await read(...args)
        disk.read += result.bytesRead
        return result
      }) as unknown as typeof file.read
      return file
    },
  }
})
beforeEach(() => {
  Object.assign(disk, { free: Infinity, read: 0, holes: true })
})

const MiB = 1024 * 1024
const quiet = { signal: new AbortController().signal, onProgress: () => {} }

async function sparseImage(): Promise<string> {
  const path = join(await tempFolder(), 'from.img')
  const file = await open(path, 'w')
  await file.truncate(64 * MiB + 123)
  await file.write(new Uint8Array(1000).fill(7), 0, 1000, 5 * MiB + 17)
  await file.write(new Uint8Array(3 * MiB).fill(8), 0, 3 * MiB, 33 * MiB)
  await file.write(new Uint8Array([9]), 0, 1, 64 * MiB + 122)
  await file.close()
  return path
}

describe('copyImage', () => {
  test('the same bytes, in no more room', async () => {
    const from = await sparseImage()
    const to = join(from, '..', 'to.img')
    const told: number[] = []
    let all = 0
    const onProgress = (done: number, total: number) => {
      told.push(done)
      all = total
    }
    expect(await copyImage(from, to, { ...quiet, onProgress })).toEqual({ bytes: 64 * MiB + 123 })
    expect(Buffer.compare(await readFile(from), await readFile(to))).toBe(0)
    expect((await stat(to)).blocks * 512).toBeLessThan(4 * MiB)
    expect(told.at(-1)).toBe(all)
    expect([...told].sort((a, b) => a - b)).toEqual(told)
    expect((await readdir(join(from, '..'))).sort()).toEqual(['from.img', 'to.img'])
  })

  test.runIf(process.platform === 'linux')('of a large sparse file only the data is read, and only that is counted', async () => {
    const GiB = 1024 * MiB
    const folder = await tempFolder()
    const [from, to] = [join(folder, 'from.img'), join(folder, 'to.img')]
    const islands = [0, 3 * GiB + 12_345, 10 * GiB - 100_000]
    const original = await open(from, 'w')
    await original.truncate(10 * GiB)
    for (const [number, at] of islands.entries()) await original.write(new Uint8Array(100_000).fill(number + 1), 0, 100_000, at)
    await original.close()
    let all = 0
    await copyImage(from, to, { ...quiet, onProgress: (_done, total) => (all = total) })
    expect(disk.read).toBeLessThan(MiB)
    expect(all).toBe(disk.read)
    const { size, blocks } = await stat(to)
    expect(size).toBe(10 * GiB)
    expect(blocks * 512).toBeLessThan(MiB)
    const copy = await open(to)
    for (const [number, at] of islands.entries()) {
      const { buffer } = await copy.read(new Uint8Array(100_000), 0, 100_000, at)
      expect(buffer.every((byte) => byte === number + 1)).toBe(true)
    }
    await copy.close()
  })

  test('where nothing tells of holes, all is read, and the copy has them all the same', async () => {
    disk.holes = false
    const from = await sparseImage()
    const to = join(from, '..', 'to.img')
    await copyImage(from, to, quiet)
    expect(disk.read).toBe(64 * MiB + 123)
    expect(Buffer.compare(await readFile(from), await readFile(to))).toBe(0)
    expect((await stat(to)).blocks * 512).toBeLessThan(4 * MiB)
  })

  test('a file that is one hole', async () => {
    const from = join(await tempFolder(), 'from.img')
    await writeFile(from, '')
    await truncate(from, 8 * MiB)
    const told: number[][] = []
    await copyImage(from, `${from}.copy`, { ...quiet, onProgress: (...numbers) => told.push(numbers) })
    expect(Buffer.compare(await readFile(`${from}.copy`), Buffer.alloc(8 * MiB))).toBe(0)
    if (process.platform === 'linux') expect(told).toEqual([[0, 0]])
  })

  test('an empty and a tiny file', async () => {
    const folder = await tempFolder()
    for (const content of ['', 'x']) {
      await writeFile(join(folder, `from${content}`), content)
      await copyImage(join(folder, `from${content}`), join(folder, `to${content}`), quiet)
      expect(await readFile(join(folder, `to${content}`), 'utf8')).toBe(content)
    }
  })

  test('a full disk: told as such, nothing left behind', async () => {
    const from = await sparseImage()
    disk.free = 2 * MiB
    await expect(copyImage(from, join(from, '..', 'to.img'), quiet)).rejects.toMatchObject({
      code: 'no-space',
      message: expect.stringContaining('from.img') as string,
    })
    expect(await readdir(join(from, '..'))).toEqual(['from.img'])
  })

  test('cancelled: nothing left behind', async () => {
    const from = await sparseImage()
    const caller = new AbortController()
    const copying = copyImage(from, join(from, '..', 'to.img'), {
      signal: caller.signal,
      onProgress: (done) => done > 0 && caller.abort(AppError.cancelled()),
    })
    await expect(copying).rejects.toMatchObject({ code: 'cancelled' })
    expect(await readdir(join(from, '..'))).toEqual(['from.img'])
  })

  test('never writes over what is there', async () => {
    const from = await sparseImage()
    const to = join(from, '..', 'to.img')
    await writeFile(to, 'precious')
    await expect(copyImage(from, to, quiet)).rejects.toMatchObject({ code: 'already-exists' })
    expect(await readFile(to, 'utf8')).toBe('precious')
  })

  test('an image that a machine writes is refused, and free again afterwards', async () => {
    const from = await sparseImage()
    const device = await openImage({ path: from, format: 'raw', readOnly: false })
    await expect(copyImage(from, join(from, '..', 'to.img'), quiet)).rejects.toMatchObject({ code: 'busy' })
    await device.close()
    await copyImage(from, join(from, '..', 'to.img'), quiet)
    await (await openImage({ path: from, format: 'raw', readOnly: false })).close()
  })

  test('one that becomes shorter meanwhile is an error, not a copy of something else', async () => {
    const from = await sparseImage()
    const copying = copyImage(from, join(from, '..', 'to.img'), { ...quiet, onProgress: () => void truncate(from, 1000) })
    await expect(copying).rejects.toMatchObject({ code: 'io' })
    expect(await readdir(join(from, '..'))).toEqual(['from.img'])
  })

  test('the copy of a read-only file can be written by its owner', async () => {
    const from = await sparseImage()
    await chmod(from, 0o444)
    await copyImage(from, join(from, '..', 'to.img'), quiet)
    expect((await stat(join(from, '..', 'to.img'))).mode & 0o777).toBe(0o644)
  })

  test('a folder and a missing file are refused', async () => {
    const folder = await tempFolder()
    await expect(copyImage(folder, join(folder, 'to'), quiet)).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(copyImage(join(folder, 'none'), join(folder, 'to'), quiet)).rejects.toMatchObject({ code: 'not-found' })
  })
})
