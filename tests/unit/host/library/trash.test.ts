import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { forgetTrashed, moveToTrash, trashedFrom, trashFolders, trashInfo } from '../../../../src-main/host/library/trash.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

async function bundleIn(folder: string): Promise<string> {
  const bundle = join(folder, 'Größe 1.coppice')
  await mkdir(bundle)
  await writeFile(join(bundle, 'machine.json'), '{}')
  return bundle
}

test('the information file is as the specification says', () => {
  expect(trashInfo('/l/Größe 1.coppice', new Date(2026, 10, 3, 4, 5, 6))).toBe(
    '[Trash Info]\nPath=/l/Gr%C3%B6%C3%9Fe%201.coppice\nDeletionDate=2026-11-03T04:05:06\n',
  )
})

test('Linux uses the desktop’s trash, the others the library’s', () => {
  expect(trashFolders('/l', 'linux', { XDG_DATA_HOME: '/data' })).toEqual(['/data/Trash', '/l/.trash'])
  expect(trashFolders('/l', 'linux', { XDG_DATA_HOME: 'relative' })[0]).toMatch(/\/\.local\/share\/Trash$/)
  expect(trashFolders('/l', 'darwin', {})).toEqual(['/l/.trash'])
})

describe('a bundle in the trash', () => {
  test('tells where it came from; two of one name live side by side', async () => {
    const root = await tempFolder()
    const trash = join(root, 'Trash')
    const first = await moveToTrash(await bundleIn(root), [trash])
    const second = await moveToTrash(await bundleIn(root), [trash])
    expect(first).toBe(join(trash, 'files', 'Größe 1.coppice'))
    expect(second).toBe(join(trash, 'files', 'Größe 1 2.coppice'))
    for (const each of [first, second]) {
      expect((await stat(each)).isDirectory()).toBe(true)
      await expect(trashedFrom(each, [trash])).resolves.toBe(join(root, 'Größe 1.coppice'))
    }
    await forgetTrashed(first)
    await expect(readFile(join(trash, 'info', 'Größe 1.coppice.trashinfo'))).rejects.toThrow()
  })

  test('goes to the next trash where the first cannot take it', async () => {
    const root = await tempFolder()
    await writeFile(join(root, 'file'), '')
    const bundle = await bundleIn(root)
    await expect(moveToTrash(bundle, [join(root, 'file')])).rejects.toMatchObject({ code: 'invalid-input' })
    expect((await stat(bundle)).isDirectory()).toBe(true)
    await expect(moveToTrash(bundle, [join(root, 'file'), join(root, '.trash')])).resolves.toContain('.trash')
  })

  test('is had back from a trash alone', async () => {
    const root = await tempFolder()
    const bundle = await bundleIn(root)
    const trash = join(root, 'Trash')
    for (const wrong of [bundle, join(trash, 'files', 'none.coppice'), join(trash, 'files', '..', '..', 'x.coppice'), '/etc'])
      await expect(trashedFrom(wrong, [trash])).rejects.toMatchObject({ code: 'not-found' })
  })
})
