/** A disk that is full when a run is decided about, at every step of that: the run is as it was, and can be decided about again; or as was asked for. */
import { cp, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { KiB, MiB } from '../../../src-shared/base/units.ts'
import type { Decision } from '../../../src-shared/model/run.ts'
import { fillDisk, smallDisk } from '../../support/small-disk.ts'
import { onDisk, write } from './support/first-byte.ts'
import { testHost, type TestHost } from './support/test-host.ts'

const BEFORE = 1
const AFTER = 2
/** Bytes by which the room grows from none until it is enough: pages of the small disk where single files are written, then more. */
const STEPS = { fine: 4 * KiB, until: 24 * KiB, coarse: 16 * KiB }

const service = (host: TestHost) => host.rpc.service(snapshots)
const disksOf = async (bundle: string): Promise<string[]> =>
  (await readdir(join(bundle, 'disks'))).filter((name) => !name.endsWith('.coppice-lock')).sort()

test.for<{ decision: Decision; value: number; refusals: number }>([
  { decision: 'keep', value: AFTER, refusals: 3 },
  { decision: 'discard', value: BEFORE, refusals: 6 },
  { decision: 'branch', value: BEFORE, refusals: 8 },
])('$decision', { timeout: 240_000 }, async ({ decision, value, refusals }, context) => {
  const small = await smallDisk(context, 8)
  const made = await testHost()
  const machine = await made.make('web-1', '', { newDiskBytes: MiB })
  await write(made, machine, BEFORE)
  await made.machines.start({ id: machine, end: 'decide' })
  await made.machines.powerOff({ id: machine })
  await write(made, machine, AFTER)
  await made.host.close()
  const library = join(small, 'library')
  const decide = (host: TestHost) => host.done(service(host).decide({ machine, decision, label: 'branch' }))
  const reserve = join(small, '.reserve')

  let refused = 0
  for (let room = 0, enough = false; !enough; room += room < STEPS.until ? STEPS.fine : STEPS.coarse) {
    const where = `${decision} with ${room} bytes`
    await cp(made.library, library, { recursive: true, preserveTimestamps: true })
    const host = await testHost({ library })
    const { bundle } = await host.machines.get({ id: machine })
    const before = { files: await disksOf(bundle), tree: (await service(host).tree({ machine })).snapshots }
    await writeFile(reserve, new Uint8Array(room))
    const giveBack = await fillDisk(small)
    await rm(reserve)
    const error = await decide(host).then(
      () => null,
      (reason: unknown) => reason,
    )
    enough = error === null
    const { config, state } = await host.machines.get({ id: machine })
    expect(state, where).toBe('off')
    const undecided = config!.run !== null && !config!.run.over
    if (error !== null) {
      refused++
      expect(error, where).toMatchObject({ code: 'no-space' })
      expect(await onDisk(host, machine), where).toBe(undecided ? AFTER : value)
    }
    await giveBack()
    if (undecided) {
      const now = (await service(host).tree({ machine })).snapshots
      expect(
        now.map(({ id }) => id),
        where,
      ).toEqual(before.tree.map(({ id }) => id))
      if (decision !== 'branch') expect(await disksOf(bundle), where).toEqual(before.files)
      await decide(host)
    }
    await host.host.close()

    // What had no room to be tidied up then is, now.
    const next = await testHost({ library })
    const labels = decision === 'branch' ? ['branch'] : []
    await vi.waitFor(async () => {
      const { config: last } = await next.machines.get({ id: machine })
      expect(last!.run, where).toBeNull()
      expect(
        (await service(next).tree({ machine })).snapshots.map(({ label }) => label),
        where,
      ).toEqual(labels)
      const folders = await readdir(join(bundle, 'snapshots'))
      expect(folders, where).toHaveLength(labels.length)
      if (decision !== 'branch') expect(await disksOf(bundle), where).toEqual([last!.drives[0]!.path!.replace('disks/', '')])
      expect(await readdir(bundle), where).not.toContain('returning')
    }, 20_000)
    expect(await onDisk(next, machine), where).toBe(value)
    if (decision === 'branch') {
      const { snapshots: all } = await service(next).tree({ machine })
      await next.done(service(next).restore({ machine, snapshot: all[0]!.id, keep: null }))
      expect(await onDisk(next, machine), where).toBe(AFTER)
    }
    await next.host.close()
    await rm(library, { recursive: true })
  }
  expect(refused).toBeGreaterThanOrEqual(refusals)
})
