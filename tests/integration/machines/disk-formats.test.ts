/** Images of all formats as machines' disks: their format is found out once, and what no engine could use is refused where it is chosen. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MiB } from '../../../src-shared/base/units.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { convertImage } from '../../../src-main/storage/jobs/convert-image.ts'
import { createImage } from '../../../src-main/storage/jobs/create-image.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { qemuImg, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { testHost } from './support/test-host.ts'

const quiet = { signal: new AbortController().signal, onProgress: () => {} }

/** An image with a pattern in its second MiB. */
async function imageOf(format: DiskFormat, folder: string): Promise<string> {
  const raw = join(folder, 'pattern.img')
  const content = new Uint8Array(4 * MiB)
  content.fill(0x5a, MiB, 2 * MiB)
  await writeFile(raw, content)
  const path = join(folder, `disk.${format}`)
  await convertImage({ path: raw, format: 'raw' }, { path, format, packed: false, replace: true }, quiet)
  return path
}

describe('a disk image of another product', () => {
  test.each(['raw', 'qcow2', 'vdi', 'vhd'] as const)('%s: copied into the machine as qcow2, or used where it is', async (format) => {
    const host = await testHost()
    const path = await imageOf(format, await tempFolder())
    const copied = await host.done(host.machines.create({ name: 'copied', source: { kind: 'disk', path } }))
    const { bundle, config } = await host.machines.get({ id: copied.result!.id! })
    expect(config!.drives).toMatchObject([{ path: 'disks/disk0.qcow2', format: 'qcow2' }])
    const disk = await openImage({ path: join(bundle, 'disks/disk0.qcow2'), format: 'qcow2', readOnly: true })
    expect([...(await readBytes(disk, MiB - 1, 2))]).toEqual([0, 0x5a])
    await disk.close()

    const used = await host.done(host.machines.create({ name: 'used', source: { kind: 'disk', path, copy: false } }))
    expect((await host.machines.get({ id: used.result!.id! })).config!.drives).toMatchObject([{ path, format }])
    expect(await host.machines.start({ id: used.result!.id! })).toMatchObject({ state: 'running' })
  })

  test('its format is found out when it is added, and stays', async () => {
    const host = await testHost()
    const id = await host.make('a')
    const path = await imageOf('vdi', await tempFolder())
    const added = await host.machines.update({ id, patch: { drives: [{ id: 'disk0', kind: 'disk', path }] } })
    expect(added.config!.drives).toMatchObject([{ path, format: 'vdi' }])
    // Even where its file is something else by now.
    await writeFile(path, new Uint8Array(MiB))
    const changed = await host.machines.update({ id, patch: { drives: [{ id: 'disk0', kind: 'disk', path, readOnly: true }] } })
    expect(changed.config!.drives).toMatchObject([{ path, format: 'vdi', readOnly: true }])
  })

  test('that rests on a file elsewhere is refused, at its field', async () => {
    const host = await testHost()
    const id = await host.make('a')
    const folder = await tempFolder()
    await mkdir(join(folder, 'elsewhere'))
    const base = join(folder, 'elsewhere', 'base.img')
    await writeFile(base, new Uint8Array(MiB))
    const path = join(folder, 'here.qcow2')
    await createImage({
      path: join(folder, 'elsewhere', 'fine.qcow2'),
      format: 'qcow2',
      size: null,
      backing: { path: base, format: 'raw', folders: [] },
    })
    await createImage({ path, format: 'qcow2', size: null, backing: { path: base, format: 'raw', folders: [] } })
    const drives = (image: string) => ({ id, patch: { drives: [{ id: 'disk0', kind: 'disk' as const, path: image }] } })
    expect((await host.machines.update(drives(join(folder, 'elsewhere', 'fine.qcow2')))).config!.drives).toMatchObject([
      { format: 'qcow2' },
    ])
    // `base.img` lies below here.qcow2’s folder; the other way round it does not.
    const up = join(folder, 'elsewhere', 'up.qcow2')
    await writeFile(join(folder, 'secret.img'), new Uint8Array(MiB))
    await createImage({ path: up, format: 'qcow2', size: null, backing: { path: join(folder, 'secret.img'), format: 'raw', folders: [] } })
    await expect(host.machines.update(drives(up))).rejects.toMatchObject({
      code: 'invalid-input',
      details: { fields: [{ path: 'drives.0.path', message: expect.stringContaining('lies outside of the folders') as string }] },
    })
    await expect(host.machines.create({ name: 'b', source: { kind: 'disk', path: up } })).rejects.toMatchObject({
      details: { fields: [{ path: 'source.path' }] },
    })
  })

  test('that is damaged is refused, at its field', async () => {
    const host = await testHost()
    const path = await imageOf('qcow2', await tempFolder())
    await writeFile(path, new Uint8Array([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 9]))
    await expect(host.machines.create({ name: 'b', source: { kind: 'disk', path } })).rejects.toMatchObject({
      code: 'invalid-input',
      details: { fields: [{ path: 'source.path' }] },
    })
  })
})

test.skipIf(WITHOUT_QEMU_IMG)('an image that is changed when it is closed does not keep its machine from going on', async () => {
  const host = await testHost()
  const path = join(await tempFolder(), 'lazy.qcow2')
  await qemuImg('create', '-q', '-f', 'qcow2', '-o', 'lazy_refcounts=on', path, '4M')
  const made = await host.done(host.machines.create({ name: 'a', source: { kind: 'disk', path, copy: false } }))
  const id = made.result!.id!
  await host.machines.start({ id })
  await host.machines.type({ id, text: 'write 7\n' })
  await host.done(host.machines.suspend({ id }))
  // Its mark of being in use is gone only now.
  expect(await qemuImg('check', path)).toContain('No errors were found')
  expect(await host.machines.resume({ id })).toMatchObject({ state: 'running' })
})
