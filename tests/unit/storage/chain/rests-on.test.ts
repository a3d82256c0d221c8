import { execFile } from 'node:child_process'
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { filesBelow } from '../../../../src-main/storage/chain/rests-on.ts'
import { rebaseImage } from '../../../../src-main/storage/jobs/rebase-image.ts'
import { openLayer } from '../../../../src-main/storage/open-image.ts'
import { makeChain } from '../../../support/disk-chain.ts'
import { seeded } from '../../../support/seeded.ts'
import { tempFolder } from '../../../support/temp-folder.ts'

const quiet = { signal: new AbortController().signal, onProgress: () => {} }
const plain = { size: 64 * 1024, clusterSize: 1024 }

test('the files below an image, also of one that somebody writes, and wherever they lie', async () => {
  const folder = await tempFolder()
  const { layers } = await makeChain(folder, [{ raw: 512 }, plain, plain], 2, seeded(1))
  const [raw, middle, top] = layers.map(({ path }) => path) as [string, string, string]
  const writer = await openLayer({ path: top, format: 'qcow2', readOnly: false })
  expect(await filesBelow(top, 'qcow2')).toEqual([middle, raw])
  await writer.close()
  expect(await filesBelow(top, null)).toEqual([middle, raw])
  expect(await filesBelow(top, 'raw')).toEqual([])
  expect(await filesBelow(raw, null)).toEqual([])
  await mkdir(join(folder, 'far'))
  const far = join(folder, 'far', 'far.qcow2')
  await copyFile(top, far)
  expect(await filesBelow(far, 'qcow2')).toEqual([])
  await rebaseImage(
    { image: { path: far, format: null, folders: [] }, backing: { path: middle, format: null, folders: [] }, unsafe: true },
    quiet,
  )
  expect(await filesBelow(far, 'qcow2')).toEqual([middle, raw])
  await symlink(far, join(folder, 'link'))
  expect(await filesBelow(join(folder, 'link'), 'qcow2')).toEqual([middle, raw])
})

test.skipIf(process.platform === 'win32')('what is no image rests on nothing: rings, pipes, folders, nonsense', async () => {
  const folder = await tempFolder()
  const { layers } = await makeChain(folder, [plain, plain], 1, seeded(1))
  const [lower, upper] = layers.map(({ path }) => path) as [string, string]
  const layer = await openLayer({ path: lower, format: 'qcow2', readOnly: false })
  await layer.setBacking!({ path: '1.img', format: 'qcow2' })
  await layer.close()
  expect(await filesBelow(upper, 'qcow2')).toEqual([lower, upper])
  await promisify(execFile)('mkfifo', [join(folder, 'pipe')])
  await writeFile(join(folder, 'short'), 'QFI')
  await writeFile(join(folder, 'empty'), '')
  for (const name of ['pipe', 'short', 'empty', 'none', '.']) {
    expect(await filesBelow(join(folder, name), null)).toEqual([])
    expect(await filesBelow(join(folder, name), 'qcow2')).toEqual([])
  }
})
