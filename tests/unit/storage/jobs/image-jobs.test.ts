import { open, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB } from '../../../../src-shared/base/units.ts'
import { checkImage } from '../../../../src-main/storage/jobs/check-image.ts'
import { compactImage } from '../../../../src-main/storage/jobs/compact-image.ts'
import { createImage } from '../../../../src-main/storage/jobs/create-image.ts'
import { inspectImage } from '../../../../src-main/storage/jobs/inspect-image.ts'
import { resizeImage } from '../../../../src-main/storage/jobs/resize-image.ts'
import { openImage } from '../../../../src-main/storage/open-image.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const raw = (path: string) => ({ path, format: 'raw' as const, folders: [] })
const chosen = (path: string) => ({ path, format: null, folders: [] })

async function diskWith(path: string, bytes: Uint8Array, at: number, size: number): Promise<string> {
  const file = await open(path, 'wx')
  await file.truncate(size)
  await file.write(bytes, 0, bytes.length, at)
  await file.sync()
  await file.close()
  return path
}

describe('a new raw disk', () => {
  test('takes no room, and is refused where something is or where the size is none', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'a.img')
    expect(await createImage({ path, format: 'raw', size: 10 * GiB + 1, backing: null })).toEqual({ size: 10 * GiB + 512 })
    expect(await inspectImage(chosen(path))).toEqual({
      ...{ path, format: 'raw', size: 10 * GiB + 512, fileBytes: 10 * GiB + 512, storedBytes: 0, details: [], backing: null },
      ...{ layers: [], problem: null },
    })
    await expect(createImage({ path, format: 'raw', size: 512, backing: null })).rejects.toMatchObject({ code: 'already-exists' })
    for (const size of [null, 2 ** 50])
      await expect(createImage({ path: join(folder, 'b.img'), format: 'raw', size, backing: null })).rejects.toMatchObject({
        code: 'invalid-input',
      })
    await expect(createImage({ path: join(folder, 'b.img'), format: 'raw', size: 512, backing: raw(path) })).rejects.toMatchObject({
      code: 'invalid-input',
      message: expect.stringContaining('rests on no other one') as string,
    })
    expect(await readdir(folder)).toEqual(['a.img'])
  })
})

describe('resizing', () => {
  test('grows; shrinks only when what is lost may be', async () => {
    const path = await diskWith(join(await tempFolder(), 'a.img'), new Uint8Array(MiB).fill(1), 0, MiB)
    expect(await resizeImage(raw(path), 2 * MiB, false)).toEqual({ size: 2 * MiB })
    expect((await stat(path)).size).toBe(2 * MiB)
    await expect(resizeImage(raw(path), MiB, false)).rejects.toMatchObject({
      message: expect.stringContaining('What would be cut off holds no data.') as string,
    })
    await expect(resizeImage(raw(path), 512 * KiB, false)).rejects.toMatchObject({
      message: expect.stringContaining('512 KiB of data would be cut off.') as string,
    })
    expect(await resizeImage(raw(path), 512 * KiB, true)).toEqual({ size: 512 * KiB })
    expect((await readFile(path)).equals(Buffer.alloc(512 * KiB, 1))).toBe(true)
    await expect(resizeImage(raw(path), 0, true)).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('a disk that somebody uses is refused', async () => {
    const path = await diskWith(join(await tempFolder(), 'a.img'), new Uint8Array(512), 0, MiB)
    const user = await openImage({ path, format: 'raw', readOnly: false })
    await expect(resizeImage(raw(path), 2 * MiB, false)).rejects.toMatchObject({ code: 'busy' })
    await expect(compactImage(raw(path), quiet)).rejects.toMatchObject({ code: 'busy' })
    await user.close()
  })
})

describe('compacting a raw disk', () => {
  test('gives back zeroes, and changes nothing else', async () => {
    const content = new Uint8Array(4 * MiB)
    content.fill(3, MiB, 2 * MiB)
    const path = await diskWith(join(await tempFolder(), 'a.img'), content, 0, 8 * MiB)
    const { before, after } = await compactImage(raw(path), quiet)
    expect(before).toBeGreaterThanOrEqual(4 * MiB)
    expect(after).toBeLessThan(MiB + 64 * KiB)
    const now = await readFile(path)
    expect(now.subarray(0, 4 * MiB).equals(content)).toBe(true)
    expect(now).toHaveLength(8 * MiB)
  })
})

test('an image is known by its mark, without one it is raw; links are followed', async () => {
  const folder = await tempFolder()
  const path = await diskWith(join(folder, 'a.img'), new Uint8Array(512).fill(9), 0, MiB)
  await symlink(path, join(folder, 'link'))
  expect(await inspectImage(chosen(join(folder, 'link')))).toMatchObject({ path, format: 'raw', size: MiB })
  expect(await checkImage(chosen(path), false, quiet)).toBeNull()
  await writeFile(join(folder, 'empty'), '')
  await expect(inspectImage(chosen(join(folder, 'empty')))).rejects.toMatchObject({ code: 'corrupt' })
  await expect(inspectImage(chosen(join(folder, 'gone')))).rejects.toMatchObject({ code: 'not-found' })
  await expect(inspectImage(chosen(folder))).rejects.toMatchObject({ code: 'invalid-input' })
})
