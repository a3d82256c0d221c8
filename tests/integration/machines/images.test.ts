/** Disk images through the host's API with the real storage thread and real files; qemu-img judges what comes out. */
import { mkdir, readdir, readFile, rename, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { images } from '../../../src-shared/api/index.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { noise, seeded } from '../../support/seeded.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { attach, testHost, type TestHost } from './support/test-host.ts'

const MiB = 1024 * 1024

interface Judged {
  'virtual-size': number
  format: string
  'cluster-size'?: number
  'backing-filename'?: string
  'backing-filename-format'?: string
}

async function judge(path: string): Promise<Judged> {
  return JSON.parse(await qemuImg('info', '--output=json', path)) as Judged
}

async function setting(): Promise<{ host: TestHost; images: Client<typeof images>; folder: string; at(name: string): string }> {
  const host = await testHost()
  const folder = await tempFolder()
  return { host, images: host.rpc.service(images), folder, at: (name) => join(folder, name) }
}

/** A raw image with data in its first MiB and at its end. */
async function rawImage(path: string, size = 8 * MiB): Promise<void> {
  await writeFile(path, Buffer.alloc(MiB, 'first'))
  await truncate(path, size)
  await writeFile(path, Buffer.concat([await readFile(path).then((all) => all.subarray(0, size - 4096)), Buffer.alloc(4096, 'last')]))
}

describe.skipIf(WITHOUT_QEMU_IMG)('an image', () => {
  test('is made, looked into, and made larger', async () => {
    const { images, at } = await setting()
    const path = at('a.qcow2')
    expect(await images.create({ path, format: 'qcow2', size: 10 * MiB, clusterSize: 4096 })).toEqual({ size: 10 * MiB })
    expect(await judge(path)).toMatchObject({ 'virtual-size': 10 * MiB, format: 'qcow2', 'cluster-size': 4096 })
    const info = await images.info({ path })
    const { size, blocks } = await stat(path)
    expect(info).toMatchObject({ path, format: 'qcow2', size: 10 * MiB, fileBytes: size, storedBytes: blocks * 512, backing: null })
    expect(info).toMatchObject({ layers: [], problem: null })
    expect(info.details).toContainEqual({ label: 'Cluster size', value: '4 KiB' })
    await expect(images.create({ path, format: 'qcow2', size: 1 * MiB })).rejects.toMatchObject({ code: 'already-exists' })

    expect(await images.resize({ image: { path }, size: 16 * MiB })).toEqual({ size: 16 * MiB })
    await expect(images.resize({ image: { path }, size: 4 * MiB })).rejects.toMatchObject({
      code: 'invalid-input',
      details: { fields: [{ path: 'size' }] },
    })
    expect((await judge(path))['virtual-size']).toBe(16 * MiB)
    await images.resize({ image: { path }, size: 4 * MiB, shrink: true })
    expect((await judge(path))['virtual-size']).toBe(4 * MiB)
  })

  test('rests on another, in its folder or one that is named', async () => {
    const { images, at } = await setting()
    await mkdir(at('below'))
    await rawImage(at('below/base.img'))
    await images.create({ path: at('beside.qcow2'), format: 'qcow2', size: null, backing: { path: at('below/base.img') } })
    expect(await judge(at('beside.qcow2'))).toMatchObject({
      'virtual-size': 8 * MiB,
      'backing-filename': 'below/base.img',
      'backing-filename-format': 'raw',
    })
    expect(await qemuImg('compare', at('beside.qcow2'), at('below/base.img'))).toContain('identical')

    await mkdir(at('other'))
    const path = at('other/far.qcow2')
    await images.create({ path, format: 'qcow2', size: null, backing: { path: at('beside.qcow2'), format: 'qcow2' } })
    const stopped = await images.info({ path })
    expect(stopped).toMatchObject({ layers: [], problem: expect.stringContaining('outside of the folders') as string })
    const { layers, problem } = await images.info({ path, folders: [at('')] })
    expect(problem).toBe(null)
    expect(layers.map((layer) => layer.path)).toEqual([at('beside.qcow2'), at('below/base.img')])
    await rename(at('below/base.img'), at('below/gone.img'))
    expect((await images.info({ path: at('beside.qcow2') })).problem).toContain('is not there')
  })

  test.each(['qcow2', 'vmdk', 'vdi', 'vhd'] as const)('is converted into %s and back, with progress', async (format) => {
    const { host, images, at } = await setting()
    await rawImage(at('a.img'))
    const kinds = new Set<string>()
    host.tasks.changed(({ kind, progress }) => void kinds.add(`${kind} ${progress?.unit}`))
    const to = { path: at(`b.${format}`), format }
    expect((await host.done(images.convert({ from: { path: at('a.img') }, to }))).result).toEqual({ size: 8 * MiB })
    expect([...kinds]).toContain('convert-image bytes')
    expect(await qemuImg('compare', '-F', format === 'vhd' ? 'vpc' : format, '-f', 'raw', at('a.img'), to.path)).toContain('identical')
    await host.done(images.convert({ from: { path: to.path }, to: { path: at('c.img'), format: 'raw' } }))
    expect((await readFile(at('c.img'))).equals(await readFile(at('a.img')))).toBe(true)
  })

  test('is converted from a format that is only read', async () => {
    const { host, images, at } = await setting()
    await rawImage(at('a.img'))
    await qemuImg('convert', '-O', 'vhdx', at('a.img'), at('a.vhdx'))
    expect(await images.info({ path: at('a.vhdx') })).toMatchObject({ format: 'vhdx', size: 8 * MiB })
    await host.done(images.convert({ from: { path: at('a.vhdx') }, to: { path: at('b.qcow2'), format: 'qcow2' } }))
    expect(await qemuImg('compare', at('a.img'), at('b.qcow2'))).toContain('identical')
    const back = host.done(images.convert({ from: { path: at('a.img') }, to: { path: at('c.vhdx'), format: 'vhdx' } }))
    await expect(back).rejects.toMatchObject({ code: 'unsupported' })
    expect((await readdir(at(''))).sort()).toEqual(['a.img', 'a.vhdx', 'b.qcow2'])
  })

  test('is stored packed, and replaces another only when that is said', async () => {
    const { host, images, at } = await setting()
    await rawImage(at('a.img'))
    const to = { path: at('p.qcow2'), format: 'qcow2', packed: true } as const
    await host.done(images.convert({ from: { path: at('a.img') }, to }))
    expect((await stat(to.path)).size).toBeLessThan(512 * 1024)
    expect(await qemuImg('compare', at('a.img'), to.path)).toContain('identical')
    const before = await readFile(to.path)
    const again = host.done(images.convert({ from: { path: at('a.img') }, to }))
    await expect(again).rejects.toMatchObject({ code: 'already-exists' })
    expect((await readFile(to.path)).equals(before)).toBe(true)
    await host.done(images.convert({ from: { path: at('a.img') }, to: { ...to, packed: false, replace: true } }))
    expect((await stat(to.path)).size).toBeGreaterThan(MiB)
    expect((await readdir(at(''))).sort()).toEqual(['a.img', 'p.qcow2'])
  })

  test('gives back what holds zeroes', async () => {
    const { host, images, at } = await setting()
    await images.create({ path: at('a.qcow2'), format: 'qcow2', size: 16 * MiB })
    await qemuIo('qcow2', at('a.qcow2'), 'write -P 1 0 8M', 'write -P 0 1M 6M')
    const { room } = (await host.done(images.compact({ path: at('a.qcow2') }))).result!
    expect(room!.before - room!.after).toBeGreaterThanOrEqual(6 * MiB)
    expect((await stat(at('a.qcow2'))).blocks * 512).toBe(room!.after)
    await qemuIo('qcow2', at('a.qcow2'), 'read -P 1 0 1M', 'read -P 0 1M 6M', 'read -P 1 7M 1M')
  })

  test('is checked and repaired', async () => {
    const { host, images, at } = await setting()
    const path = at('a.qcow2')
    await images.create({ path, format: 'qcow2', size: 16 * MiB })
    await qemuIo('qcow2', path, 'write -P 1 0 1M')
    const check = async (repair: boolean) => (await host.done(images.check({ image: { path }, repair }))).result!.check
    expect(await check(false)).toMatchObject({ corruptions: 0, leaks: 0, findings: [] })
    await leakCluster(path)
    expect(await check(false)).toMatchObject({ corruptions: 0, leaks: 1, repairedLeaks: 0 })
    expect(await check(true)).toMatchObject({ leaks: 1, repairedLeaks: 1 })
    expect(await check(false)).toMatchObject({ leaks: 0 })
    expect(await qemuImg('check', path)).toContain('No errors')
    await rawImage(at('b.img'))
    expect((await host.done(images.check({ image: { path: at('b.img') } }))).result).toEqual({ check: null })
  })
})

describe('a machine’s disk', () => {
  test('is left alone while the machine runs, and the machine does not start while the disk is worked on', async () => {
    const { host, images, at } = await setting()
    // Packing it takes a while.
    await writeFile(at('disk.img'), noise(seeded(1), 32 * MiB))
    const source = { kind: 'disk', path: at('disk.img'), copy: false } as const
    const { result } = await host.done(host.machines.create({ name: 'web', source, engine: 'embedded' }))
    const id = result!.id!
    await host.machines.start({ id })
    const console = await attach(host, id)
    await console.type('boot')
    const path = at('disk.img')
    const refusal = { code: 'busy', message: `“${path}” is in use by the machine “web”, which is running. Shut it down and try again.` }
    await expect(images.resize({ image: { path }, size: 128 * MiB })).rejects.toMatchObject(refusal)
    await expect(images.info({ path })).rejects.toMatchObject(refusal)
    await expect(images.compact({ path })).rejects.toMatchObject(refusal)
    const onto = { from: { path: at('other.img') }, to: { path, format: 'raw', replace: true } } as const
    await rawImage(at('other.img'))
    await expect(images.convert(onto)).rejects.toMatchObject(refusal)
    const below = { path: at('over.qcow2'), format: 'qcow2', size: null, backing: { path } } as const
    await expect(images.create(below)).rejects.toMatchObject(refusal)

    await host.done(host.machines.suspend({ id }))
    await expect(images.compact({ path })).rejects.toMatchObject({ code: 'wrong-state' })
    expect(await images.info({ path })).toMatchObject({ format: 'raw', size: 32 * MiB })
    await host.machines.discardSuspend({ id })

    const attempt: { start?: Promise<unknown> } = {}
    const watching = host.tasks.changed((task) => {
      if (task.kind === 'convert-image' && task.progress) attempt.start ??= host.machines.start({ id }).catch((error: unknown) => error)
    })
    const converted = await host.done(images.convert({ from: { path }, to: { path: at('copy.qcow2'), format: 'qcow2', packed: true } }))
    watching.dispose()
    expect(converted.machine).toBe(id)
    expect(await attempt.start).toMatchObject({ code: 'busy', message: '“web” is having a disk converted. Wait until that is done.' })
    expect(await host.machines.start({ id })).toMatchObject({ state: 'running' })
  })

  test('is what the machine says, whatever its guest wrote into it', async () => {
    const { host, images, at } = await setting()
    await rawImage(at('disk.img'))
    const source = { kind: 'disk', path: at('disk.img'), copy: false } as const
    await host.done(host.machines.create({ name: 'web', source }))
    // The mark of a qcow2 image that rests on a file of this folder.
    await images.create({ path: at('secret.img'), format: 'raw', size: MiB })
    await images.create({ path: at('bait.qcow2'), format: 'qcow2', size: null, backing: { path: at('secret.img') } })
    await writeFile(at('disk.img'), await readFile(at('bait.qcow2')))
    expect(await images.info({ path: at('disk.img') })).toMatchObject({ format: 'raw', backing: null, layers: [] })
    expect(await images.info({ path: at('bait.qcow2') })).toMatchObject({ format: 'qcow2', backing: 'secret.img' })
  })
})

/** A cluster at the end of the file that is counted and that nothing uses (qcow2 specification, "Host cluster management"). */
async function leakCluster(path: string): Promise<void> {
  const bytes = await readFile(path)
  const cluster = 2 ** bytes.readUInt32BE(20)
  const clusters = Math.ceil(bytes.length / cluster)
  const block = Number(bytes.readBigUInt64BE(Number(bytes.readBigUInt64BE(48))))
  bytes.writeUInt16BE(1, block + 2 * clusters)
  await writeFile(path, Buffer.concat([bytes, Buffer.alloc(cluster)]))
}
