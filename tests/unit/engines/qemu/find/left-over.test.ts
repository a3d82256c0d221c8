import { lstat, mkdir, readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { removeLeftOver } from '../../../../../src-main/engines/qemu/find/probe/probe.ts'
import { tempFolder } from '../../../../support/temp-folder.ts'

test('folders of probes that were killed go; those of now, links and everything else stay', async () => {
  const folder = await tempFolder()
  const long = new Date(Date.now() - 60 * 60 * 1000)
  for (const name of ['coppice-probe-old', 'coppice-probe-now', 'other-old']) await mkdir(join(folder, name))
  await writeFile(join(folder, 'coppice-probe-old', 'probe.bin'), 'x')
  await writeFile(join(folder, 'coppice-probe-file'), 'x')
  await symlink(join(folder, 'other-old'), join(folder, 'coppice-probe-link'))
  for (const name of ['coppice-probe-old', 'coppice-probe-file', 'other-old']) await utimes(join(folder, name), long, long)
  await removeLeftOver(folder)
  expect((await readdir(folder)).sort()).toEqual(['coppice-probe-file', 'coppice-probe-link', 'coppice-probe-now', 'other-old'])
  expect((await lstat(join(folder, 'other-old'))).isDirectory()).toBe(true)
  await removeLeftOver(join(folder, 'nowhere'))
})
