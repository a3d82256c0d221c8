/** Files of a machine that are missing or damaged when it starts: it says which, stays off, and starts once they are mended. */
import { mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tempFolder } from '../../support/temp-folder.ts'
import { fakeIso, fakeKernel, put } from './support/fake-files.ts'
import { testHost, type TestHost } from './support/test-host.ts'

async function refusesToStart(host: TestHost, id: string, path: string, message: string): Promise<void> {
  const error = { code: 'invalid-input', message, details: { fields: [{ path, message }] } }
  await expect(host.machines.start({ id })).rejects.toMatchObject(error)
  expect(await host.machines.get({ id })).toMatchObject({ state: 'off', lastError: error })
}

test('a disk that is missing', async () => {
  const host = await testHost()
  const id = await host.make('a', '', { newDiskBytes: 1024 * 1024 })
  const disk = join((await host.machines.get({ id })).bundle, 'disks/disk0.qcow2')
  await rename(disk, `${disk}.away`)
  await refusesToStart(host, id, 'drives.0.path', `The disk image “${disk}” is not there. Put it back, or choose another file.`)
  await rename(`${disk}.away`, disk)
  expect(await host.machines.start({ id })).toMatchObject({ state: 'running', lastError: null })
})

test('a kernel of 0 bytes', async () => {
  const host = await testHost()
  const id = await host.make('a')
  const kernel = join((await host.machines.get({ id })).bundle, 'boot/kernel')
  await truncate(kernel, 0)
  await refusesToStart(host, id, 'boot.kernel', `The kernel “${kernel}” is empty (0 bytes). Choose another file.`)
  await writeFile(kernel, fakeKernel())
  expect(await host.machines.start({ id })).toMatchObject({ state: 'running' })
})

test('an ISO that was cut short, and one that is gone', async () => {
  const host = await testHost()
  const iso = await put(join(await tempFolder(), 'x.iso'), fakeIso(1024))
  const { result } = await host.done(host.machines.create({ name: 'a', source: { kind: 'iso', path: iso } }))
  const id = result!.id!
  await truncate(iso, 512 * 2048)
  const cut = `The ISO image “${iso}” is truncated: it says that it has 2 MiB, but the file ends 1 MiB earlier. Download or copy it again.`
  await refusesToStart(host, id, 'drives.0.path', cut)
  await rm(iso)
  await refusesToStart(host, id, 'drives.0.path', `The ISO image “${iso}” is not there. Put it back, or choose another file.`)
})

test.each(['logs/serial0.log', 'firmware/vars.fd', 'firmware/tpm', 'firmware', 'suspend'])('a link in place of %s', async (name) => {
  const host = await testHost()
  const id = await host.make('a')
  const link = join((await host.machines.get({ id })).bundle, name)
  if (name.includes('/')) await mkdir(join(link, '..'), { recursive: true })
  await symlink(await tempFolder(), link)
  await expect(host.machines.start({ id })).rejects.toMatchObject({
    code: 'denied',
    message: expect.stringContaining(`“${link}” is a link`) as string,
  })
  await rm(link)
  expect(await host.machines.start({ id })).toMatchObject({ state: 'running', lastError: null })
})
