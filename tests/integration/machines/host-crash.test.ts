/** What the next host says of machines whose host ended without a word. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { newId } from '../../../src-shared/base/ids.ts'
import { testHost, type TestHost } from './support/test-host.ts'

/** As the lock of a host that was killed: its process is gone. @param atRest it was killed before the guest ran */
async function leaveLock(bundle: string, atRest = false): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, ['-p', 'process.pid'])
  const owner = { pid: Number(stdout), start: 'then', host: hostname(), token: newId(), atRest }
  await writeFile(join(bundle, 'lock'), JSON.stringify(owner))
}

async function made(
  prepare: (host: TestHost, id: string) => Promise<void> = async () => {},
): Promise<{ library: string; id: string; bundle: string }> {
  const host = await testHost()
  const id = await host.make('web-1')
  await prepare(host, id)
  const { bundle } = await host.machines.get({ id })
  await host.host.close()
  return { library: host.library, id, bundle }
}

test('a machine that ended with its host says so, once, and starts again', async () => {
  const { library, id, bundle } = await made()
  await leaveLock(bundle)
  const next = await testHost({ library })
  const [view] = await next.machines.list({})
  expect(view).toMatchObject({
    state: 'crashed',
    lastError: { code: 'crashed', message: expect.stringContaining('Coppice ended unexpectedly while “web-1” ran') as string },
  })
  expect(await next.machines.start({ id })).toMatchObject({ state: 'running', lastError: null })
  await next.machines.powerOff({ id })
  await next.host.close()
  expect(await (await testHost({ library })).machines.get({ id })).toMatchObject({ state: 'off', lastError: null })
})

test('one that was suspended stays suspended, one that was off stays off', async () => {
  const suspended = await made(async (host, id) => {
    await host.machines.start({ id })
    await host.done(host.machines.suspend({ id }))
  })
  await leaveLock(suspended.bundle)
  const next = await testHost({ library: suspended.library })
  expect(await next.machines.get({ id: suspended.id })).toMatchObject({ state: 'suspended', lastError: null })
  expect(await next.machines.resume({ id: suspended.id })).toMatchObject({ state: 'running' })

  const off = await made()
  expect(await (await testHost({ library: off.library })).machines.get({ id: off.id })).toMatchObject({ state: 'off', lastError: null })
})

test('one whose host was killed while it started it, before its guest ran, is off and starts', async () => {
  const { library, id, bundle } = await made()
  await leaveLock(bundle, true)
  const next = await testHost({ library })
  expect(await next.machines.get({ id })).toMatchObject({ state: 'off', lastError: null })
  const lock = async (): Promise<unknown> => JSON.parse(await readFile(join(bundle, 'lock'), 'utf8'))
  await next.machines.start({ id })
  expect(await lock()).toMatchObject({ pid: process.pid, atRest: false })
  await next.machines.powerOff({ id })
  await expect(lock()).rejects.toMatchObject({ code: 'ENOENT' })
})
