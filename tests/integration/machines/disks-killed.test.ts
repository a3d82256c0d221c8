/** kill -9 of a host while it gives a machine new disks: the machine has all of them or none, and no file is left that it does not name. */
import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { bundlePaths } from '../../../src-main/host/library/bundle.ts'
import { disks as diskService } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { seeded } from '../../support/seeded.ts'
import { copyForHost, killedHost } from './support/killed-host.ts'
import { testHost, type TestHost } from './support/test-host.ts'

/** Hosts that are killed, at moments over all of the work's length. */
const KILLS = 12
const GONE = { pid: 2 ** 22 + 1, start: 'gone', host: hostname(), token: 'x', atRest: true }

const filesOf = async (bundle: string): Promise<string[]> => (await readdir(join(bundle, 'disks'))).sort()
const settled = (bundle: string): Promise<void> =>
  vi.waitFor(async () => expect((await filesOf(bundle)).filter((name) => name.startsWith('.new-'))).toEqual([]), 20_000)

test('the machine has all new disks or none', { timeout: 120_000 }, async () => {
  const made = await testHost()
  const machine = await made.make('web-1')
  // The image of a disk that was taken out is somebody's.
  const { disks } = bundlePaths((await made.machines.get({ id: machine })).bundle)
  await mkdir(disks)
  await writeFile(join(disks, 'disk1.qcow2'), 'kept')
  await made.host.close()
  const random = seeded(20_261_121)
  let length = 0
  for (let kill = -1; kill < KILLS; kill++) {
    const { library, cacheFolder } = await copyForHost(made.library)
    const delay = kill < 0 ? null : (length * (kill + random(1000) / 1000)) / KILLS
    const work = { kind: 'add-disks', bytes: [2 * MiB, 3 * MiB] } as const
    length =
      (await killedHost({ library, cacheFolder, machine, running: false, work: { ...work, bytes: [...work.bytes] } }, delay)) ?? length
    const next = await testHost({ library })
    const { bundle, config } = await next.machines.get({ id: machine })
    await settled(bundle)
    const where = `killed after ${delay} of ${length} ms`
    const named = config!.drives.map(({ path }) => path!.replace('disks/', ''))
    expect([0, 2], where).toContain(named.length)
    expect(await filesOf(bundle), where).toEqual([...named, 'disk1.qcow2'].sort())
    for (const { problem } of await next.rpc.service(diskService).list({ machine })) expect(problem, where).toBeNull()
    await next.host.close()
  }
})

/** What a host leaves that is killed between giving a disk's file its name and writing the configuration. */
async function abandoned(
  lock: object,
  after?: (path: string) => Promise<void>,
): Promise<{ next: TestHost; machine: string; bundle: string }> {
  const made = await testHost()
  const machine = await made.make('web-1')
  await made.rpc.service(diskService).add({ machine, disks: [{ source: { kind: 'new', bytes: MiB } }] })
  const { bundle, config } = await made.machines.update({ id: machine, patch: {} })
  await made.machines.update({ id: machine, patch: { drives: after ? [] : config!.drives } })
  await made.host.close()
  const path = join(bundle, 'disks/disk0.qcow2')
  const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true })
  const folder = join(bundle, 'disks/.new-1')
  await mkdir(folder)
  await writeFile(join(folder, 'lock'), JSON.stringify(lock))
  await writeFile(join(folder, 'made.json'), JSON.stringify([{ name: 'disk0.qcow2', state: [dev, ino, size, mtimeNs].join(':') }]))
  await writeFile(join(folder, 'disk1.qcow2'), 'half of it')
  await after?.(path)
  return { next: await testHost({ library: made.library }), machine, bundle }
}

test('a file that nobody came to name is removed', async () => {
  const { bundle } = await abandoned(GONE, async () => {})
  await settled(bundle)
  expect(await filesOf(bundle)).toEqual([])
})

test('a file that was named stays', async () => {
  const { bundle } = await abandoned(GONE)
  await settled(bundle)
  expect(await filesOf(bundle)).toEqual(['disk0.qcow2'])
})

test('a file that was written since stays', async () => {
  const { bundle } = await abandoned(GONE, (path) => utimes(path, new Date(), new Date()))
  await settled(bundle)
  expect(await filesOf(bundle)).toEqual(['disk0.qcow2'])
})

test('what a living host makes stays', async () => {
  const { next, machine, bundle } = await abandoned({ ...GONE, pid: process.pid, start: 'unknown' }, async () => {})
  await next.rpc.service(diskService).add({ machine, disks: [{ source: { kind: 'new', bytes: MiB } }] })
  await next.host.close()
  expect(await filesOf(bundle)).toEqual(['.new-1', 'disk0-2.qcow2', 'disk0.qcow2'])
})
