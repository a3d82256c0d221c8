/** Runs whose changes are discarded, or decided about, at their end: what is on disk then, also where hosts end in between. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import type { Decision, RunEnd } from '../../../src-shared/model/run.ts'
import { onDisk, write } from './support/first-byte.ts'
import { attach, testHost, type TestHost } from './support/test-host.ts'

const service = (host: TestHost) => host.rpc.service(snapshots)
const tree = (host: TestHost, machine: string) => service(host).tree({ machine })
const decide = (host: TestHost, machine: string, decision: Decision, label = 'tried') =>
  host.done(service(host).decide({ machine, decision, label }))

async function machineWith(host: TestHost, value: number, cmdline = ''): Promise<string> {
  const id = await host.make('web-1', cmdline, { newDiskBytes: MiB })
  await write(host, id, value)
  return id
}

/** Its guest writes this, and what it has is known to be written. */
async function type(host: TestHost, id: string, value: number): Promise<void> {
  const console = await attach(host, id)
  await console.type(`write ${value}`)
  await console.type('read')
  await console.until(`<${value}>`)
  console.stream.close()
}

async function run(host: TestHost, id: string, value: number, end?: RunEnd): Promise<void> {
  await host.machines.start(end ? { id, end } : { id })
  await host.machines.waitBooted({ id })
  await type(host, id, value)
}

const dealtWith = (host: TestHost, id: string) => host.until(id, ({ config, state }) => config!.run === null && state !== 'running')

/** Nothing is left of a trial: one disk, no snapshot. */
async function expectClean(host: TestHost, id: string): Promise<void> {
  await vi.waitFor(async () => {
    const { bundle, config } = await host.machines.get({ id })
    expect(await readdir(join(bundle, 'disks'))).toEqual([config!.drives[0]!.path!.replace('disks/', '')])
    expect((await readdir(join(bundle, 'snapshots')).catch(() => [])).filter((name) => !name.startsWith('.new-'))).toEqual([])
    expect(await readdir(bundle)).not.toContain('returning')
  }, 20_000)
  expect((await tree(host, id)).snapshots).toEqual([])
}

test('discarded: whatever ends it, the disks go back by themselves', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  const ends = [
    () => host.machines.powerOff({ id }),
    () => host.machines.powerButton({ id }),
    () => host.machines.type({ id, text: 'poweroff\n' }),
    () => host.machines.type({ id, text: 'trap\n' }),
  ]
  for (const [at, end] of ends.entries()) {
    await run(host, id, 2 + at, 'discard')
    expect((await tree(host, id)).snapshots).toMatchObject([{ by: 'run', label: expect.stringMatching(/^Trial \d{4}-/) as string }])
    await end()
    await dealtWith(host, id)
    expect(await onDisk(host, id)).toBe(1)
    await expectClean(host, id)
  }
  // How it ended is still said.
  expect(await host.machines.get({ id })).toMatchObject({ state: 'crashed', lastError: { code: 'crashed' } })
  await run(host, id, 9)
  await host.machines.powerOff({ id })
  expect(await onDisk(host, id)).toBe(9)
})

test('decided: nothing changes before, and each answer does what it says', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  await run(host, id, 2, 'decide')
  await expect(decide(host, id, 'discard')).rejects.toMatchObject({ message: expect.stringContaining('is not off') as string })
  await host.machines.powerOff({ id })
  expect(await host.machines.get({ id })).toMatchObject({ state: 'off', config: { run: { end: 'decide', over: false } } })
  expect(await onDisk(host, id)).toBe(2)
  await decide(host, id, 'keep')
  expect(await onDisk(host, id)).toBe(2)
  await expectClean(host, id)
  await expect(decide(host, id, 'keep')).rejects.toMatchObject({ code: 'wrong-state' })

  await run(host, id, 3, 'decide')
  await host.machines.powerOff({ id })
  await decide(host, id, 'discard')
  expect(await onDisk(host, id)).toBe(2)
  await expectClean(host, id)

  await run(host, id, 4, 'decide')
  await host.machines.powerOff({ id })
  await decide(host, id, 'branch', 'with four')
  expect(await onDisk(host, id)).toBe(2)
  expect(await tree(host, id)).toMatchObject({ current: null, snapshots: [{ label: 'with four', parent: null, by: 'person' }] })
  const [branch] = (await tree(host, id)).snapshots
  await host.done(service(host).restore({ machine: id, snapshot: branch!.id, keep: 'with two' }))
  expect(await onDisk(host, id)).toBe(4)
})

test('undecided, it is started again and goes on; another kind of run is refused', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  await run(host, id, 2, 'decide')
  await host.machines.powerOff({ id })
  await expect(host.machines.start({ id, end: 'discard' })).rejects.toMatchObject({
    message: expect.stringContaining('Decide first') as string,
  })
  await run(host, id, 3)
  await host.machines.powerOff({ id })
  expect((await tree(host, id)).snapshots).toHaveLength(1)
  await decide(host, id, 'discard')
  expect(await onDisk(host, id)).toBe(1)
})

test('kept while it runs, it goes on, and is tidied up when it is off', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  await run(host, id, 2, 'discard')
  await decide(host, id, 'keep')
  expect(await host.machines.get({ id })).toMatchObject({ state: 'running', config: { run: null } })
  expect((await tree(host, id)).snapshots).toEqual([])
  await host.machines.powerOff({ id })
  await expectClean(host, id)
  expect(await onDisk(host, id)).toBe(2)
})

test('suspending is no end, and throwing the suspended state away is one', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  await run(host, id, 2, 'discard')
  await host.done(host.machines.suspend({ id }))
  expect(await host.machines.get({ id })).toMatchObject({ state: 'suspended', config: { run: { over: false } } })
  await host.machines.resume({ id })
  await type(host, id, 3)
  await host.done(host.machines.suspend({ id }))
  await host.machines.discardSuspend({ id })
  await dealtWith(host, id)
  expect(await onDisk(host, id)).toBe(1)
  await expectClean(host, id)
})

test('one that began suspended goes back to that moment', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  await run(host, id, 2)
  await host.machines.type({ id, text: 'set mind\n' })
  await type(host, id, 3)
  await host.done(host.machines.suspend({ id }))
  await host.machines.start({ id, end: 'discard' })
  await type(host, id, 4)
  await host.machines.powerOff({ id })
  await dealtWith(host, id)
  expect(await host.machines.get({ id })).toMatchObject({ state: 'suspended' })
  await host.machines.resume({ id })
  const console = await attach(host, id, 0)
  await console.type('get')
  await console.type('read')
  await console.until('=mind=\r\n# read\r\n<3>')
})

test('a host that ends in between: the next one asks again, or discards', async () => {
  const first = await testHost()
  const id = await machineWith(first, 1)
  await run(first, id, 2, 'decide')
  await first.host.close()
  const second = await testHost({ library: first.library })

  expect(await second.machines.get({ id })).toMatchObject({ config: { run: { end: 'decide', over: false } } })
  expect(await onDisk(second, id)).toBe(2)
  await decide(second, id, 'keep')
  await run(second, id, 3, 'discard')
  await second.host.close()
  const third = await testHost({ library: first.library })
  await dealtWith(third, id)
  expect(await onDisk(third, id)).toBe(2)
  await expectClean(third, id)
})

test('by its settings, to a snapshot: that one is needed, and may have been running', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  const base = (await host.done(service(host).take({ machine: id, label: 'base' }))).result!.id!
  await host.machines.update({ id, patch: { whenOff: { end: 'discard', snapshot: base } } })
  await run(host, id, 2)
  const gone = { machine: id, snapshot: base, subtree: false }
  await expect(host.done(service(host).delete(gone))).rejects.toMatchObject({
    message: expect.stringContaining('can go back to this') as string,
  })
  await host.machines.powerOff({ id })
  await dealtWith(host, id)
  expect(await onDisk(host, id)).toBe(1)
  expect((await tree(host, id)).snapshots).toMatchObject([{ id: base, by: 'person' }])
  await expect(host.done(service(host).delete(gone))).rejects.toMatchObject({
    message: expect.stringContaining('goes back to this') as string,
  })
  // What a start says counts more.
  await run(host, id, 5, 'keep')
  await host.machines.powerOff({ id })
  expect(await onDisk(host, id)).toBe(5)
  await host.machines.update({ id, patch: { whenOff: { end: 'keep', snapshot: null } } })
  await host.done(service(host).delete(gone))
})

test('going back to another snapshot by hand ends it, and where it began can still be gone back to', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  const base = (await host.done(service(host).take({ machine: id, label: 'base' }))).result!.id!
  await write(host, id, 7)
  await run(host, id, 2, 'discard')
  await host.done(service(host).restore({ machine: id, snapshot: base, keep: null }))
  expect(await host.machines.get({ id })).toMatchObject({ state: 'off', config: { run: null } })
  expect(await onDisk(host, id)).toBe(1)
  const began = (await tree(host, id)).snapshots.find(({ by }) => by === 'start')!
  await host.done(service(host).restore({ machine: id, snapshot: began.id, keep: null }))
  expect(await onDisk(host, id)).toBe(7)
})

test('a snapshot that a person takes, or makes theirs, stays', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1)
  await run(host, id, 2, 'discard')
  const began = (await tree(host, id)).snapshots[0]!
  await service(host).update({ machine: id, snapshot: began.id, label: 'mine' })
  const taken = (await host.done(service(host).take({ machine: id, label: 'in between' }))).result!.id!
  await host.machines.powerOff({ id })
  await dealtWith(host, id)
  expect(await onDisk(host, id)).toBe(1)
  expect((await tree(host, id)).snapshots).toMatchObject([
    { id: began.id, label: 'mine', by: 'person' },
    { id: taken, parent: began.id, running: true },
  ])
})

test('one that does not start leaves nothing to decide; one whose disks cannot be frozen does not start', async () => {
  const host = await testHost()
  const id = await machineWith(host, 1, 'badstart')
  await expect(host.machines.start({ id, end: 'decide' })).rejects.toMatchObject({ code: 'corrupt' })
  expect(await host.machines.get({ id })).toMatchObject({ config: { run: null } })
  await expectClean(host, id)
  const { bundle } = await host.machines.get({ id })
  const path = join(bundle, (await host.machines.get({ id })).config!.drives[0]!.path!)
  const other = await host.make('web-2')
  await host.machines.update({ id: other, patch: { drives: [{ id: 'data', kind: 'disk', path }] } })
  await expect(host.machines.start({ id: other, end: 'discard' })).rejects.toMatchObject({
    message: expect.stringContaining('lies outside') as string,
  })
  expect(await host.machines.get({ id: other })).toMatchObject({ state: 'off' })
})

test('disks of a snapshot that was deleted while the machine ran are merged by the next host', async () => {
  const first = await testHost()
  const id = await machineWith(first, 1)
  await run(first, id, 2)
  const taken = (await first.done(service(first).take({ machine: id, label: 'gone' }))).result!.id!
  await type(first, id, 3)
  await first.done(service(first).delete({ machine: id, snapshot: taken, subtree: false }))
  await first.host.close()
  const second = await testHost({ library: first.library })
  await expectClean(second, id)
  expect(await onDisk(second, id)).toBe(3)
})
