/** A host that ends leaves nothing: no thread, handle, watcher, lock or unowned disposable; one that idles has nothing to begin with. */
import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { system } from '../../../src-shared/api/index.ts'
import { setLeakTracker, type Disposable } from '../../../src-shared/base/disposable.ts'
import { attach, testHost } from './support/test-host.ts'

afterEach(() => setLeakTracker(null))

/** Open files of this process below a folder, and its threads; where the system shows them. */
async function opened(folder: string): Promise<string[]> {
  const links = await Promise.all((await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')))
  return links.filter((path) => path.startsWith(folder))
}
const threads = async (): Promise<number> => (await readdir('/proc/self/task')).length
const resources = (kind: RegExp): string[] => process.getActiveResourcesInfo().filter((name) => kind.test(name))

test.runIf(process.platform === 'linux')('a host that worked leaves nothing behind', async () => {
  const living = new Set<Disposable>()
  let born = 0
  // Once without looking, so that what Node makes once and keeps is there.
  for (const looked of [false, true]) {
    const threadsBefore = await threads()
    const ports = resources(/MessagePort|FSEvent|Worker/).length
    if (looked) setLeakTracker({ opened: (each) => void (born++, living.add(each)), closed: (each) => void living.delete(each) })
    const host = await testHost()
    const id = await host.make('a', '', { newDiskBytes: 1024 * 1024 })
    const other = await host.make('b')
    const crashed = await host.make('c')
    await Promise.all([host.machines.start({ id }), host.machines.start({ id: other }), host.machines.start({ id: crashed })])
    const console = await attach(host, id)
    await host.machines.waitBooted({ id })
    await host.machines.type({ id: crashed, text: 'die\n' }).catch(() => {})
    await host.until(crashed, ({ state }) => state === 'crashed')
    await host.done(host.machines.suspend({ id }))
    await host.machines.resume({ id })
    await host.done(host.machines.duplicate({ id: crashed, name: 'd' }))
    // The rest is left running: ending it is the host's business.
    await host.host.close()
    host.rpc.dispose()
    await console.ended.catch(() => {})
    if (!looked) continue
    expect(born).toBeGreaterThan(20)
    expect([...living]).toEqual([])
    expect(await opened(host.library)).toEqual([])
    expect(resources(/MessagePort|FSEvent|Worker/).length).toBe(ports)
    expect(await threads()).toBeLessThanOrEqual(threadsBefore)
    for (const bundle of await readdir(host.library))
      if (bundle.endsWith('.coppice')) expect(await readdir(join(host.library, bundle))).not.toContain('lock')
  }
})

test.runIf(process.platform === 'linux')('a host that idles has no thread of its own and no timer', async () => {
  await (await testHost()).host.close()
  const before = { threads: await threads(), timers: resources(/Timeout|Immediate/).length }
  const host = await testHost()
  await host.machines.list({})
  expect({ threads: await threads(), timers: resources(/Timeout|Immediate/).length }).toEqual(before)
})

test('closing twice, and while things are under way, is fine', async () => {
  const host = await testHost()
  const id = await host.make('a', 'slow=20000')
  const slow = await host.make('b', 'slow=20000')
  await host.machines.start({ id: slow })
  const starting = host.machines.start({ id }).catch((error: { code: string }) => error.code)
  await host.machines.suspend({ id: slow })
  await Promise.all([host.host.close(), host.host.close()])
  host.rpc.dispose()
  await starting
  expect(host.host.activeMachines()).toEqual([])
})

test('quitting suspends, powers off, or refuses', async () => {
  const host = await testHost()
  const service = host.rpc.service(system)
  const [a, b] = [await host.make('a'), await host.make('b')]
  await Promise.all([host.machines.start({ id: a }), host.machines.start({ id: b })])
  await host.machines.pause({ id: b })
  await expect(service.quit({ running: 'refuse' })).rejects.toMatchObject({
    code: 'busy',
    message: 'Machines are still running: “a”, “b”. Suspend or shut down first.',
  })
  expect(host.host.activeMachines()).toHaveLength(2)
  const quit = new Promise<{ reason: string }>((resolve) => host.host.onQuit(resolve))
  const quitting = new Promise<{ reason: string }>((resolve) => service.quitting(resolve))
  await service.quit({ running: 'suspend' })
  expect(await quit).toEqual(await quitting)
  expect((await host.machines.list({})).map(({ state }) => state)).toEqual(['suspended', 'suspended'])
  await host.machines.start({ id: a })
  await host.host.quiesce('powerOff')
  expect((await host.machines.get({ id: a })).state).toBe('off')
})

test('quitting is called off where a machine cannot be suspended', async () => {
  const host = await testHost()
  const id = await host.make('a', 'nospace')
  await host.machines.start({ id })
  await expect(host.host.quiesce('suspend')).rejects.toMatchObject({ code: 'no-space' })
  expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
})
