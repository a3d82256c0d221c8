/** Snapshots of running guests on both engines, through the whole product: files, caches and what a shell had in mind are as they were. */
import { expect, test } from 'vitest'
import { snapshots } from '../../src-shared/api/index.ts'
import { MiB } from '../../src-shared/base/units.ts'
import { cacheFolder, resourcesFolder } from '../../src-main/app/paths.ts'
import { testHost } from '../integration/machines/support/test-host.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { shellOf } from './support/shell.ts'

const engines = [
  { engine: 'embedded', there: true },
  { engine: 'qemu', there: QEMU_PROGRAM !== undefined },
] as const

for (const { engine, there } of engines)
  test.skipIf(!there)(`${engine}: written, snapshot, changed, gone back to: as it was; and forward again`, async () => {
    const host = await testHost({ doubles: {}, resources: resourcesFolder(), cacheFolder: cacheFolder() })
    const service = host.rpc.service(snapshots)
    // No network cards: a guest that asks for addresses changes its memory between two snapshots.
    const made = await host.done(
      host.machines.create({ name: 'a', source: { kind: 'sample' }, engine, networks: [], newDiskBytes: 64 * MiB }),
    )
    const machine = made.result!.id!
    await host.machines.start({ id: machine })
    await host.machines.waitBooted({ id: machine })
    const run = shellOf(host, machine)
    // Drivers are loaded after the first prompt.
    await run('until [ -b /dev/sda ] || [ -b /dev/vda ]; do sleep 0.2; done; D=/dev/sda; [ -b $D ] || D=/dev/vda')
    await run('mke2fs -q $D 32768 && mount -t ext4 $D /mnt && echo one > /mnt/f && sync; V=first')
    // Not forced to the disk: it is in the guest's cache alone.
    await run('echo cached > /mnt/cache')
    const first = (await host.done(service.take({ machine, label: 'first' }))).result!.id!
    expect(await host.machines.get({ id: machine })).toMatchObject({ state: 'running' })
    expect(await run('cat /mnt/f /mnt/cache; echo $V')).toBe('one\ncached\nfirst')

    // One more, of a guest that did nothing since: what they share is kept once, and both are gone back to.
    const again = (await host.done(service.take({ machine, label: 'again' }))).result!.id!
    expect(await run('cat /mnt/f /mnt/cache; echo $V')).toBe('one\ncached\nfirst')
    const [one, two] = (await service.tree({ machine })).snapshots
    expect(one!.bytes).toBeGreaterThan(20 * MiB)
    expect(two!.bytes).toBeLessThan(one!.bytes * 0.05)

    await run('echo two > /mnt/f; rm /mnt/cache; sync; V=second')
    await host.done(service.restore({ machine, snapshot: again, keep: null }))
    expect(await run('cat /mnt/f /mnt/cache; echo $V')).toBe('one\ncached\nfirst')
    await host.done(service.delete({ machine, snapshot: again, subtree: false }))

    await run('echo two > /mnt/f; rm /mnt/cache; sync; V=second')
    await host.done(service.restore({ machine, snapshot: first, keep: 'second' }))
    expect(await host.machines.get({ id: machine })).toMatchObject({ state: 'running', lastError: null })
    expect(await run('cat /mnt/f /mnt/cache; echo $V')).toBe('one\ncached\nfirst')
    expect(await run('umount /mnt; echo 3 > /proc/sys/vm/drop_caches; mount -t ext4 $D /mnt && cat /mnt/f /mnt/cache')).toBe('one\ncached')

    const { snapshots: all } = await service.tree({ machine })
    await host.done(service.restore({ machine, snapshot: all.find(({ label }) => label === 'second')!.id, keep: null }))
    expect(await run('cat /mnt/f /mnt/cache 2> /dev/null; echo $V')).toBe('two\nsecond')
    await host.done(service.delete({ machine, snapshot: first, subtree: false }))
    await host.machines.powerOff({ id: machine })
  })
