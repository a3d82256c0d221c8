/** Templates, and what machines need of each other. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { images, snapshots } from '../../../src-shared/api/index.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { testHost, type TestHost } from './support/test-host.ts'

const MiB = 1024 * 1024

async function pathOf(host: TestHost, id: string): Promise<string> {
  const { bundle, config } = await host.machines.get({ id })
  return join(bundle, config!.drives[0]!.path!)
}

async function write(host: TestHost, id: string, value: number): Promise<void> {
  const path = await pathOf(host, id)
  const image = await openImage({ path, format: 'qcow2', readOnly: false, folders: [join(path, '..')] })
  await image.write(0, new Uint8Array(MiB).fill(value))
  await image.close()
}

async function firstByte(host: TestHost, id: string): Promise<number> {
  const path = await pathOf(host, id)
  const image = await openImage({ path, format: 'qcow2', readOnly: true, folders: [join(path, '..')] })
  const [byte] = await readBytes(image, 0, 1)
  await image.close()
  return byte!
}

async function template() {
  const host = await testHost()
  const service = host.rpc.service(snapshots)
  const id = await host.make('base', '', { newDiskBytes: 16 * MiB })
  await write(host, id, 7)
  await host.machines.update({ id, patch: { template: true } })
  const clone = async (name: string): Promise<string> => (await host.done(service.clone({ machine: id, snapshot: null, name }))).result!.id!
  return { host, service, id, clone }
}

describe('a template', () => {
  test('does not start, and its hardware stays; its name and notes do not', async () => {
    const { host, service, id, clone } = await template()
    const refused = { code: 'wrong-state', message: expect.stringContaining('“base” is a template') as string }
    for (const start of ['start', 'resume'] as const)
      await expect(host.machines[start]({ id })).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(host.machines.start({ id })).rejects.toMatchObject(refused)
    expect(await host.machines.get({ id })).toMatchObject({ state: 'off', lastError: null })
    await expect(host.machines.update({ id, patch: { memoryMiB: 512 } })).rejects.toMatchObject(refused)
    await clone('a')
    const { current } = await service.tree({ machine: id })
    await expect(host.done(service.restore({ machine: id, snapshot: current!, keep: null }))).rejects.toMatchObject(refused)
    await host.machines.update({ id, patch: { name: 'golden', notes: 'The one.' } })
    const { config } = await host.machines.update({ id, patch: { template: false, memoryMiB: 512 } })
    expect(config).toMatchObject({ name: 'golden', template: false, memoryMiB: 512 })
    await host.machines.start({ id })
    await expect(host.machines.update({ id, patch: { template: true } })).rejects.toMatchObject({ code: 'wrong-state' })
    await host.machines.powerOff({ id })
  })

  test('new machines are made from it, linked or full, and are none themselves', async () => {
    const { host, service, id, clone } = await template()
    const [a, b] = [await clone('a'), await clone('b')]
    const c = (await host.done(host.machines.duplicate({ id, name: 'c' }))).result!.id!
    // One snapshot serves all.
    expect((await service.tree({ machine: id })).snapshots.map(({ label }) => label)).toEqual(['Where “a” began'])
    for (const made of [a, b, c]) {
      expect((await host.machines.get({ id: made })).config!.template).toBe(false)
      expect(await firstByte(host, made)).toBe(7)
      await host.machines.start({ id: made })
      await host.machines.powerOff({ id: made })
    }
    // It was changed since: the next clone begins at what it is then.
    await host.machines.update({ id, patch: { template: false } })
    await write(host, id, 9)
    await host.machines.update({ id, patch: { template: true } })
    expect(await firstByte(host, await clone('d'))).toBe(9)
    await host.machines.update({ id, patch: { template: false } })
    await host.machines.update({ id, patch: { memoryMiB: 96 } })
    expect((await host.machines.get({ id: await clone('e') })).config!.memoryMiB).toBe(96)
    expect((await service.tree({ machine: id })).snapshots).toHaveLength(3)
    // Linked clones share files by second names: nobody needs anybody.
    expect(await host.machines.dependents({ id })).toEqual([])
    await host.machines.trash({ id })
    expect(await firstByte(host, a)).toBe(7)
  })
})

describe('a machine whose files others need', () => {
  test('is not moved to the trash unawares, keeps its folder when it gets another name, and its disks are not committed into', async () => {
    const host = await testHost()
    const service = host.rpc.service(images)
    const id = await host.make('base', '', { newDiskBytes: 16 * MiB })
    const other = await host.make('other', '', { newDiskBytes: 16 * MiB })
    const base = await pathOf(host, id)
    const { bundle, config } = await host.machines.get({ id: other })
    const over = join(bundle, 'disks', 'over.qcow2')
    await service.create({ path: over, format: 'qcow2', size: null, backing: { path: base } })
    await host.machines.update({ id: other, patch: { drives: [{ ...config!.drives[0]!, path: base, format: 'qcow2' }] } })
    const drive = { machine: { id: other, name: 'other' }, file: 'disks/disk0.qcow2', how: 'drive', snapshot: null }
    expect(await host.machines.dependents({ id })).toEqual([drive])
    await expect(host.machines.trash({ id })).rejects.toMatchObject({
      code: 'wrong-state',
      message: expect.stringContaining('“other” has “disks/disk0.qcow2” as a drive') as string,
    })
    const renamed = await host.machines.update({ id, patch: { name: 'renamed' } })
    expect(renamed).toMatchObject({ name: 'renamed', bundle: join(host.library, 'base.coppice') })
    await expect(host.done(service.commit({ path: over }))).rejects.toMatchObject({
      code: 'wrong-state',
      message: expect.stringMatching(/belongs to the machine “(renamed|other)”/) as string,
    })
    expect(await host.machines.dependents({ id: other })).toEqual([])
    await host.machines.trash({ id, needed: true })
    await expect(stat(base)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('goes on having them when its snapshots are deleted, or gone back to', async () => {
    const host = await testHost()
    const [service, states] = [host.rpc.service(images), host.rpc.service(snapshots)]
    const id = await host.make('base', '', { newDiskBytes: 16 * MiB })
    await write(host, id, 1)
    const frozen = await pathOf(host, id)
    const take = async (label: string): Promise<string> => (await host.done(states.take({ machine: id, label }))).result!.id!
    const first = await take('first')
    await write(host, id, 2)
    const present = await pathOf(host, id)
    const other = await host.make('other', '', { newDiskBytes: 16 * MiB })
    const { config } = await host.machines.get({ id: other })
    const over = async (name: string, backing: string): Promise<string> => {
      // Beside what it rests on, and used there.
      const path = join(frozen, '..', name)
      await service.create({ path, format: 'qcow2', size: null, backing: { path: backing } })
      await host.machines.update({ id: other, patch: { drives: [{ ...config!.drives[0]!, path, format: 'qcow2' }] } })
      return path
    }
    const shows = async (path: string): Promise<number> => {
      const image = await openImage({ path, format: 'qcow2', readOnly: true, folders: [join(frozen, '..')] })
      const [byte] = await readBytes(image, 0, 1)
      await image.close()
      return byte!
    }
    const later = await over('later.qcow2', present)
    await host.done(states.restore({ machine: id, snapshot: first, keep: null }))
    expect(await shows(later)).toBe(2)
    const earlier = await over('earlier.qcow2', frozen)
    const second = await take('second')
    for (const snapshot of [first, second]) await host.done(states.delete({ machine: id, snapshot, subtree: false }))
    expect(await shows(earlier)).toBe(1)
    expect(await firstByte(host, id)).toBe(1)
    // When nobody else needs them, they are merged with the next thing that is.
    await host.machines.trash({ id: other })
    const third = await take('third')
    await host.done(states.delete({ machine: id, snapshot: third, subtree: false }))
    const left = (await readdir(join(frozen, '..'))).filter((name) => !name.startsWith('.'))
    expect(left.sort()).toEqual(['earlier.qcow2', 'later.qcow2', basename(await pathOf(host, id))].sort())
    expect(await firstByte(host, id)).toBe(1)
  })

  test('an image that a snapshot keeps is neither committed into, rebased, resized nor replaced', async () => {
    const host = await testHost()
    const service = host.rpc.service(images)
    const id = await host.make('web', '', { newDiskBytes: 16 * MiB })
    await write(host, id, 1)
    const frozen = await pathOf(host, id)
    await host.done(host.rpc.service(snapshots).take({ machine: id, label: 'then' }))
    await write(host, id, 2)
    const before = await readFile(frozen)
    const refused = { code: 'wrong-state', message: expect.stringContaining('the snapshot “then” of “web”') as string }
    await expect(host.done(service.commit({ path: await pathOf(host, id) }))).rejects.toMatchObject(refused)
    await expect(host.done(service.rebase({ image: { path: frozen }, backing: null }))).rejects.toMatchObject(refused)
    await expect(service.resize({ image: { path: frozen }, size: 32 * MiB })).rejects.toMatchObject(refused)
    const to = { path: frozen, format: 'qcow2', replace: true } as const
    await expect(host.done(service.convert({ from: { path: await pathOf(host, id) }, to }))).rejects.toMatchObject(refused)
    expect((await readFile(frozen)).equals(before)).toBe(true)
    // The disk that it writes now may rest on nothing.
    await host.done(service.rebase({ image: { path: await pathOf(host, id) }, backing: null }))
    expect(await firstByte(host, id)).toBe(2)
  })
})
