import { open, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MiB } from '../../../../src-shared/base/units.ts'
import { openLayer } from '../../../../src-main/storage/open-image.ts'
import { createImage } from '../../../../src-main/storage/jobs/create-image.ts'
import { convertImage } from '../../../../src-main/storage/jobs/convert-image.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const quiet = { signal: new AbortController().signal, onProgress: () => {} }

async function sparseDisk(folder: string): Promise<string> {
  const path = join(folder, 'a.img')
  const file = await open(path, 'wx')
  await file.truncate(64 * MiB)
  await file.write(new Uint8Array(3 * MiB).fill(7), 0, 3 * MiB, 10 * MiB + 1000)
  await file.close()
  return path
}

describe('converting', () => {
  test('raw to raw: the same bytes, in no more room, with progress', async () => {
    const folder = await tempFolder()
    const path = await sparseDisk(folder)
    const told: [number, number][] = []
    const to = { path: join(folder, 'b.img'), format: 'raw' as const, replace: false, packed: false }
    const result = await convertImage({ path, format: 'raw' }, to, { ...quiet, onProgress: (...now) => void told.push(now) })
    expect(result).toEqual({ size: 64 * MiB })
    expect((await readFile(to.path)).equals(await readFile(path))).toBe(true)
    expect((await stat(to.path)).blocks * 512).toBeLessThan(4 * MiB)
    expect(told.at(-1)).toEqual([64 * MiB, 64 * MiB])
    expect((await readdir(folder)).sort()).toEqual(['a.img', 'b.img'])
  })

  test('never writes over what is there, unless it is told to; what cannot be made leaves nothing behind', async () => {
    const folder = await tempFolder()
    const path = await sparseDisk(folder)
    const to = { path: join(folder, 'b.img'), format: 'raw' as const, replace: false, packed: false }
    await writeFile(to.path, 'mine')
    await expect(convertImage({ path, format: 'raw' }, to, quiet)).rejects.toMatchObject({ code: 'already-exists' })
    expect(await readFile(to.path, 'utf8')).toBe('mine')
    await convertImage({ path, format: 'raw' }, { ...to, replace: true }, quiet)
    expect((await stat(to.path)).size).toBe(64 * MiB)
    const stopped = { ...quiet, signal: AbortSignal.abort() }
    await expect(convertImage({ path, format: 'raw' }, { ...to, path: join(folder, 'c.img') }, stopped)).rejects.toMatchObject({
      code: 'cancelled',
    })
    await expect(convertImage({ path, format: 'raw' }, { ...to, path: join(folder, 'c.img'), packed: true }, quiet)).rejects.toMatchObject({
      code: 'unsupported',
    })
    expect((await readdir(folder)).sort()).toEqual(['a.img', 'b.img'])
  })

  test('what is to give way is in nobody’s use, also not as a layer of the source', async () => {
    const folder = await tempFolder()
    const path = await sparseDisk(folder)
    const old = join(folder, 'old.img')
    await writeFile(old, 'mine')
    const to = { path: old, format: 'raw' as const, replace: true, packed: false }
    for (const readOnly of [true, false]) {
      const user = await openLayer({ path: old, format: 'raw', readOnly })
      await expect(convertImage({ path, format: 'raw' }, to, quiet)).rejects.toMatchObject({ code: 'busy' })
      await user.close()
    }
    expect(await readFile(old, 'utf8')).toBe('mine')
    const top = join(folder, 'top.qcow2')
    await createImage({ path: top, format: 'qcow2', size: null, backing: { path, format: 'raw', folders: [] } })
    const source = { path: top, format: 'qcow2' as const, folders: [folder] }
    await expect(convertImage(source, { ...to, path }, quiet)).rejects.toMatchObject({ code: 'busy' })
    await convertImage(source, to, quiet)
    await convertImage(source, { ...to, path: top }, quiet)
    expect((await readFile(top)).equals(await readFile(path))).toBe(true)
    expect((await readFile(old)).equals(await readFile(path))).toBe(true)
    expect((await readdir(folder)).sort()).toEqual(['a.img', 'old.img', 'top.qcow2'])
  })

  test('a target over its own source is refused', async () => {
    const folder = await tempFolder()
    const path = await sparseDisk(folder)
    await expect(
      convertImage({ path, format: 'raw' }, { path, format: 'raw', replace: false, packed: false }, quiet),
    ).rejects.toMatchObject({ code: 'already-exists' })
  })
})
