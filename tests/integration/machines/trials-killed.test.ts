/** kill -9 of a host while a trial begins, runs, ends and is decided about: nothing of the state before it is lost, and what it did is lost by an answer alone. */
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { seeded } from '../../support/seeded.ts'
import { onDisk, write } from './support/first-byte.ts'
import type { HostOrder } from './support/host-child.ts'
import { copyForHost, killedHost } from './support/killed-host.ts'
import { testHost } from './support/test-host.ts'

/** Hosts that are killed for each kind of work, at moments over all of its length. */
const KILLS = 4
const BEFORE = 1
const AFTER = 2

const works: { name: string; undecided: boolean; work: HostOrder['work']; disk: number[] }[] = [
  { name: 'keeping', undecided: true, work: { kind: 'decide', decision: 'keep' }, disk: [AFTER] },
  { name: 'discarding', undecided: true, work: { kind: 'decide', decision: 'discard' }, disk: [AFTER, BEFORE] },
  { name: 'making a branch', undecided: true, work: { kind: 'decide', decision: 'branch' }, disk: [AFTER, BEFORE] },
  { name: 'a run that is discarded', undecided: false, work: { kind: 'trial', end: 'discard', value: AFTER }, disk: [BEFORE] },
  { name: 'a run that is decided about', undecided: false, work: { kind: 'trial', end: 'decide', value: AFTER }, disk: [BEFORE, AFTER] },
]

test.each(works)('$name', { timeout: 120_000 }, async ({ name, undecided, work, disk: allowed }) => {
  const made = await testHost()
  const machine = await made.make('web-1', '', { newDiskBytes: MiB })
  await write(made, machine, BEFORE)
  if (undecided) {
    await made.machines.start({ id: machine, end: 'decide' })
    await made.machines.powerOff({ id: machine })
    await write(made, machine, AFTER)
  }
  await made.host.close()
  const random = seeded(20_261_121)
  let length = 0
  for (let kill = -1; kill < KILLS; kill++) {
    const { library, cacheFolder } = await copyForHost(made.library)
    const delay = kill < 0 ? null : (length * (kill + random(1000) / 1000)) / KILLS
    length = (await killedHost({ library, cacheFolder, machine, running: false, work }, delay)) ?? length
    if (kill < 0) continue
    const where = `${name}, killed after ${delay} of ${length} ms`

    const next = await testHost({ library })
    // What needs no answer is ended by itself.
    const { config } = await next.until(machine, ({ config: now }) => now!.run === null || (now!.run.end === 'decide' && !now!.run.over))
    const value = await onDisk(next, machine)
    expect(allowed, where).toContain(value)
    const tree = await next.rpc.service(snapshots).tree({ machine })
    const branch = tree.snapshots.find(({ label }) => label === 'branch')
    if (config!.run === null) {
      // It was answered, or did not begin.
      expect(
        tree.snapshots.filter(({ by }) => by === 'run'),
        where,
      ).toEqual([])
      if (work.kind === 'decide' && work.decision === 'branch') expect(branch, where).toBeDefined()
    } else {
      if (undecided) expect(value, where).toBe(AFTER)
      // A lock that a killed process wrote half of is free after seconds.
      await vi.waitFor(() => next.done(next.rpc.service(snapshots).decide({ machine, decision: 'discard' })), {
        timeout: 20_000,
        interval: 1000,
      })
      expect(await onDisk(next, machine), where).toBe(BEFORE)
    }
    if (branch) {
      await next.done(next.rpc.service(snapshots).restore({ machine, snapshot: branch.id, keep: null }))
      expect(await onDisk(next, machine), where).toBe(AFTER)
      await next.done(next.rpc.service(snapshots).delete({ machine, snapshot: branch.id, subtree: false }))
    }
    await vi.waitFor(async () => {
      const { bundle, config: last } = await next.machines.get({ id: machine })
      // The lock of a killed process is taken over by who locks next.
      const files = (await readdir(join(bundle, 'disks'))).filter((file) => !file.endsWith('.coppice-lock'))
      expect(files, where).toEqual([last!.drives[0]!.path!.replace('disks/', '')])
      expect(await readdir(join(bundle, 'snapshots')).catch(() => []), where).toEqual([])
      expect(await readdir(bundle), where).not.toContain('returning')
    }, 20_000)
    await next.machines.start({ id: machine, end: 'keep' })
    await next.host.close()
  }
})

test('one whose beginning was cut short after machine.json was switched has done nothing', async () => {
  const made = await testHost()
  const machine = await made.make('web-1', '', { newDiskBytes: MiB })
  await write(made, machine, BEFORE)
  const { bundle, config } = await made.machines.get({ id: machine })
  await made.host.close()
  const snapshot = crypto.randomUUID()
  const cut = { ...config, point: { snapshot, otherwise: null }, run: { end: 'discard', snapshot, own: true, over: false } }
  await writeFile(join(bundle, 'machine.json'), JSON.stringify(cut))
  const next = await testHost({ library: made.library })
  expect(await next.until(machine, ({ config: now }) => now!.run === null)).toMatchObject({ state: 'off', lastError: null })
  expect(await onDisk(next, machine)).toBe(BEFORE)
})
