import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../../../src-main/storage/file/byte-file.ts'
import { makeFile } from '../../../../src-main/storage/file/make-file.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const MiB = 2 ** 20

/** Syncs of files in this test do this first; counted from 1. */
const double = vi.hoisted(() => ({ syncs: 0, before: async (_sync: number): Promise<void> => {} }))

vi.mock(import('../../../../src-main/storage/file/open-byte-file.ts'), async (load) => {
  const { byteFile, ...rest } = await load()
  return {
    ...rest,
    byteFile: (...args) => {
      const file = byteFile(...args)
      return {
        ...file,
        get size() {
          return file.size
        },
        sync: async () => {
          await double.before(++double.syncs)
          await file.sync()
        },
      }
    },
  }
})
beforeEach(() => {
  double.syncs = 0
  double.before = async () => {}
})

const chunk = new Uint8Array(MiB).fill(7)
async function write(file: ByteFile, from: number, to: number): Promise<void> {
  for (let i = from; i < to; i++) await file.write(i * MiB, chunk)
}

describe('a file in making', () => {
  test('is sent to the disk while more is written, by one sync at a time', async () => {
    const path = join(await tempFolder(), 'a.img')
    let underWay = 0
    let most = 0
    const first = Promise.withResolvers<void>()
    double.before = async (sync) => {
      most = Math.max(most, ++underWay)
      if (sync === 1) await first.promise
      underWay--
    }
    await makeFile(path, async (file) => {
      await write(file, 0, 15)
      expect(double.syncs).toBe(0)
      await write(file, 15, 64)
      expect(double.syncs).toBe(1)
      first.resolve()
    })
    expect(double.syncs).toBe(2)
    expect(most).toBe(1)
    expect((await stat(path)).size).toBe(64 * MiB)
  })

  test('is not made when something did not get to the disk, whatever the system says the next time', async () => {
    const folder = await tempFolder()
    double.before = async (sync) => {
      if (sync === 1) throw new AppError('no-space', 'The disk is full.')
    }
    await expect(makeFile(join(folder, 'a.img'), (file) => write(file, 0, 40))).rejects.toMatchObject({ code: 'no-space' })
    expect(await readdir(folder)).toEqual([])
  })

  test('that cannot be finished is closed when the disk has answered, and is gone', async () => {
    const folder = await tempFolder()
    let answered = false
    double.before = async () => {
      await new Promise((resolve) => setImmediate(resolve))
      answered = true
    }
    const work = makeFile(join(folder, 'a.img'), async (file) => {
      await write(file, 0, 16)
      throw new AppError('cancelled', 'Enough.')
    })
    await expect(work).rejects.toMatchObject({ code: 'cancelled' })
    expect(answered).toBe(true)
    expect(await readdir(folder)).toEqual([])
  })
})
