/** Linked clones: they share the files of a snapshot, and neither machine needs the other. */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { qemuImg, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { ownDisk } from './support/first-byte.ts'
import { testHost, type TestHost } from './support/test-host.ts'

async function write(host: TestHost, id: string, value: number): Promise<void> {
  const image = await ownDisk(host, id, false)
  await image.write(0, new Uint8Array(MiB).fill(value))
  await image.close()
}

async function content(host: TestHost, id: string): Promise<number> {
  const image = await ownDisk(host, id, true)
  const bytes = await readBytes(image, 0, MiB)
  await image.close()
  expect(new Set(bytes).size).toBe(1)
  return bytes[0]!
}

const files = async (host: TestHost, id: string): Promise<string[]> =>
  (await readdir(join((await host.machines.get({ id })).bundle, 'disks'))).filter((name) => !name.startsWith('.')).sort()

/** A machine with a chain of two frozen files, and a clone of the second. */
async function cloned() {
  const host = await testHost()
  const service = host.rpc.service(snapshots)
  const id = await host.make('web-1', '', { newDiskBytes: 4 * MiB })
  const take = async (label: string): Promise<string> => (await host.done(service.take({ machine: id, label }))).result!.id!
  await write(host, id, 1)
  const first = await take('first')
  await write(host, id, 2)
  const second = await take('second')
  await write(host, id, 3)
  const clone = (await host.done(service.clone({ machine: id, snapshot: second, name: 'clone' }))).result!.id!
  const remove = (snapshot: string) => host.done(service.delete({ machine: id, snapshot, subtree: false }))
  return { host, service, id, clone, first, second, remove }
}

describe('a linked clone', () => {
  test('begins at the snapshot, has its own identity, and takes next to no room', async () => {
    const { host, service, id, clone } = await cloned()
    expect(await content(host, clone)).toBe(2)
    const [mine, theirs] = [await host.machines.get({ id: clone }), await host.machines.get({ id })]
    expect(mine).toMatchObject({ state: 'off', name: 'clone' })
    expect(mine.config!.nics[0]!.mac).not.toBe(theirs.config!.nics[0]!.mac)
    expect(await service.tree({ machine: clone })).toMatchObject({ current: null, snapshots: [] })
    const frozen = await stat(join(mine.bundle, 'disks/disk0.qcow2'))
    expect(frozen.ino).toBe((await stat(join(theirs.bundle, 'disks/disk0.qcow2'))).ino)
    await write(host, clone, 9)
    expect([await content(host, clone), await content(host, id)]).toEqual([9, 3])
    await Promise.all([host.machines.start({ id }), host.machines.start({ id: clone })])
    expect((await host.machines.get({ id: clone })).state).toBe('running')
  })

  test('stays what it is when the snapshots it came from are deleted, and so do they', async () => {
    const { host, service, id, clone, first, second, remove } = await cloned()
    const before = await files(host, id)
    await remove(first)
    await remove(second)
    expect([await content(host, clone), await content(host, id)]).toEqual([2, 3])
    // What is shared is merged with nothing.
    expect(await files(host, id)).toEqual(before)
    expect((await service.tree({ machine: id })).snapshots).toEqual([])
    // Its own snapshots come and go as any machine's.
    const own = (await host.done(service.take({ machine: clone, label: 'own' }))).result!.id!
    await write(host, clone, 9)
    await host.done(service.restore({ machine: clone, snapshot: own, keep: null }))
    expect(await content(host, clone)).toBe(2)
    await host.done(service.delete({ machine: clone, snapshot: own, subtree: false }))
    expect([await content(host, clone), await content(host, id)]).toEqual([2, 3])
    if (WITHOUT_QEMU_IMG) return
    for (const machine of [id, clone])
      for (const file of await files(host, machine))
        expect(await qemuImg('check', join((await host.machines.get({ id: machine })).bundle, 'disks', file))).toContain('No errors')
  })

  test('is moved, renamed and thrown away without the other, whose files are then its own again', async () => {
    const { host, id, clone, first, second, remove } = await cloned()
    await host.machines.update({ id, patch: { name: 'renamed' } })
    expect(await content(host, clone)).toBe(2)
    await remove(first)
    await remove(second)
    const { bundle } = await host.machines.get({ id })
    await host.machines.trash({ id: clone }).then(({ trashedTo }) => rm(trashedTo, { recursive: true }))
    expect((await stat(join(bundle, 'disks/disk0.qcow2'))).nlink).toBe(1)
    const service = host.rpc.service(snapshots)
    const last = (await host.done(service.take({ machine: id, label: 'last' }))).result!.id!
    await remove(last)
    expect(await files(host, id)).toHaveLength(1)
    expect(await content(host, id)).toBe(3)
  })

  test('of no such snapshot, or by a name that is taken, is not made', async () => {
    const { host, service, id, second } = await cloned()
    await expect(service.clone({ machine: id, snapshot: second, name: 'clone' })).rejects.toMatchObject({ code: 'already-exists' })
    await expect(host.done(service.clone({ machine: id, snapshot: id, name: 'other' }))).rejects.toMatchObject({ code: 'not-found' })
    expect((await host.machines.list({})).map(({ name }) => name).sort()).toEqual(['clone', 'web-1'])
  })
})
