import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { bundleFolderName, nameFromFolder, nameKey, refuseLinks, resolveInBundle } from '../../../../src-main/host/library/bundle.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

test('folder names fit into file systems', () => {
  expect(bundleFolderName('web-1')).toBe('web-1.coppice')
  const long = bundleFolderName('🌳'.repeat(200))
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(255)
  expect(long).toMatch(/^(🌳)+\.coppice$/u)
  expect(nameFromFolder('/l/web-1.coppice')).toBe('web-1')
})

test('names that some file system takes for one are one', () => {
  expect(nameKey('Caf\u00e9')).toBe(nameKey('cafe\u0301'))
  expect(nameKey('a')).not.toBe(nameKey('b'))
})

describe('a path in machine.json', () => {
  test('stays inside of the bundle', async () => {
    const bundle = await tempFolder()
    await mkdir(join(bundle, 'disks'))
    await writeFile(join(bundle, 'disks/a.img'), 'x')
    await expect(resolveInBundle(bundle, 'disks/a.img')).resolves.toBe(join(bundle, 'disks/a.img'))
    await expect(resolveInBundle(bundle, 'disks/missing.img')).resolves.toBe(join(bundle, 'disks/missing.img'))
    await expect(resolveInBundle(bundle, '/elsewhere/x.iso')).resolves.toBe('/elsewhere/x.iso')
    await expect(resolveInBundle(bundle, '../other/a.img')).rejects.toMatchObject({ code: 'denied' })
    await expect(resolveInBundle(bundle, 'disks/../../a.img')).rejects.toMatchObject({ code: 'denied' })
  })

  test('does not leave it through a link, of the file or of its folder', async () => {
    const bundle = await tempFolder()
    const outside = await tempFolder()
    await writeFile(join(outside, 'secret'), 'x')
    await symlink(join(outside, 'secret'), join(bundle, 'a.img'))
    await symlink(outside, join(bundle, 'disks'))
    await symlink(join(bundle, 'nowhere'), join(bundle, 'dangling'))
    for (const path of ['a.img', 'disks/secret', 'dangling'])
      await expect(resolveInBundle(bundle, path)).rejects.toMatchObject({
        code: 'denied',
        message: expect.stringContaining(path) as string,
      })
    await expect(refuseLinks([join(bundle, 'disks')])).rejects.toMatchObject({ code: 'denied' })
    await expect(refuseLinks([join(bundle, 'nothing')])).resolves.toBeUndefined()
  })
})
