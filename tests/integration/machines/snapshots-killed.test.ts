/** kill -9 of a host in the middle of taking, going back to and deleting snapshots: the next one finds the old state or the new, and every snapshot whole. */
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { seeded } from '../../support/seeded.ts'
import { askGuest } from './support/ask-guest.ts'
import { onDisk, write } from './support/first-byte.ts'
import type { HostOrder } from './support/host-child.ts'
import { copyForHost, killedHost } from './support/killed-host.ts'
import { testHost, type TestHost } from './support/test-host.ts'

/** Hosts that are killed for each kind of work, at moments over all of its length. */
const KILLS = 2

/** A machine at rest with a tree of snapshots: `first` (1), from it `second` (2) and `branch` (4); it is at `branch`, with 5. */
interface Made {
  host: TestHost
  id: string
  ids: Record<string, string>
}

const service = (host: TestHost) => host.rpc.service(snapshots)
const taken = async (host: TestHost, machine: string, label: string): Promise<string> =>
  (await host.done(service(host).take({ machine, label }))).result!.id!

async function make(runs: boolean): Promise<Made> {
  const host = await testHost()
  const id = await host.make('web-1', '', { newDiskBytes: MiB })
  const ids: Record<string, string> = {}
  const go = async (value: number): Promise<void> => {
    if (!runs) return write(host, id, value)
    await host.machines.type({ id, text: `set mind${value}\nwrite ${value}\n` })
    await askGuest(host, id)
  }
  if (runs) {
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
  }
  await go(1)
  ids['first'] = await taken(host, id, 'first')
  await go(2)
  ids['second'] = await taken(host, id, 'second')
  await host.done(service(host).restore({ machine: id, snapshot: ids['first'], keep: null }))
  await go(4)
  ids['branch'] = await taken(host, id, 'branch')
  await go(5)
  if (runs) await host.done(host.machines.suspend({ id }))
  return { host, id, ids }
}

/** What the machine is: asleep with this in mind and on its disk, or off with this on its disk. Leaves it off. */
async function stateOf(host: TestHost, id: string): Promise<string> {
  const { state } = await host.machines.get({ id })
  if (state !== 'suspended') return String(await onDisk(host, id))
  await host.machines.resume({ id })
  const found = await askGuest(host, id)
  await host.machines.powerOff({ id })
  return found
}

/** The disks' files that snapshots name, with their bytes. */
async function frozenFiles(bundle: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>()
  for (const id of (await readdir(join(bundle, 'snapshots'))).filter((name) => !name.startsWith('.'))) {
    const { config } = JSON.parse(await readFile(join(bundle, 'snapshots', id, 'snapshot.json'), 'utf8')) as {
      config: { drives: { path: string }[] }
    }
    for (const { path } of config.drives) files.set(path, await readFile(join(bundle, path)))
  }
  return files
}

describe.each([
  { name: 'off', runs: false, running: false },
  { name: 'suspended', runs: true, running: false },
  { name: 'running', runs: true, running: true },
])('of a machine that is $name', ({ runs, running }) => {
  let template: string
  let machine: string
  let ids: Record<string, string>

  const contents: Record<string, string> = runs
    ? { first: 'mind1 1', second: 'mind2 2', branch: 'mind4 4', taken: 'mind5 5', kept: 'mind5 5' }
    : { first: '1', second: '2', branch: '4', taken: '5', kept: '5' }
  const now = contents['taken']!

  const works: { name: string; work: () => HostOrder['work']; after: string[] }[] = [
    { name: 'taking', work: () => ({ kind: 'take' }), after: [now] },
    {
      name: 'going back',
      work: () => ({ kind: 'restore', snapshot: ids['second']!, keep: null }),
      after: [now, contents['second']!],
    },
    {
      name: 'going back, kept first',
      work: () => ({ kind: 'restore', snapshot: ids['second']!, keep: 'kept' }),
      after: [now, contents['second']!],
    },
    { name: 'deleting one', work: () => ({ kind: 'delete', snapshot: ids['branch']!, subtree: false }), after: [now] },
    { name: 'deleting a branch', work: () => ({ kind: 'delete', snapshot: ids['second']!, subtree: true }), after: [now] },
  ]

  test('the state is the old one or the new one, and every snapshot is whole', { timeout: 300_000 }, async () => {
    const made = await make(runs)
    ;({ ids, id: machine } = made)
    template = made.host.library
    await made.host.host.close()
    const random = seeded(20_261_121)
    for (const { name, work, after } of works) {
      let length = 0
      const kills = running ? 1 : KILLS
      for (let kill = -1; kill < kills; kill++) {
        const { library, cacheFolder } = await copyForHost(template)
        const order = { library, cacheFolder, machine, running, work: work() }
        const bundle = join(library, 'web-1.coppice')
        const before = await frozenFiles(bundle)
        const delay = kill < 0 ? null : (length * (kill + random(1000) / 1000)) / kills
        length = (await killedHost(order, delay)) ?? length
        if (kill < 0) continue
        const where = `${name}, killed after ${delay} of ${length} ms`

        // What was frozen is what it was, unless it was merged with what is gone.
        if (order.work.kind !== 'delete')
          for (const [path, bytes] of before) expect((await readFile(join(bundle, path))).equals(bytes), `${where}: ${path}`).toBe(true)
        const next = await testHost({ library })
        const tree = await service(next).tree({ machine })
        // Who is killed while it runs loses its memory, as by any power cut: also when it runs again at the end of going back.
        const cut = running ? after : after.slice(1)
        const expected = [...after, ...cut.map((one) => one.split(' ').at(-1))]
        if (!running && order.work.kind !== 'restore')
          expect(await next.machines.get({ id: machine }), where).toMatchObject({ state: runs ? 'suspended' : 'off', lastError: null })
        const state = await stateOf(next, machine)
        expect(expected, where).toContain(state)
        for (const label of ['first', 'second', 'branch'])
          if (order.work.kind !== 'delete' || order.work.snapshot !== ids[label])
            expect(
              tree.snapshots.map((one) => one.label),
              where,
            ).toContain(label)
        for (const snapshot of tree.snapshots) {
          await next.done(service(next).restore({ machine, snapshot: snapshot.id, keep: null }))
          const found = runs && snapshot.running ? await askGuest(next, machine) : String(await onDisk(next, machine))
          expect(found, `${where}: ${snapshot.label}`).toBe(contents[snapshot.label])
          if (runs && snapshot.running) await next.machines.powerOff({ id: machine })
        }
        const root0 = tree.snapshots.find(({ label }) => label === 'first')!
        await next.done(service(next).restore({ machine, snapshot: root0.id, keep: null }))
        if (runs) await next.machines.powerOff({ id: machine })
        for (const { id } of tree.snapshots.toReversed()) await next.done(service(next).delete({ machine, snapshot: id, subtree: false }))
        const { config } = await next.machines.get({ id: machine })
        expect(await readdir(join(bundle, 'disks')), where).toEqual([config!.drives[0]!.path!.replace('disks/', '')])
        expect(await readdir(join(bundle, 'snapshots')), where).toEqual([])
        expect(
          (await readdir(bundle)).filter((one) => /returning|suspend|^lock/.test(one)),
          where,
        ).toEqual([])
        await next.machines.start({ id: machine })
        await next.host.close()
      }
    }
  })
})

test('going back that ended right after machine.json was switched is ended by the next host: the memory goes with the disks', async () => {
  const { host, id, ids } = await make(true)
  await host.done(service(host).restore({ machine: id, snapshot: ids['second']!, keep: null }))
  await host.done(host.machines.suspend({ id }))
  const { bundle, config } = await host.machines.get({ id })
  await host.host.close()
  const returning = join(bundle, 'returning')
  await mkdir(returning)
  await rename(join(bundle, 'suspend'), join(returning, 'suspend'))
  await writeFile(join(bundle, 'disks/before.qcow2'), 'of the state before')
  const plan = { schema: 1, config, memory: true, firmware: false, gone: ['disks/before.qcow2'] }
  await writeFile(join(returning, 'returning.json'), JSON.stringify(plan))
  const next = await testHost({ library: host.library })
  await expect.poll(async () => (await next.machines.get({ id })).state).toBe('suspended')
  expect(await readdir(bundle)).not.toContain('returning')
  expect(await next.machines.resume({ id })).toMatchObject({ state: 'running' })
  expect(await askGuest(next, id)).toBe('mind2 2')
  expect(await readdir(join(bundle, 'disks'))).not.toContain('before.qcow2')
})
