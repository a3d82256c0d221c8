/** Coppice Linux on both engines with a disk that an NBD server has: what the guest writes is there, and a server that dies costs the guest its disk, not its life. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cacheFolder, resourcesFolder } from '../../src-main/app/paths.ts'
import { disks } from '../../src-shared/api/index.ts'
import { testHost } from '../integration/machines/support/test-host.ts'
import { WITHOUT_QEMU_IMG } from '../support/qemu-img.ts'
import { qemuNbd } from '../support/qemu-nbd.ts'
import { QEMU_PROGRAM } from '../support/qemu-program.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { shellOf } from './support/shell.ts'

const MiB = 1024 * 1024
const ENGINES = [
  { engine: 'embedded', arch: 'i386', disk: 'sda' },
  { engine: 'qemu', arch: 'x86_64', disk: 'vda' },
] as const

describe.skipIf(WITHOUT_QEMU_IMG || process.platform === 'win32')('a disk on the network', () => {
  test.each(ENGINES.filter(({ engine }) => engine === 'embedded' || QEMU_PROGRAM))('on $engine', async ({ engine, arch, disk }) => {
    const host = await testHost({ doubles: {}, resources: resourcesFolder(), cacheFolder: cacheFolder() })
    const folder = await tempFolder()
    const image = join(folder, 'net.img')
    await writeFile(image, new Uint8Array(32 * MiB))
    const server = await qemuNbd(image, join(folder, 'n'))
    const made = await host.done(host.machines.create({ name: 'a', source: { kind: 'sample' }, engine, arch }))
    const id = made.result!.id!
    await host.rpc.service(disks).add({ machine: id, disks: [{ source: { kind: 'file', path: server.address } }] })
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
    const run = shellOf(host, id)
    await run(`until [ -b /dev/${disk} ]; do sleep 1; done`)
    expect(await run(`cat /sys/block/${disk}/size`)).toBe(String(32 * 2048))
    expect(
      await run(`mke2fs -q /dev/${disk} && mount -t ext4 /dev/${disk} /mnt && echo over the network > /mnt/f && sync && echo written`),
    ).toContain('written')
    expect((await readFile(image)).includes('over the network')).toBe(true)

    // Gone for a moment: nobody notices.
    await server.kill()
    await server.again()
    expect(await run('echo still there > /mnt/g; cat /mnt/f')).toContain('over the network')

    // Gone for good: the guest hears of errors, and goes on.
    await server.kill()
    expect(await run(`dd if=/dev/${disk} of=/dev/null bs=64k skip=200 count=4 iflag=direct 2>&1 || echo the disk failed`)).toContain(
      'the disk failed',
    )
    expect(await run('echo alive')).toContain('alive')
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
    await host.machines.powerOff({ id })
    // Without its server it does not start, and says why.
    const refused = host.machines.start({ id })
    await expect(refused).rejects.toMatchObject({ message: expect.stringMatching(/n\b|No such file|no such socket/i) as string })
  })
})

describe.skipIf(!QEMU_PROGRAM || process.platform === 'win32')('a disk in the bundle', () => {
  test('grows under a guest that runs', async () => {
    const host = await testHost({ doubles: {}, resources: resourcesFolder(), cacheFolder: cacheFolder() })
    const made = await host.done(
      host.machines.create({ name: 'a', source: { kind: 'sample' }, engine: 'qemu', arch: 'x86_64', newDiskBytes: 64 * MiB }),
    )
    const id = made.result!.id!
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
    const run = shellOf(host, id)
    await run('until [ -b /dev/vda ]; do sleep 1; done')
    const service = host.rpc.service(disks)
    expect(await service.list({ machine: id })).toMatchObject([{ drive: 'disk0', measure: { size: 64 * MiB }, why: { grow: null } }])
    await service.resize({ machine: id, drive: 'disk0', size: 96 * MiB })
    await run(`until [ "$(cat /sys/block/vda/size)" = ${96 * 2048} ]; do sleep 1; done`)
    expect(await service.list({ machine: id })).toMatchObject([{ measure: { size: 96 * MiB } }])
  })
})
