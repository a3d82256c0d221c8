/** Snapshots of machines that run, without ending them: what fails leaves the machine running, and nothing is lost. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { attach, testHost, type TestHost } from './support/test-host.ts'

const service = (host: TestHost) => host.rpc.service(snapshots)

async function running(words = ''): Promise<{ host: TestHost; id: string; bundle: string }> {
  const host = await testHost()
  const id = await host.make('web-1', words, { newDiskBytes: MiB })
  await host.machines.start({ id })
  await host.machines.waitBooted({ id })
  return { host, id, bundle: (await host.machines.get({ id })).bundle }
}

/** What it has on its disk, by itself. */
async function read(host: TestHost, id: string): Promise<string> {
  const console = await attach(host, id)
  const mark = `mark-${crypto.randomUUID()}`
  await console.type(mark)
  await console.until(`${mark}\r\n# `)
  await console.type('read')
  const answer = (): string | undefined => /<(\d+)>\r\n/.exec(console.text().slice(console.text().indexOf(mark)))?.[1]
  return vi.waitFor(() => answer() ?? expect.fail('no answer'))
}

const images = async (bundle: string): Promise<string[]> => (await readdir(join(bundle, 'disks'))).filter((name) => name.endsWith('.qcow2'))

test('it runs in the same life, and nobody hears that it stood still', async () => {
  const { host, id } = await running()
  const { startedAt } = await host.machines.get({ id })
  const states = new Set<string>()
  const listening = host.machines.changed((change) => {
    if (change.kind === 'put') states.add(change.machine.state)
  })
  await host.machines.type({ id, text: 'write 1\n' })
  expect(await read(host, id)).toBe('1')
  const first = (await host.done(service(host).take({ machine: id, label: 'first' }))).result!.id!
  await host.machines.type({ id, text: 'write 2\n' })
  expect(await read(host, id)).toBe('2')
  listening.dispose()
  expect([...states]).toEqual(['running'])
  expect(await host.machines.get({ id })).toMatchObject({ startedAt })
  await host.done(service(host).restore({ machine: id, snapshot: first, keep: null }))
  expect(await read(host, id)).toBe('1')
})

test('memory that cannot be taken: it runs on as it was, in its own files', async () => {
  const { host, id, bundle } = await running('stuck')
  const before = await host.machines.get({ id })
  const files = await images(bundle)
  await expect(host.done(service(host).take({ machine: id, label: 'no' }))).rejects.toMatchObject({
    code: 'io',
    message: expect.stringContaining('The memory cannot be taken') as string,
  })
  expect(await host.machines.get({ id })).toMatchObject({ state: 'running', lastError: null, config: before.config })
  expect(await images(bundle)).toEqual(files)
  expect((await service(host).tree({ machine: id })).snapshots).toEqual([])
  await host.machines.type({ id, text: 'write 3\n' })
  expect(await read(host, id)).toBe('3')
  // Its disks alone can be kept.
  await host.done(service(host).take({ machine: id, label: 'disks', memory: false }))
})

test('memory that cannot be written: it runs on in new files, which are merged', async () => {
  const { host, id, bundle } = await running('nospace')
  await host.machines.type({ id, text: 'write 4\n' })
  expect(await read(host, id)).toBe('4')
  await expect(host.done(service(host).take({ machine: id, label: 'no' }))).rejects.toMatchObject({ code: 'no-space' })
  expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
  const { snapshots: all, current } = await service(host).tree({ machine: id })
  expect([all, current]).toEqual([[], null])
  expect(await readdir(join(bundle, 'snapshots'))).toEqual([])
  expect(await read(host, id)).toBe('4')
  await host.machines.type({ id, text: 'write 5\n' })
  expect(await read(host, id)).toBe('5')
  await host.machines.powerOff({ id })
  await vi.waitFor(async () => expect(await images(bundle)).toHaveLength(1))
  await host.machines.start({ id })
  expect(await read(host, id)).toBe('5')
})

test('switched off while its memory is written: the snapshot fails, and the machine starts with what it had', async () => {
  const { host, id } = await running('slow=60000')
  await host.machines.type({ id, text: 'write 6\n' })
  expect(await read(host, id)).toBe('6')
  const taking = host.done(service(host).take({ machine: id, label: 'no' })).catch((error: unknown) => error)
  await vi.waitFor(async () => expect((await host.tasks.list({})).at(-1)).toMatchObject({ step: 'Writing its memory' }))
  expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
  await expect(host.machines.pause({ id })).rejects.toMatchObject({ code: 'busy' })
  await host.machines.powerOff({ id })
  expect(await taking).toBeInstanceOf(Error)
  expect((await service(host).tree({ machine: id })).snapshots).toEqual([])
  await host.machines.start({ id })
  expect(await read(host, id)).toBe('6')
})
