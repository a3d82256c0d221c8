/** Snapshots that are taken by themselves: real machines and disks, under a clock on which an hour is a few seconds. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { toDisposable } from '../../../src-shared/base/disposable.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import type { Clock } from '../../../src-main/host/snapshots/policy/clock.ts'
import { attach, DOUBLES, testHost, type TestHost } from './support/test-host.ts'

const FASTER = 1000
const began = Date.now()
const clock: Clock = {
  now: () => began + (Date.now() - began) * FASTER,
  after(ms, call) {
    const timer = setTimeout(call, Math.max(0, ms) / FASTER)
    return toDisposable(() => clearTimeout(timer))
  },
}

const fastHost = (): Promise<TestHost> => testHost({ doubles: { ...DOUBLES, clock } })
const tree = (host: TestHost, machine: string) => host.rpc.service(snapshots).tree({ machine })
const LONG = { timeout: 20_000 }

test('every few minutes while it runs, within a budget; the person’s own and pinned ones stay', async () => {
  const host = await fastHost()
  const id = await host.make('web-1', 'memory=20', { newDiskBytes: MiB })
  const mine = (await host.done(host.rpc.service(snapshots).take({ machine: id, label: 'mine' }))).result!.id!
  await host.machines.start({ id })
  // Each has 20 MiB of memory: three of them fit, and a pinned one.
  await host.machines.update({ id, patch: { autoSnapshots: { everyMinutes: 5, beforeStart: false, memory: true, budgetBytes: 70 * MiB } } })
  await vi.waitFor(
    async () => expect((await tree(host, id)).snapshots).toMatchObject([{ id: mine, by: 'person' }, { by: 'schedule' }]),
    LONG,
  )
  const first = (await tree(host, id)).snapshots[1]!
  expect(first).toMatchObject({ running: true, label: expect.stringMatching(/^Auto \d{4}-\d\d-\d\d \d\d:\d\d$/) as string })
  await host.rpc.service(snapshots).update({ machine: id, snapshot: first.id, pinned: true })
  await vi.waitFor(async () => {
    const thinned = (await host.tasks.list({})).filter(({ title }) => title.startsWith('Thinning out'))
    expect(thinned.filter(({ state }) => state === 'done').length).toBeGreaterThanOrEqual(2)
  }, LONG)
  await host.machines.update({ id, patch: { autoSnapshots: { everyMinutes: null, beforeStart: false, memory: true, budgetBytes: null } } })
  await vi.waitFor(async () => expect((await host.tasks.list({})).every(({ state }) => state !== 'running')).toBe(true), LONG)
  const { snapshots: all } = await tree(host, id)
  expect(all.slice(0, 2).map((one) => one.id)).toEqual([mine, first.id])
  expect(all.slice(2).every(({ by }) => by === 'schedule')).toBe(true)
  expect(all.length).toBeLessThanOrEqual(2 + 3)
  expect(await host.machines.get({ id })).toMatchObject({ state: 'running', lastError: null })
  await host.machines.powerOff({ id })
  // What was thinned out is merged.
  await vi.waitFor(async () => {
    const { bundle } = await host.machines.get({ id })
    const files = (await readdir(join(bundle, 'disks'))).filter((name) => !name.startsWith('.'))
    expect(files).toHaveLength((await tree(host, id)).snapshots.length + 1)
  }, LONG)
})

test('before each start, where something has changed', async () => {
  const host = await testHost()
  const id = await host.make('web-1', '', { newDiskBytes: MiB })
  await host.machines.update({ id, patch: { autoSnapshots: { everyMinutes: null, beforeStart: true, memory: true, budgetBytes: null } } })
  const cycle = async (line: string): Promise<number> => {
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
    if (line) await host.machines.type({ id, text: `${line}\npoweroff\n` })
    else await host.machines.powerOff({ id })
    await host.until(id, ({ state }) => state === 'off')
    return (await tree(host, id)).snapshots.length
  }
  expect(await cycle('write 1')).toBe(1)
  expect(await cycle('')).toBe(2)
  expect(await cycle('')).toBe(2)
  expect((await tree(host, id)).snapshots).toMatchObject([{ by: 'start', running: false }, { by: 'start' }])
})

test('one that cannot be taken is said at the machine, which goes on', async () => {
  const host = await fastHost()
  const id = await host.make('web-1', 'nospace', { newDiskBytes: MiB })
  await host.machines.update({ id, patch: { autoSnapshots: { everyMinutes: 5, beforeStart: false, memory: true, budgetBytes: null } } })
  await host.machines.start({ id })
  const told = await host.until(
    id,
    ({ lastError, state }) => state === 'running' && lastError?.message.startsWith('No automatic snapshot') === true,
  )
  expect(told.lastError).toMatchObject({ code: 'no-space', message: expect.stringContaining('It is tried again on') as string })
  expect((await tree(host, id)).snapshots).toEqual([])
})

test('a machine that cannot have its snapshot before a start is started, and says so', async () => {
  const host = await fastHost()
  const id = await host.make('web-1', '', { newDiskBytes: MiB })
  await host.machines.update({ id, patch: { autoSnapshots: { everyMinutes: null, beforeStart: true, memory: true, budgetBytes: null } } })
  const other = await host.make('donor', '', { newDiskBytes: MiB })
  const path = join((await host.machines.get({ id: other })).bundle, 'disks/disk0.qcow2')
  await host.machines.update({ id, patch: { drives: [{ id: 'data', kind: 'disk', path }] } })
  await host.machines.start({ id })
  expect(await host.machines.get({ id })).toMatchObject({
    state: 'running',
    lastError: { message: expect.stringContaining('was started without a snapshot before: The disk “data” lies outside') as string },
  })
})

test(
  'a machine that runs for weeks: disks of snapshots that are gone are merged when the next one has it at rest',
  { timeout: 120_000 },
  async () => {
    const host = await testHost()
    const service = host.rpc.service(snapshots)
    const id = await host.make('web-1', '', { newDiskBytes: MiB })
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
    const { bundle } = await host.machines.get({ id })
    const files = async (): Promise<number> => (await readdir(join(bundle, 'disks'))).filter((name) => !name.startsWith('.')).length
    const take = async (label: string): Promise<string> => (await host.done(service.take({ machine: id, label }))).result!.id!
    for (let count = 0; count < 26; count++) {
      await host.machines.type({ id, text: `write ${count + 1}\n` })
      const gone = await take(`s${count}`)
      if (count < 25) await host.done(service.delete({ machine: id, snapshot: gone, subtree: false }))
    }
    // The last one found 25 that were gone.
    expect(await files()).toBe(2)
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running', lastError: null })
    const console = await attach(host, id)
    await console.type('read')
    await console.until('read\r\n<26>')
  },
)
