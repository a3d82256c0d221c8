/** What becomes of running machines where a host must end and nobody can be asked. The log says it. */
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { settings } from '../../../src-shared/api/index.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { LOG_FILE } from '../../../src-main/host/log/log.ts'
import { echoDisk } from '../../support/echo-disk.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { attach, testHost } from './support/test-host.ts'

const full = vi.hoisted(() => ({ disk: false }))
vi.mock(import('../../../src-main/host/machines/suspend/suspended-state.ts'), async (original) => {
  const real = await original()
  return {
    ...real,
    commitSuspended: (bundle) => (full.disk ? Promise.reject(new AppError('no-space', 'The disk is full.')) : real.commitSuspended(bundle)),
  }
})
const PATIENCE = vi.hoisted(() => ({ ms: 30_000 }))
vi.mock(import('../../../src-main/host/machines/running/end-unattended.ts'), async (original) => {
  const real = await original()
  return { ...real, endUnattended: (service, options) => real.endUnattended(service, { ...options, patience: PATIENCE.ms }) }
})

test('what can be suspended is; else it is shut down; else powered off', async () => {
  PATIENCE.ms = 500
  const logFolder = await tempFolder()
  const host = await testHost({ logFolder })
  const ids = [await host.make('kept'), await host.make('heeds', 'nospace'), await host.make('deaf', 'nospace deaf')]
  for (const id of ids) {
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
  }
  await host.machines.pause({ id: ids[1]! })
  await host.host.endUnattended()
  const states = await Promise.all(ids.map(async (id) => (await host.machines.get({ id })).state))
  expect(states).toEqual(['suspended', 'off', 'off'])
  const log = await readFile(join(logFolder, LOG_FILE), 'utf8')
  expect(log).toMatch(/“heeds” could not be suspended and stays paused\. .* It was shut down instead, because Coppice ends\./)
  expect(log).toMatch(/“deaf” could not be suspended and goes on running\. .* It did not shut down, either, and was powered off/)
  expect(log).not.toContain('“kept” could not')
})

describe.skipIf(!QEMU_PROGRAM || process.platform !== 'linux')('on QEMU', () => {
  test('one that cannot be suspended and hears no button runs on for the next host, where machines stay in the background', async () => {
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'q-')))
    onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
    await mkdir(join(folder, 'r'), { mode: 0o700 })
    vi.stubEnv('XDG_RUNTIME_DIR', join(folder, 'r'))
    onTestFinished(() => void vi.unstubAllEnvs())
    await writeFile(join(folder, 'echo.img'), echoDisk())
    const open = () => testHost({ doubles: {}, library: join(folder, 'library'), logFolder: folder })
    PATIENCE.ms = 300

    const host = await open()
    await host.rpc.service(settings).set({ onCloseWithRunning: 'background' })
    const source = { kind: 'disk', path: join(folder, 'echo.img') } as const
    const id = (await host.done(host.machines.create({ name: 'echo', source, engine: 'qemu', memoryMiB: 64 }))).result!.id!
    await host.machines.start({ id })
    const console = await attach(host, id)
    await console.until('A')
    await console.type('first')
    await console.until('first')
    full.disk = true
    onTestFinished(() => void (full.disk = false))
    await host.host.endUnattended()
    expect(host.host.activeMachines()).toEqual([])
    await host.host.close()
    expect(await readFile(join(folder, LOG_FILE), 'utf8')).toContain('runs on although Coppice ends: the next Coppice goes on with it.')

    const next = await open()
    expect(await next.machines.get({ id })).toMatchObject({ state: 'running', lastError: null })
    const again = await attach(next, id, 0)
    await again.type('second')
    expect(await again.until('second')).toMatch(/A[\s\S]*first[\s\S]*second/)
    await next.machines.powerOff({ id })
  })
})
