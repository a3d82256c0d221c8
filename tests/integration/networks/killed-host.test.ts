/** A host that is killed while QEMU runs a machine in a network: the next one plugs it in again. */
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NetworkView } from '../../../src-shared/api/networks.ts'
import { coppice, type Ran } from '../../support/coppice.ts'
import { echoDisk } from '../../support/echo-disk.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { until } from '../../support/until.ts'

let folder: string
let env: Record<string, string>

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'n-')))
  const runtime = join(folder, 'r')
  await mkdir(runtime, { mode: 0o700 })
  await writeFile(join(folder, 'echo.img'), echoDisk())
  env = { COPPICE_LIBRARY: join(folder, 'library'), XDG_RUNTIME_DIR: runtime, COPPICE_STATE: join(folder, 'state') }
})
afterEach(async () => {
  await run('quit', '--force')
  await rm(folder, { recursive: true, force: true, maxRetries: 5 })
})

const run = (...args: string[]): Promise<Ran> => coppice(args, { env })

async function network(): Promise<NetworkView> {
  const { code, stdout, stderr } = await run('net', 'show', 'lab', '--json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as NetworkView
}
const isConnected = async (): Promise<boolean> => (await network()).nics[0]!.connected

/** Of the host that has the library. */
async function hostPid(): Promise<number> {
  const places = join(env['XDG_RUNTIME_DIR']!, 'coppice')
  const claims = (await readdir(places, { recursive: true })).filter((name) => /host-\d+\.json$/.test(name)).sort()
  return (JSON.parse(await readFile(join(places, claims.at(-1)!), 'utf8')) as { pid: number }).pid
}

describe.skipIf(!QEMU_PROGRAM || process.platform !== 'linux')('a host that is killed', () => {
  test('leaves a machine that the next one plugs in again, where it was and cut as it was', { timeout: 120_000 }, async () => {
    expect(await run('net', 'create', 'lab')).toMatchObject({ code: 0 })
    const args = ['--disk', join(folder, 'echo.img'), '--engine', 'qemu', '--memory', '64M', '--net', 'lab']
    expect(await run('create', 'echo', ...args)).toMatchObject({ code: 0, stderr: '' })
    expect(await run('start', 'echo')).toMatchObject({ code: 0 })
    await until(isConnected)
    const { network: document } = await network()
    process.kill(await hostPid(), 'SIGKILL')
    await until(isConnected)
    expect((await network()).network).toEqual(document)
    expect(await run('net', 'cut', 'echo:nic0')).toMatchObject({ code: 0 })
    process.kill(await hostPid(), 'SIGKILL')
    expect((await network()).nics[0]).toMatchObject({ connected: false, cut: true })
    expect(await run('net', 'join', 'echo:nic0')).toMatchObject({ code: 0 })
    await until(isConnected)
  })
})
