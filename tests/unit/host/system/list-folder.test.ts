import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { listFolder } from '../../../../src-main/host/system/list-folder.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

describe('listFolder', () => {
  test('folders, bundles and files, folders first and each by name; hidden, dead and special ones left out', async () => {
    const folder = await tempFolder()
    for (const name of ['b 10', 'b 2', 'vm.coppice', '.hidden']) await mkdir(join(folder, name))
    for (const name of ['z.iso', 'A.img', '.dot']) await writeFile(join(folder, name), '')
    await truncate(join(folder, 'z.iso'), 1234)
    await symlink(join(folder, 'z.iso'), join(folder, 'link.iso'))
    await symlink(join(folder, 'nowhere'), join(folder, 'dead'))
    await symlink('/dev/null', join(folder, 'device'))
    const { path, parent, entries, truncated } = await listFolder(folder)
    expect({ path, parent, truncated }).toEqual({ path: folder, parent: join(folder, '..'), truncated: false })
    expect(entries.map(({ name, kind, bytes }) => [name, kind, bytes])).toEqual([
      ['b 2', 'folder', null],
      ['b 10', 'folder', null],
      ['vm.coppice', 'bundle', null],
      ['A.img', 'file', 0],
      ['link.iso', 'file', 1234],
      ['z.iso', 'file', 1234],
    ])
    expect(entries[0]?.path).toBe(join(folder, 'b 2'))
    expect(Number.isNaN(Date.parse(entries[0]!.modified!))).toBe(false)
  })

  test('says when it gave not all', async () => {
    const folder = await tempFolder()
    for (let at = 0; at < 10; at++) await writeFile(join(folder, `f${at}`), '')
    expect(await listFolder(folder, 9)).toMatchObject({ truncated: true, entries: { length: 9 } })
    expect(await listFolder(folder, 10)).toMatchObject({ truncated: false, entries: { length: 10 } })
  })

  test('the root has no parent; ~ is the home folder; .. is resolved', async () => {
    expect((await listFolder('/')).parent).toBeNull()
    expect((await listFolder('~')).path).toBe(homedir())
    const folder = await tempFolder()
    expect((await listFolder(`${folder}/x/../`)).path).toBe(folder)
  })

  test('what is no folder is refused in a sentence', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'file'), '')
    await expect(listFolder('relative')).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(listFolder('')).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(listFolder('/a\0b')).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(listFolder(join(folder, 'none'))).rejects.toMatchObject({ code: 'not-found' })
    await expect(listFolder(join(folder, 'file'))).rejects.toMatchObject({ code: 'invalid-input' })
  })
})
