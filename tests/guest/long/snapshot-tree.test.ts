/**
 * A tree of thirty snapshots of a guest that runs, with random restores, branches and deletes, against a model: each state has its file, what was in the guest's
 * cache alone, and what a shell had in mind.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { cacheFolder, resourcesFolder } from '../../../src-main/app/paths.ts'
import { testHost } from '../../integration/machines/support/test-host.ts'
import { qemuImg, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { seeded } from '../../support/seeded.ts'
import { shellOf } from '../support/shell.ts'

const SNAPSHOTS = 30
const engines = [
  { engine: 'embedded', there: true },
  { engine: 'qemu', there: QEMU_PROGRAM !== undefined },
] as const

interface State {
  /** On the disk, in the guest's cache, and in the shell's mind. */
  has: string
  parent: string | null
}

for (const { engine, there } of engines)
  test.skipIf(!there)(`${engine}: thirty snapshots, gone back to, branched and deleted at random`, { timeout: 1_800_000 }, async () => {
    const host = await testHost({ doubles: {}, resources: resourcesFolder(), cacheFolder: cacheFolder() })
    const service = host.rpc.service(snapshots)
    const made = await host.done(host.machines.create({ name: 'a', source: { kind: 'sample' }, engine, newDiskBytes: 64 * MiB }))
    const machine = made.result!.id!
    await host.machines.start({ id: machine })
    await host.machines.waitBooted({ id: machine })
    const run = shellOf(host, machine)
    const has = (): Promise<string> => run('echo $(cat /mnt/synced) $(cat /mnt/cached) $V')
    const write = async (value: string): Promise<void> => {
      await run(`echo ${value} > /mnt/synced; sync; echo ${value} > /mnt/cached; V=${value}`)
    }
    // Drivers are loaded after the first prompt.
    await run('until [ -b /dev/sda ] || [ -b /dev/vda ]; do sleep 0.2; done; D=/dev/sda; [ -b $D ] || D=/dev/vda')
    await run('mke2fs -q $D 32768 && mount -t ext4 $D /mnt')
    await write('begin')

    const random = seeded(20_261_121)
    const model = new Map<string, State>()
    let current: string | null = null
    let now = await has()
    const restore = async (id: string): Promise<void> => {
      await host.done(service.restore({ machine, snapshot: id, keep: null }))
      current = id
      now = model.get(id)!.has
      expect(await has(), `back at ${now}`).toBe(now)
    }
    let taken = 0
    for (let step = 0; taken < SNAPSHOTS; step++) {
      const ids = [...model.keys()]
      const dice = random(10)
      if (dice < 6 || ids.length < 3) {
        await write(`s${step}`)
        now = await has()
        const task = await host.done(service.take({ machine, label: `s${step}` }))
        model.set(task.result!.id!, { has: now, parent: current })
        current = task.result!.id!
        taken++
      } else if (dice < 9) await restore(ids[random(ids.length)]!)
      else {
        const gone = ids[random(ids.length)]!
        await host.done(service.delete({ machine, snapshot: gone, subtree: false }))
        const { parent } = model.get(gone)!
        for (const other of model.values()) if (other.parent === gone) other.parent = parent
        if (current === gone) current = parent
        model.delete(gone)
      }
      expect(await has(), `step ${step}`).toBe(now)
    }
    const tree = await service.tree({ machine })
    expect(tree.current).toBe(current)
    expect(new Map(tree.snapshots.map(({ id, parent }) => [id, parent]))).toEqual(
      new Map([...model].map(([id, { parent }]) => [id, parent])),
    )
    for (const id of model.keys()) await restore(id)
    // What the disk has by itself, without the guest's cache.
    expect(await run('sync; umount /mnt; e2fsck -fn $D > /dev/null 2>&1; echo $?; mount -t ext4 $D /mnt')).toMatch(/^(0|127)$/)
    await host.machines.powerOff({ id: machine })
    const { bundle } = await host.machines.get({ id: machine })
    // Disks of those that were deleted are merged now.
    await vi.waitFor(
      async () => expect((await readdir(join(bundle, 'snapshots'))).filter((name) => name.startsWith('.'))).toEqual([]),
      60_000,
    )
    const files = (await readdir(join(bundle, 'disks'))).filter((name) => !name.startsWith('.'))
    expect(files.length).toBeLessThanOrEqual(2 * model.size + 1)
    if (WITHOUT_QEMU_IMG) return
    for (const file of files) expect(await qemuImg('check', join(bundle, 'disks', file))).toContain('No errors were found')
  })
