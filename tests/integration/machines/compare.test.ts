/** Comparing states of a machine, through the host and its storage thread. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { ownDisk } from './support/first-byte.ts'
import { testHost } from './support/test-host.ts'

const MiB = 1024 * 1024

async function machineWithStates() {
  const host = await testHost()
  const service = host.rpc.service(snapshots)
  const id = await host.make('web-1', '', { newDiskBytes: 64 * MiB })
  const write = async (offset: number, length: number, seed: number): Promise<void> => {
    const image = await ownDisk(host, id, false)
    await image.write(offset, noise(seeded(seed), length))
    await image.close()
  }
  const take = async (label: string): Promise<string> => (await host.done(service.take({ machine: id, label }))).result!.id!
  const compare = async (before: string | null, after: string | null) =>
    (await host.done(service.compare({ machine: id, before, after }))).result!.comparison!
  return { host, service, id, write, take, compare }
}

describe('comparing', () => {
  test('two snapshots, on one branch and on two, and the present state', async () => {
    const { host, service, id, write, take, compare } = await machineWithStates()
    await write(0, 8 * MiB, 1)
    const first = await take('first')
    await write(32 * MiB, MiB, 2)
    const second = await take('second')
    const one = await compare(first, second)
    expect(one).toMatchObject({ before: first, after: second, disks: [{ drive: 'disk0', there: 'both' }] })
    const difference = one.disks[0]!.difference!
    expect(difference).toMatchObject({ changedBytes: MiB, changedBlocks: 256, comparedBytes: MiB })
    expect(difference.parts.length).toBeLessThanOrEqual(480)
    expect(difference.parts.flatMap((bytes, i) => (bytes > 0 ? [i * difference.part] : []))[0]).toBeGreaterThan(31 * MiB)
    expect((await compare(second, first)).disks[0]!.difference).toEqual({ ...difference })
    expect((await compare(second, null)).disks[0]!.difference).toMatchObject({ changedBlocks: 0, comparedBytes: 0 })
    // Another branch.
    await host.done(service.restore({ machine: id, snapshot: first, keep: null }))
    await write(40 * MiB, 100, 3)
    expect((await compare(second, null)).disks[0]!.difference).toMatchObject({ changedBytes: MiB + 4096 })
    expect((await compare(first, null)).disks[0]!.difference).toMatchObject({ changedBytes: 4096, changedBlocks: 1 })
  })

  test('of a machine that runs: snapshots, but not what changes at every moment', async () => {
    const { host, service, id, write, take, compare } = await machineWithStates()
    const first = await take('first')
    await write(0, MiB, 1)
    const second = await take('second')
    await host.machines.start({ id })
    await expect(service.compare({ machine: id, before: first, after: null })).rejects.toMatchObject({ code: 'wrong-state' })
    expect((await compare(first, second)).disks[0]!.difference).toMatchObject({ changedBytes: MiB })
    await host.machines.powerOff({ id })
  })

  test('is refused where a snapshot or its disk is not there, and names what is wrong', async () => {
    const { host, service, id, take, compare } = await machineWithStates()
    const first = await take('first')
    await expect(compare(first, '3b241101-e2bb-4255-8caf-4136c566a962')).rejects.toMatchObject({ code: 'not-found' })
    const { bundle } = await host.machines.get({ id })
    await writeFile(join(bundle, 'disks', 'disk0.qcow2'), new Uint8Array(65536))
    await expect(compare(first, null)).rejects.toMatchObject({ code: 'corrupt' })
    expect((await service.tree({ machine: id })).snapshots).toHaveLength(1)
  })
})
