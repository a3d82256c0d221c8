/** Disks and a CD of Coppice Linux through the whole product: what the guest writes is in the host's files, and what it must not write is not. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { cacheFolder, resourcesFolder } from '../../src-main/app/paths.ts'
import { fakeIso, put } from '../integration/machines/support/fake-files.ts'
import { attach, testHost } from '../integration/machines/support/test-host.ts'
import { openImage } from '../../src-main/storage/open-image.ts'
import { qemuImg, WITHOUT_QEMU_IMG } from '../support/qemu-img.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { shellOf } from './support/shell.ts'

const KiB = 1024
const MiB = 1024 * KiB

test('a disk is written through to its file, a CD and a read-only disk are read', async () => {
  const host = await testHost({ doubles: {}, resources: resourcesFolder(), cacheFolder: cacheFolder() })
  const folder = await tempFolder()
  const sectors = fakeIso(40)
  sectors.set(new TextEncoder().encode('on the CD'), 39 * 2048)
  const iso = await put(join(folder, 'x.iso'), sectors)
  const kept = await put(join(folder, 'kept.img'), new Uint8Array(MiB).fill(0x6b))
  const made = await host.done(host.machines.create({ name: 'a', source: { kind: 'sample' }, newDiskBytes: 64 * MiB }))
  const id = made.result!.id!
  const { bundle, config } = await host.machines.get({ id })
  const drives = [
    ...config!.drives,
    { id: 'kept', kind: 'disk' as const, path: kept, readOnly: true },
    { id: 'cd', kind: 'cdrom' as const, path: iso },
  ]
  await host.machines.update({ id, patch: { drives } })
  await host.machines.start({ id })
  await host.machines.waitBooted({ id })

  const run = shellOf(host, id)
  await run('until [ -b /dev/sda ] && [ -b /dev/sdb ] && [ -b /dev/sr0 ]; do sleep 1; done')
  expect(await run('cat /sys/block/sda/size /sys/block/sdb/size /sys/block/sr0/size')).toBe(`${64 * 2048}\n2048\n160`)

  // A file system of the guest’s own making, and bytes beyond it that the guest was not told to force out.
  expect(
    await run('mke2fs -q /dev/sda 32768 && mount -t ext4 /dev/sda /mnt && echo kept in a file > /mnt/f && umount /mnt && echo made'),
  ).toContain('made')
  expect(await run('mount -t ext4 /dev/sda /mnt && cat /mnt/f && umount /mnt')).toContain('kept in a file')
  await run('yes "pattern of the guest" | dd of=/dev/sda bs=64k count=4 seek=800 iflag=fullblock conv=notrunc 2> /dev/null')

  expect(await run('dd if=/dev/sr0 bs=2048 skip=39 count=1 2> /dev/null | head -c 9')).toBe('on the CD')
  expect(await run('head -c 4 /dev/sdb')).toBe('kkkk')
  expect(await run('dd if=/dev/zero of=/dev/sdb bs=512 count=1 conv=fsync 2> /dev/null || echo refused')).toContain('refused')
  const console = await attach(host, id)
  await console.type('poweroff')
  expect(await host.until(id, ({ state }) => state === 'off')).toMatchObject({ lastError: null })

  const path = join(bundle, 'disks/disk0.qcow2')
  const disk = await openImage({ path, format: 'qcow2', readOnly: true })
  const bytes = Buffer.alloc(256 * KiB)
  await disk.read(50 * MiB, bytes)
  await disk.close()
  // QEMU's own tool finds nothing to complain of.
  if (!WITHOUT_QEMU_IMG) expect(await qemuImg('check', path)).toContain('No errors were found on the image.')
  expect(bytes.equals(Buffer.alloc(256 * KiB, 'pattern of the guest\n'))).toBe(true)
  expect((await readFile(kept)).equals(Buffer.alloc(MiB, 0x6b))).toBe(true)
  expect((await readFile(iso)).equals(Buffer.from(sectors))).toBe(true)
})
