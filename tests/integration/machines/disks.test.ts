/** The disks of machines, through the host. */
import { mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { disks, images as imageService, snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { testHost, type TestHost } from './support/test-host.ts'

const newDisk = { source: { kind: 'new' as const, bytes: 8 * MiB } }
const disksOf = (host: TestHost) => host.rpc.service(disks)
const filesOf = async (host: TestHost, name: string): Promise<string[]> =>
  (await readdir(join(host.library, `${name}.coppice`, 'disks')).catch(() => [])).filter((file) => !file.startsWith('.')).sort()

async function rawImage(byte: number): Promise<string> {
  const path = join(await tempFolder(), `${byte}.img`)
  await writeFile(path, new Uint8Array(2 * MiB).fill(byte))
  return path
}

describe('a new machine', () => {
  test.each([
    [
      'a copy of an image',
      (path: string) => ({ newDiskBytes: 4 * MiB, disks: [{ kind: 'file' as const, path }] }),
      [4 * MiB, 0],
      [2 * MiB, 2],
    ],
    ['an empty one', (path: string) => ({ source: { kind: 'disk' as const, path }, disks: [newDisk.source] }), [2 * MiB, 2], [8 * MiB, 0]],
  ])('gets disks beside its source’s own: %s', async (_, choose, ...expected) => {
    const host = await testHost()
    const id = await host.make('a', '', choose(await rawImage(2)))
    const { config, bundle } = await host.machines.get({ id })
    expect(config!.drives.map(({ id: drive, path, format }) => [drive, path, format])).toEqual(
      ['disk0', 'disk1'].map((drive) => [drive, `disks/${drive}.qcow2`, 'qcow2']),
    )
    const contents = async (name: string): Promise<number[]> => {
      const image = await openImage({ path: join(bundle, `disks/${name}.qcow2`), format: 'qcow2', readOnly: true })
      const [byte] = await readBytes(image, MiB, 1)
      await image.close()
      return [image.info.size, byte!]
    }
    expect(await Promise.all(['disk0', 'disk1'].map(contents))).toEqual(expected)
  })

  test('is not made where one of its disks cannot be; the field says which', async () => {
    const host = await testHost()
    const create = (more: object) =>
      host.machines.create({ name: 'a', source: { kind: 'sample' }, ...more }).then(
        () => null,
        (error: { details: { fields: { path: string }[] } }) => error.details.fields.map(({ path }) => path),
      )
    const missing = { kind: 'file' as const, path: '/nowhere/a.img' }
    expect(await create({ disks: [newDisk.source, missing] })).toEqual(['disks.1.path'])
    expect(await create({ engine: 'embedded', disks: [newDisk.source, newDisk.source, newDisk.source] })).toEqual(['disks.2.kind'])
    expect(await create({ disks: [{ kind: 'new', bytes: 5 }] })).toContain('disks.0.bytes')
    expect(await create({ disks: [{ kind: 'file', path: 'relative.img' }] })).toEqual(['disks.0.path'])
    expect(await host.machines.list({})).toEqual([])
  })
})

describe('a machine', () => {
  test('gets new disks and images behind those that it has', async () => {
    const host = await testHost()
    const id = await host.make('a', '', { newDiskBytes: 4 * MiB })
    const path = await rawImage(7)
    const { config } = await disksOf(host)
      .add({
        machine: id,
        disks: [
          { ...newDisk, use: { cache: 'writethrough' } },
          { source: { kind: 'file', path }, use: { readOnly: true } },
          { source: { kind: 'file', path: 'nbd://server/x' } },
        ],
      })
      .catch(() => ({ config: null }))
    // Two disks are the most of the embedded engine: nothing is left of what was made for them.
    expect(config).toBeNull()
    expect(await filesOf(host, 'a')).toEqual(['disk0.qcow2'])
    const added = await disksOf(host).add({ machine: id, disks: [{ ...newDisk, use: { cache: 'writethrough' } }] })
    expect(added.config!.drives[1]).toEqual({
      ...{ id: 'disk1', kind: 'disk', path: 'disks/disk1.qcow2', format: 'qcow2', readOnly: false, limits: null, cache: 'writethrough' },
    })
    expect(await filesOf(host, 'a')).toEqual(['disk0.qcow2', 'disk1.qcow2'])
    // A disk that was taken out leaves its image, and the next gets another file.
    await host.machines.update({ id, patch: { drives: added.config!.drives.slice(0, 1) } })
    const again = await disksOf(host).add({ machine: id, disks: [newDisk] })
    expect(again.config!.drives[1]).toMatchObject({ id: 'disk1', path: 'disks/disk1-2.qcow2' })
    expect((await stat(join(again.bundle, 'disks/disk1.qcow2'))).size).toBeGreaterThan(0)
  })

  test('that runs says why it takes none, and no file is left', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await host.machines.start({ id })
    await expect(disksOf(host).add({ machine: id, disks: [newDisk] })).rejects.toMatchObject({
      ...{ code: 'wrong-state', details: { fields: [{ path: 'drives.0' }] } },
    })
    expect(await filesOf(host, 'a')).toEqual([])
  })

  test('a disk whose file cannot be made is not named', async () => {
    const host = await testHost()
    const id = await host.make('a')
    // A file where the folder should be.
    await mkdir(join(host.library, 'a.coppice'), { recursive: true })
    await writeFile(join(host.library, 'a.coppice', 'disks'), '')
    await expect(disksOf(host).add({ machine: id, disks: [newDisk] })).rejects.toMatchObject({ code: expect.any(String) as string })
    expect((await host.machines.get({ id })).config!.drives).toEqual([])
  })
})

describe('the image of a disk', () => {
  test('is deleted when nothing needs it any more, and not before', async () => {
    const host = await testHost()
    const id = await host.make('a', '', { newDiskBytes: 4 * MiB })
    const added = await disksOf(host).add({ machine: id, disks: [newDisk] })
    const remove = (path: string): Promise<void> => disksOf(host).deleteImage({ machine: id, path })
    const [first, second] = added.config!.drives
    await expect(remove('disks/disk1.qcow2'), 'a drive has it').rejects.toMatchObject({ code: 'wrong-state' })
    await host.machines.update({ id, patch: { drives: [first!] } })
    await remove('disks/disk1.qcow2')
    expect(await filesOf(host, 'a')).toEqual(['disk0.qcow2'])
    await expect(remove('disks/disk1.qcow2')).rejects.toMatchObject({ code: 'not-found' })

    await host.done(host.rpc.service(snapshots).take({ machine: id, label: 'before' }))
    const now = (await host.machines.get({ id })).config!.drives[0]!.path!
    await host.machines.update({ id, patch: { drives: [] } })
    await expect(remove('disks/disk0.qcow2'), 'a snapshot has it').rejects.toMatchObject({ code: 'wrong-state' })
    await remove(now)
    expect(await filesOf(host, 'a')).toEqual(['disk0.qcow2'])
    expect(second).toMatchObject({ id: 'disk1' })
    for (const path of ['machine.json', 'disks/../machine.json', 'disks/.hidden', '/etc/hostname', 'disks/a/b'])
      await expect(remove(path), path).rejects.toMatchObject({ code: 'invalid-input' })
    await symlink('/etc/hostname', join(host.library, 'a.coppice/disks/link.img'))
    await expect(remove('disks/link.img')).rejects.toMatchObject({ code: 'denied' })
  })
})

describe('what a disk takes, and its size', () => {
  test('is told while the machine is off and while it runs; it grows and shrinks while it is off', async () => {
    const host = await testHost()
    const id = await host.make('a', '', { newDiskBytes: 64 * MiB })
    const state = async () => (await disksOf(host).list({ machine: id }))[0]!
    expect(await state()).toMatchObject({
      ...{ drive: 'disk0', format: 'qcow2', problem: null, measure: { size: 64 * MiB, belowBytes: 0, resizable: true } },
      why: { grow: null, shrink: null, compact: null, check: null, repair: null },
    })
    expect(await disksOf(host).resize({ machine: id, drive: 'disk0', size: 128 * MiB })).toEqual({ size: 128 * MiB })
    await expect(disksOf(host).resize({ machine: id, drive: 'disk0', size: 32 * MiB })).rejects.toMatchObject({ code: 'invalid-input' })
    expect(await disksOf(host).resize({ machine: id, drive: 'disk0', size: 32 * MiB, shrink: true })).toEqual({ size: 32 * MiB })
    await expect(disksOf(host).resize({ machine: id, drive: 'disk7', size: 32 * MiB })).rejects.toMatchObject({ code: 'not-found' })

    await host.machines.start({ id })
    const now = await state()
    expect(now).toMatchObject({ problem: null, measure: { size: 32 * MiB } })
    expect(now.why.grow).toContain('keep their size while the machine runs')
    await expect(disksOf(host).resize({ machine: id, drive: 'disk0', size: 64 * MiB })).rejects.toMatchObject({
      ...{ code: 'wrong-state', message: expect.stringContaining('keeps its size: The embedded engine') as string },
    })
  })

  test('is not changed where a snapshot keeps the file', async () => {
    const host = await testHost()
    const id = await host.make('a', '', { newDiskBytes: 8 * MiB })
    await host.done(host.rpc.service(snapshots).take({ machine: id, label: 'before' }))
    const [now] = await disksOf(host).list({ machine: id })
    expect(now).toMatchObject({ measure: { size: 8 * MiB }, why: { grow: null, compact: null } })
    expect(now!.measure!.belowBytes).toBeGreaterThan(0)
    const frozen = join(host.library, 'a.coppice/disks/disk0.qcow2')
    const images = host.rpc.service(imageService)
    const refused = { code: 'wrong-state' }
    await expect(images.resize({ image: { path: frozen }, size: 16 * MiB })).rejects.toMatchObject(refused)
    await expect(images.compact({ path: frozen })).rejects.toMatchObject(refused)
    await disksOf(host).resize({ machine: id, drive: 'disk0', size: 16 * MiB })
  })

  test('of one on the network is not asked of its server, which may have time for one alone', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await disksOf(host).add({ machine: id, disks: [{ source: { kind: 'file', path: 'nbd://127.0.0.1:1/x' } }] })
    expect(await disksOf(host).list({ machine: id })).toMatchObject([
      { measure: null, problem: null, why: { check: expect.any(String) as string } },
    ])
    await expect(disksOf(host).resize({ machine: id, drive: 'disk0', size: 8 * MiB })).rejects.toMatchObject({ code: 'wrong-state' })
  })

  test('of a file that is no image is said, and the others are told', async () => {
    const host = await testHost()
    const id = await host.make('a', '', { newDiskBytes: 8 * MiB })
    await disksOf(host).add({ machine: id, disks: [newDisk] })
    await writeFile(join(host.library, 'a.coppice/disks/disk1.qcow2'), 'nonsense')
    expect(await disksOf(host).list({ machine: id })).toMatchObject([
      { measure: { size: 8 * MiB }, problem: null },
      { drive: 'disk1', measure: null, problem: { code: 'corrupt' }, why: { check: null } },
    ])
  })
})
