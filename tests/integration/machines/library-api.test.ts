/** Making, changing, duplicating, trashing and opening machines through the API, on a real file system. */
import { cp, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { fakeIso, fakeKernel, put } from './support/fake-files.ts'
import { attach, testHost } from './support/test-host.ts'

beforeEach(async () => {
  // The desktop's trash of whoever runs the tests stays as it is.
  vi.stubEnv('XDG_DATA_HOME', await tempFolder())
  return () => void vi.unstubAllEnvs()
})

/** The disk of a machine's own image: bytes, and the first MiB of what is on it. */
async function contentOf(path: string): Promise<{ size: number; bytes: Buffer }> {
  const image = await openImage({ path, format: 'qcow2', readOnly: true })
  const bytes = Buffer.alloc(Math.min(1024 * 1024, image.info.size))
  await image.read(0, bytes)
  await image.close()
  return { size: image.info.size, bytes }
}

describe('a new machine', () => {
  test('is Coppice Linux, with its host name, its files and its progress', async () => {
    const host = await testHost()
    const steps: string[] = []
    host.tasks.changed((task) => steps.push(task.step))
    const task = await host.done(host.machines.create({ name: 'Größe 1', source: { kind: 'sample' } }))
    const view = await host.machines.get({ id: task.result!.id! })
    expect(view).toMatchObject({
      name: 'Größe 1',
      bundle: join(host.library, 'Größe 1.coppice'),
      state: 'off',
      config: {
        guest: 'coppice-linux',
        memoryMiB: 256,
        boot: { kernel: 'boot/kernel', initrd: 'boot/initrd', cmdline: 'console=ttyS0 coppice.hostname=gro-e-1' },
        nics: [{ model: 'virtio' }],
      },
    })
    expect((await readdir(view.bundle)).sort()).toEqual(['boot', 'machine.json'])
    expect(steps.join()).toContain('Downloading Debian’s kernel')
    expect((await readdir(host.library)).filter((name) => name.startsWith('.'))).toEqual([])
    await host.machines.start({ id: view.id })
    await host.machines.waitBooted({ id: view.id })
  })

  test('boots an ISO, with a new sparse disk before it', async () => {
    const host = await testHost()
    const iso = await put(join(await tempFolder(), 'x.iso'), fakeIso(40))
    const newDiskBytes = 64 * 1024 * 1024 * 1024
    const task = await host.done(host.machines.create({ name: 'a', source: { kind: 'iso', path: iso }, newDiskBytes, memoryMiB: 128 }))
    const view = await host.machines.get({ id: task.result!.id! })
    expect(view.config).toMatchObject({
      memoryMiB: 128,
      boot: { kind: 'firmware', order: ['disk', 'cdrom', 'floppy'] },
      drives: [
        { id: 'disk0', kind: 'disk', path: 'disks/disk0.qcow2', readOnly: false },
        { id: 'cdrom0', kind: 'cdrom', path: iso, readOnly: true },
      ],
    })
    const path = join(view.bundle, 'disks/disk0.qcow2')
    expect((await contentOf(path)).size).toBe(newDiskBytes)
    expect((await stat(path)).blocks * 512).toBeLessThan(1024 * 1024)
    expect(await host.machines.start({ id: view.id })).toMatchObject({ state: 'running' })
  })

  test('takes a copy of a disk image, or uses it where it is', async () => {
    const host = await testHost()
    const image = await put(join(await tempFolder(), 'd.img'), new Uint8Array(1024 * 1024).fill(7))
    const copied = await host.done(host.machines.create({ name: 'copied', source: { kind: 'disk', path: image } }))
    const used = await host.done(
      host.machines.create({ name: 'used', source: { kind: 'disk', path: image, copy: false }, newDiskBytes: 1 << 20 }),
    )
    const { bundle } = await host.machines.get({ id: copied.result!.id! })
    expect((await contentOf(join(bundle, 'disks/disk0.qcow2'))).bytes.equals(await readFile(image))).toBe(true)
    const view = await host.machines.get({ id: used.result!.id! })
    expect(view.config!.drives.map(({ path, format }) => [path, format])).toEqual([
      [image, 'raw'],
      ['disks/disk1.qcow2', 'qcow2'],
    ])
    expect((await readdir(view.bundle)).sort()).toEqual(['disks', 'machine.json'])
  })

  test('from files that cannot work is not made, and every one is named', async () => {
    const host = await testHost()
    const folder = await tempFolder()
    const create = (source: Parameters<typeof host.machines.create>[0]['source'], more = {}) =>
      host.machines.create({ name: 'a', source, ...more })
    const fields = async (made: Promise<unknown>): Promise<Record<string, string>> => {
      const error = await made.then(
        () => expect.unreachable(),
        (failure: unknown) => failure as { code: string; details: { fields: { path: string; message: string }[] } },
      )
      expect(error.code).toBe('invalid-input')
      return Object.fromEntries(error.details.fields.map(({ path, message }) => [path, message]))
    }
    const empty = await put(join(folder, 'empty'), '')
    const text = await put(join(folder, 'text.iso'), 'not an image')
    const cut = await put(join(folder, 'cut.iso'), fakeIso(1000).subarray(0, 20 * 2048))
    const kernel = await put(join(folder, 'kernel'), fakeKernel())
    expect(await fields(create({ kind: 'kernel', kernel: empty, initrd: join(folder, 'none') }))).toEqual({
      'source.kernel': `The kernel “${empty}” is empty (0 bytes). Choose another file.`,
      'source.initrd': `The initial RAM disk “${join(folder, 'none')}” is not there. Put it back, or choose another file.`,
    })
    expect(await fields(create({ kind: 'iso', path: text }))).toEqual({
      'source.path': expect.stringContaining('not an ISO image') as string,
    })
    expect(await fields(create({ kind: 'iso', path: cut }))).toEqual({ 'source.path': expect.stringContaining('is truncated') as string })
    expect(await fields(create({ kind: 'iso', path: 'relative.iso' }))).toEqual({ 'source.path': '“relative.iso” is not a full path.' })
    expect(await fields(create({ kind: 'disk', path: folder }))).toEqual({
      'source.path': expect.stringContaining('is a folder') as string,
    })
    expect(Object.keys(await fields(create({ kind: 'kernel', kernel }, { memoryMiB: 7 })))).toEqual(['memoryMiB'])
    // Why each engine cannot: here there is one.
    const without = 'QEMU was not found on this computer. Install it, or choose another engine.'
    expect(await fields(create({ kind: 'kernel', kernel }, { memoryMiB: 9_999_999 }))).toEqual({
      memoryMiB: '9999999 MiB is more memory than the embedded engine can give. The most is 2047 MiB.',
      engine: without,
    })
    expect(await fields(create({ kind: 'kernel', kernel }, { engine: 'qemu' }))).toEqual({ engine: without })
    expect(Object.keys(await fields(create({ kind: 'sample' }, { arch: 'x86_64', cpus: 2 })))).toEqual(['arch', 'cpus', 'engine'])
    expect(await fields(create({ kind: 'sample' }, { arch: 'aarch64' }))).toEqual({
      arch: 'Coppice Linux is made for i386 and x86_64, not for aarch64.',
    })
    for (const name of ['../a', 'a\u0007', '', ' a', 'con', '.hidden']) {
      const made = host.machines.create({ name, source: { kind: 'kernel', kernel } })
      expect(Object.keys(await fields(made)), JSON.stringify(name)).toEqual(['name'])
    }
    expect(await host.machines.list({})).toEqual([])
    expect(await host.tasks.list({})).toEqual([])
  })

  test('of a name that another has, or is getting, is refused', async () => {
    const host = await testHost()
    await host.make('Web')
    await expect(host.make('web')).rejects.toMatchObject({ code: 'already-exists', details: { fields: [{ path: 'name' }] } })
    const both = await Promise.allSettled([host.make('twin'), host.make('twin')])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await host.machines.suggestName({ wish: 'twin' })).toEqual({ name: 'twin 2' })
  })

  test('that fails leaves nothing, and its name is free again', async () => {
    const host = await testHost()
    const image = join(await tempFolder(), 'd.img')
    await put(image, new Uint8Array(1024))
    const { task } = await host.machines.create({ name: 'a', source: { kind: 'disk', path: image } })
    await host.tasks.cancel({ id: task })
    await host.tasks.wait({ id: task })
    const left = await readdir(host.library)
    if ((await host.tasks.wait({ id: task })).state === 'cancelled')
      expect(left.filter((name) => name.endsWith('.coppice') || name.startsWith('.new'))).toEqual([])
    await mkdir(join(host.library, '.new-crashed'))
    await writeFile(join(host.library, '.new-crashed/machine.json'), '{')
    await host.host.close()
    const next = await testHost({ library: host.library })
    await next.host.close()
    expect((await readdir(host.library)).filter((name) => name.startsWith('.new'))).toEqual([])
  })
})

describe('changing a machine', () => {
  test('keeps what is not named, and reports every wrong field', async () => {
    const host = await testHost()
    const id = await host.make('a', 'quiet')
    const view = await host.machines.update({ id, patch: { memoryMiB: 512, tags: ['x'], folder: ['Labs', 'One'], serialPorts: 2 } })
    expect(view.config).toMatchObject({
      name: 'a',
      memoryMiB: 512,
      tags: ['x'],
      folder: ['Labs', 'One'],
      serialPorts: 2,
      boot: { cmdline: 'quiet' },
    })
    expect(JSON.parse(await readFile(join(view.bundle, 'machine.json'), 'utf8'))).toEqual(view.config)
    const drives = [{ id: 'disk0', kind: 'disk' as const, path: 'disks/none.img' }]
    await expect(host.machines.update({ id, patch: { drives, boot: { kind: 'kernel', kernel: 'boot/none' } } })).rejects.toMatchObject({
      code: 'invalid-input',
      details: { fields: [{ path: 'boot.kernel' }, { path: 'drives.0.path' }] },
    })
    await expect(host.machines.update({ id, patch: { memoryMiB: 7 } })).rejects.toMatchObject({
      details: { fields: [{ path: 'patch.memoryMiB' }] },
    })
    await expect(host.machines.update({ id, patch: { engine: 'qemu' } })).rejects.toMatchObject({
      details: { fields: [{ path: 'engine', message: expect.stringContaining('not found') as string }] },
    })
    expect((await host.machines.get({ id })).config).toEqual(view.config)
    // What is wrong already does not keep notes from being written.
    await rm(join(view.bundle, 'boot/kernel'))
    await host.machines.update({ id, patch: { notes: 'the kernel is gone' } })
    await expect(host.machines.start({ id })).rejects.toMatchObject({
      code: 'invalid-input',
      details: { fields: [{ path: 'boot.kernel' }] },
    })
  })

  test('renames the bundle with the machine, beside whatever has that name', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await writeFile(join(host.library, 'b.coppice'), 'a file in the way')
    expect(await host.machines.update({ id, patch: { name: 'b' } })).toMatchObject({
      id,
      name: 'b',
      bundle: join(host.library, 'b 2.coppice'),
    })
    expect(await host.machines.update({ id, patch: { name: 'B' } })).toMatchObject({ id, name: 'B' })
    await host.make('c')
    await expect(host.machines.update({ id, patch: { name: 'C' } })).rejects.toMatchObject({ code: 'already-exists' })
    await host.machines.start({ id })
    const { bundle } = await host.machines.get({ id })
    expect(await host.machines.update({ id, patch: { name: 'd' } })).toMatchObject({ name: 'd', bundle, state: 'running' })
  })

  test('a bundle moved by hand while it runs is still that machine, and can be started again', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await host.machines.start({ id })
    const moved = join(host.library, 'moved.coppice')
    await rename(join(host.library, 'a.coppice'), moved)
    await host.until(id, ({ bundle }) => bundle === moved)
    await host.done(host.machines.suspend({ id }))
    expect(await readdir(moved)).toContain('suspend')
    expect(await host.machines.start({ id })).toMatchObject({ state: 'running' })
  })

  test('a bundle deleted by hand while it runs goes when it is off', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
    const bundle = join(host.library, 'a.coppice')
    await rm(bundle, { recursive: true, maxRetries: 5 })
    await host.machines.type({ id, text: 'flood 8\n' })
    await expect(host.done(host.machines.suspend({ id }))).rejects.toMatchObject({
      code: 'not-found',
      message: `“a” could not be suspended and goes on running. Its bundle “${bundle}” is not there any more. Put it back, or shut the machine down.`,
    })
    expect(await host.machines.get({ id })).toMatchObject({ state: 'running' })
    await host.machines.type({ id, text: 'set more\nget\n' })
    await host.machines.powerOff({ id })
    expect(await host.machines.list({})).toEqual([])
    // Neither the console's log nor the lock nor anything else has brought it back.
    expect((await readdir(host.library)).filter((name) => name.startsWith('a'))).toEqual([])
  })
})

describe('a duplicate', () => {
  test('has its own identity and disks', async () => {
    const host = await testHost()
    const id = await host.make('a', 'coppice.hostname=a', { newDiskBytes: 1024 * 1024 })
    const original = await host.machines.get({ id })
    await host.machines.start({ id })
    await host.machines.type({ id, text: 'write 5\n' })
    await host.machines.waitBooted({ id })
    await host.machines.powerOff({ id })
    // What QEMU's firmware and TPM keep: the one is copied, the other is the original's identity.
    await put(join(original.bundle, 'firmware/vars.fd'), 'boot entries')
    await put(join(original.bundle, 'firmware/tpm/tpm2-00.permall'), 'keys')
    const task = await host.done(host.machines.duplicate({ id, name: 'b' }))
    const copy = await host.machines.get({ id: task.result!.id! })
    expect(copy.config).toMatchObject({ name: 'b', boot: { cmdline: 'coppice.hostname=b' } })
    expect(copy.config!.nics[0]!.mac).not.toBe(original.config!.nics[0]!.mac)
    expect((await readdir(copy.bundle)).sort()).toEqual(['boot', 'disks', 'firmware', 'machine.json'])
    expect(await readdir(join(copy.bundle, 'firmware'))).toEqual(['vars.fd'])
    const bytes = (bundle: string) => readFile(join(bundle, 'disks/disk0.qcow2'))
    expect((await bytes(copy.bundle)).equals(await bytes(original.bundle))).toBe(true)
    await Promise.all([host.machines.start({ id }), host.machines.start({ id: copy.id })])
    expect((await host.machines.get({ id })).task).toBeNull()
  })

  test('has nothing of what a crash left in the original: no lock, no temporary file', async () => {
    const host = await testHost()
    const id = await host.make('a', '', { newDiskBytes: 1024 * 1024 })
    const { bundle } = await host.machines.get({ id })
    const gone = { host: hostname(), pid: 2 ** 22 + 1, start: 'x', thread: 0, image: '0:0', token: 'x' }
    await put(join(bundle, 'disks/.disk0.qcow2.coppice-lock'), JSON.stringify(gone))
    await put(join(bundle, 'disks/.disk0.qcow2.1234.coppice-tmp'), 'half')
    await put(join(bundle, '.machine.json.1234.coppice-tmp'), '{')
    await put(join(bundle, 'lock'), JSON.stringify(gone))
    await put(join(bundle, 'suspend.new/memory'), 'half')
    await put(join(bundle, 'logs/serial0.log'), 'of the original')
    const task = await host.done(host.machines.duplicate({ id, name: 'b' }))
    const copy = await host.machines.get({ id: task.result!.id! })
    expect((await readdir(copy.bundle, { recursive: true })).sort()).toEqual([
      ...['boot', 'boot/kernel', 'disks', 'disks/disk0.qcow2', 'machine.json'],
    ])
    expect(await host.machines.start({ id: copy.id })).toMatchObject({ state: 'running' })
  })

  test('is made of a machine that nobody starts meanwhile', async () => {
    const host = await testHost()
    const id = await host.make('a', '', { newDiskBytes: 1024 * 1024 })
    const made = host.machines.duplicate({ id, name: 'b' })
    const { task } = await made
    const refused = await host.machines.start({ id }).then(
      () => null,
      (error: { code: string }) => error.code,
    )
    const ended = await host.tasks.wait({ id: task })
    expect(ended.state).toBe('done')
    // Either it came before the end and was refused, or after it and was served.
    expect(['busy', null]).toContain(refused)
    await expect(host.machines.duplicate({ id, name: 'b' })).rejects.toMatchObject({
      code: refused === null ? 'wrong-state' : 'already-exists',
    })
  })
})

describe('a folder copied by hand', () => {
  test('becomes a machine of its own by a new name; the original is untouched', async () => {
    const host = await testHost()
    const id = await host.make('a', 'coppice.hostname=a')
    await host.machines.start({ id })
    await host.done(host.machines.suspend({ id }))
    const original = await host.machines.get({ id })
    const before = await readFile(join(original.bundle, 'machine.json'), 'utf8')
    await cp(original.bundle, join(host.library, 'a copy.coppice'), { recursive: true })
    const copied = await new Promise<string>((resolve) => {
      host.machines.changed((change) => void (change.kind === 'put' && change.machine.name === 'a copy' && resolve(change.machine.id)))
    })
    expect(await host.machines.get({ id: copied })).toMatchObject({ state: 'broken', problem: { code: 'already-exists' }, config: null })
    await expect(host.machines.start({ id: copied })).rejects.toMatchObject({ code: 'already-exists' })
    const own = await host.machines.update({ id: copied, patch: { name: 'b' } })
    expect(own).toMatchObject({ name: 'b', state: 'off', problem: null, bundle: join(host.library, 'b.coppice') })
    expect(own.id).not.toBe(id)
    expect(await host.machines.start({ id: own.id })).toMatchObject({ state: 'running' })
    expect(await host.machines.get({ id })).toMatchObject({ state: 'suspended' })
    expect(await readFile(join(original.bundle, 'machine.json'), 'utf8')).toBe(before)
  })
})

describe('the trash', () => {
  test('takes a machine, suspended or broken too, and gives it back as it was', async () => {
    const host = await testHost()
    const id = await host.make('a')
    await host.machines.start({ id })
    await host.machines.type({ id, text: 'set kept\n' })
    await host.done(host.machines.suspend({ id }))
    const { trashedTo } = await host.machines.trash({ id })
    expect(await host.machines.list({})).toEqual([])
    expect(trashedTo).toContain(join('Trash', 'files', 'a.coppice'))
    await expect(host.machines.get({ id })).rejects.toMatchObject({ code: 'not-found' })
    await host.make('a')
    const back = await host.machines.restore({ trashedTo })
    expect(back).toMatchObject({ id, state: 'suspended', bundle: join(host.library, 'a 2.coppice') })
    await host.machines.resume({ id })
    const console = await attach(host, id)
    await console.type('get')
    await console.until('=kept=')
    await expect(host.machines.restore({ trashedTo })).rejects.toMatchObject({ code: 'not-found' })

    await mkdir(join(host.library, 'broken.coppice'))
    await writeFile(join(host.library, 'broken.coppice/machine.json'), '{')
    const broken = await new Promise<string>((resolve) => {
      host.machines.changed((change) => void (change.kind === 'put' && change.machine.name === 'broken' && resolve(change.machine.id)))
    })
    await host.machines.trash({ id: broken })
    expect(await readdir(host.library)).not.toContain('broken.coppice')
  })

  test('of the library takes it where the desktop has none on that disk', async () => {
    vi.stubEnv('XDG_DATA_HOME', await put(join(await tempFolder(), 'file'), ''))
    const host = await testHost()
    const id = await host.make('a')
    const { trashedTo } = await host.machines.trash({ id })
    expect(trashedTo).toBe(join(host.library, '.trash/files/a.coppice'))
    expect(await host.machines.restore({ trashedTo })).toMatchObject({ id, bundle: join(host.library, 'a.coppice') })
  })

  test('does not get what another host runs', async () => {
    const host = await testHost()
    const id = await host.make('a')
    const elsewhere = await testHost()
    const { bundle } = await host.machines.get({ id })
    expect(await elsewhere.machines.open({ bundle: join(bundle, 'machine.json') })).toMatchObject({ id, inLibrary: false })
    await elsewhere.machines.start({ id })
    await expect(host.machines.trash({ id })).rejects.toMatchObject({ code: 'busy' })
    await expect(host.machines.start({ id })).rejects.toMatchObject({
      code: 'busy',
      message: expect.stringContaining('in use by another Coppice') as string,
    })
    await elsewhere.machines.powerOff({ id })
    await host.machines.start({ id })
    await expect(elsewhere.machines.forget({ id })).resolves.toBeUndefined()
    await expect(host.machines.forget({ id })).rejects.toMatchObject({ code: 'wrong-state' })
  })
})

test('a bundle from elsewhere cannot direct the engine’s writing to other files', async () => {
  const host = await testHost()
  const id = await host.make('a')
  const { bundle } = await host.machines.get({ id })
  const precious = await put(join(await tempFolder(), '.bashrc'), 'precious')
  await mkdir(join(bundle, 'logs'))
  await symlink(precious, join(bundle, 'logs/serial0.log'))
  await expect(host.machines.start({ id })).rejects.toMatchObject({ code: 'denied' })
  await expect(host.machines.console({ id, port: 0, from: null })).rejects.toMatchObject({ code: 'denied' })
  expect(await readFile(precious, 'utf8')).toBe('precious')
})
