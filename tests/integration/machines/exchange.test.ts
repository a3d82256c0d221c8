/** Machines from elsewhere and for elsewhere: round trips, packages of other products, and hostile ones. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { copyFile, link, mkdir, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { exchange, networks, snapshots } from '../../../src-shared/api/index.ts'
import { MiB } from '../../../src-shared/base/units.ts'
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { qemuImg, qemuIo, WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { readBytes } from '../../support/read-bytes.ts'
import { seeded } from '../../support/seeded.ts'
import { fillDisk, smallDisk } from '../../support/small-disk.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { makeVdi } from '../../support/vdi-chain.ts'
import { writeTar, type TarFile } from '../../support/write-tar.ts'
import { UTM_4, VIRTUALBOX_7_VBOX, WORKSTATION_17_VMX } from '../../unit/host/exchange/fixtures/folders.ts'
import { askGuest } from './support/ask-guest.ts'
import { testHost, type TestHost } from './support/test-host.ts'

const service = (host: TestHost) => host.rpc.service(exchange)
const imported = (host: TestHost, path: string, more = {}) => host.done(service(host).import({ path, ...more }))
const exported = (host: TestHost, id: string, path: string, more = {}) =>
  host.done(service(host).export({ id, path, format: path.endsWith('.ova') ? 'ova' : 'coppice', ...more }))

async function configOf(host: TestHost, id: string): Promise<{ bundle: string; config: MachineConfig }> {
  const { bundle, config } = await host.machines.get({ id })
  return { bundle, config: config! }
}

async function write(host: TestHost, id: string, value: number, at = 0): Promise<void> {
  const { bundle, config } = await configOf(host, id)
  const { path, format } = config.drives[at]!
  const image = await openImage({ path: join(bundle, path!), format, readOnly: false, folders: [join(bundle, 'disks')] })
  await image.write(MiB, new Uint8Array(MiB).fill(value))
  await image.close()
}

async function content(host: TestHost, id: string, at = 0): Promise<number> {
  const { bundle, config } = await configOf(host, id)
  const { path, format } = config.drives[at]!
  const image = await openImage({ path: join(bundle, path!), format, readOnly: true, folders: [join(bundle, 'disks')] })
  const bytes = await readBytes(image, MiB, MiB)
  await image.close()
  expect(new Set(bytes).size).toBe(1)
  return bytes[0]!
}

/** What the library's folder has, but for machines that are whole. */
async function rest(host: TestHost): Promise<string[]> {
  return (await readdir(host.library)).filter((name) => !name.endsWith('.coppice') && name !== 'settings.json').sort()
}

const ended = (host: TestHost, started: Promise<{ task: string }>) => started.then(({ task }) => host.tasks.wait({ id: task }))

async function withDisk(host: TestHost, name = 'web 1'): Promise<string> {
  const id = await host.make(name, '', { newDiskBytes: 4 * MiB, serialPorts: 2 })
  await write(host, id, 7)
  return id
}

describe('an OVA', () => {
  test('is what other programs read, and comes back as the same machine', async () => {
    const host = await testHost()
    const folder = await tempFolder()
    const id = await withDisk(host)
    const ova = join(folder, 'My machine.ova')
    const offer = await service(host).considerExport({ id, format: 'ova' })
    expect(offer).toMatchObject({ file: 'web-1.ova', refused: null })
    expect(offer.remarks).toContainEqual(expect.stringContaining('direct kernel boot'))
    const { result } = await exported(host, id, ova)
    expect(result).toEqual({ bytes: (await stat(ova)).size, remarks: offer.remarks })
    await promisify(execFile)('tar', ['xf', ova, '-C', folder])
    expect((await readdir(folder)).sort()).toEqual(['My machine.ova', 'My-machine-disk1.vmdk', 'My-machine.mf', 'My-machine.ovf'])
    const [ovf, vmdk] = await Promise.all(['My-machine.ovf', 'My-machine-disk1.vmdk'].map((name) => readFile(join(folder, name))))
    const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')
    expect(await readFile(join(folder, 'My-machine.mf'), 'utf8')).toBe(
      `SHA256(My-machine.ovf)= ${digest(ovf!)}\nSHA256(My-machine-disk1.vmdk)= ${digest(vmdk!)}\n`,
    )
    expect(ovf!.toString()).toContain(`ovf:size="${vmdk!.length}"`)
    const { bundle, config } = await configOf(host, id)
    if (!WITHOUT_QEMU_IMG) {
      await qemuImg('compare', '-q', join(folder, 'My-machine-disk1.vmdk'), join(bundle, config.drives[0]!.path!))
      expect(JSON.parse(await qemuImg('info', '--output=json', join(folder, 'My-machine-disk1.vmdk')))).toMatchObject({
        'virtual-size': 4 * MiB,
        'format-specific': { data: { 'create-type': 'streamOptimized' } },
      })
    }
    expect(await service(host).inspect({ path: ova })).toMatchObject({
      kind: 'ova',
      machines: [
        {
          name: 'web 1 2',
          drives: [{ kind: 'disk', file: 'My-machine-disk1.vmdk', format: 'vmdk', size: 4 * MiB }],
          snapshots: 0,
          licences: [],
          refused: null,
        },
      ],
    })
    const again = await imported(host, ova, { name: 'again' })
    expect(await content(host, again.result!.id!)).toBe(7)
    const other = await configOf(host, again.result!.id!)
    expect(other.config).toMatchObject({ name: 'again', memoryMiB: config.memoryMiB, arch: config.arch, drives: [{ format: 'qcow2' }] })
    // Its network card is in use here.
    expect(other.config.nics[0]!.mac).not.toBe(config.nics[0]!.mac)
    expect(again.result!.remarks).toContainEqual(expect.stringContaining('gets a new MAC address'))
    expect(await rest(host)).toEqual([])
    // The unpacked folder is the same package.
    const unpacked = await imported(host, join(folder, 'My-machine.ovf'))
    expect(await content(host, unpacked.result!.id!)).toBe(7)
    expect((await host.machines.get({ id: unpacked.result!.id! })).name).toBe('web 1 2')
  })

  test('has the names of its networks: where they are here it is plugged in there, else into the default one', async () => {
    const host = await testHost()
    await host.rpc.service(networks).create({ name: 'lab', kind: 'segment' })
    const ova = join(await tempFolder(), 'a.ova')
    const id = await host.make('a', '', { newDiskBytes: MiB, networks: ['lab'] })
    await exported(host, id, ova)
    const plugged = async (made: { result: { id?: string; remarks?: string[] } | null }) => ({
      networks: (await configOf(host, made.result!.id!)).config.nics.map(({ network }) => network),
      remarks: made.result!.remarks!.filter((remark) => remark.includes('plugged')),
    })
    const same = 'Its network cards are plugged into this library’s networks of the same names: lab.'
    const gone = 'There is no network of these names here: lab. Network cards that were in one are plugged into “default”.'
    expect(await plugged(await imported(host, ova))).toEqual({ networks: ['lab'], remarks: [same] })
    await host.rpc.service(networks).remove({ name: 'lab', unplug: true })
    expect(await plugged(await imported(host, ova))).toEqual({ networks: ['default'], remarks: [gone] })
  })

  test('has the machine as it is now or as it was at a snapshot, also while it runs', async () => {
    const host = await testHost()
    const folder = await tempFolder()
    const id = await withDisk(host)
    const take = async (label: string): Promise<string> =>
      (await host.done(host.rpc.service(snapshots).take({ machine: id, label }))).result!.id!
    const first = await take('first')
    await write(host, id, 8)
    await take('second')
    await write(host, id, 9)
    const now = await exported(host, id, join(folder, 'now.ova'))
    expect(now.result!.remarks![0]).toBe('It is exported as it is now. Its snapshots (2) are left out.')
    await host.machines.start({ id })
    const refused = '“web 1” is running. Shut it down, or export one of its snapshots.'
    await expect(service(host).considerExport({ id, format: 'ova' })).resolves.toMatchObject({ refused })
    await expect(service(host).export({ id, format: 'ova', path: join(folder, 'x.ova') })).rejects.toMatchObject({
      code: 'wrong-state',
      message: refused,
    })
    await expect(service(host).export({ id, format: 'coppice', path: join(folder, 'x.coppice') })).rejects.toMatchObject({
      code: 'wrong-state',
    })
    const then = await exported(host, id, join(folder, 'then.ova'), { snapshot: first })
    expect(then.result!.remarks![0]).toBe('It is exported as it was at “first”. Its other snapshots (1) are left out.')
    expect((await host.machines.get({ id })).state).toBe('running')
    for (const [file, value] of [
      ['now', 9],
      ['then', 7],
    ] as const)
      expect(await content(host, (await imported(host, join(folder, `${file}.ova`))).result!.id!), file).toBe(value)
    await host.machines.powerOff({ id })
  })

  test('that is there stays where the new one fails, and gives way only where that is said', async (context) => {
    const host = await testHost()
    const id = await withDisk(host)
    const { bundle, config } = await configOf(host, id)
    const noise = await openImage({ path: join(bundle, config.drives[0]!.path!), format: 'qcow2', readOnly: false })
    await noise.write(0, crypto.getRandomValues(new Uint8Array(65536)))
    await noise.close()
    for (const format of ['ova', 'coppice']) {
      const folder = await smallDisk(context, 8)
      const path = join(folder, `a.${format}`)
      await writeFile(path, 'old')
      await expect(exported(host, id, path)).rejects.toMatchObject({ code: 'already-exists' })
      const free = await fillDisk(folder)
      await expect(exported(host, id, path, { replace: true })).rejects.toMatchObject({ code: 'no-space' })
      expect(await readFile(path, 'utf8')).toBe('old')
      expect((await readdir(folder)).filter((name) => name !== '.filler' && name !== 'lost+found')).toEqual([`a.${format}`])
      await free()
      await exported(host, id, path, { replace: true })
      expect(await service(host).inspect({ path })).toMatchObject({ kind: format, machines: [{ refused: null }] })
    }
    expect((await host.machines.get({ id })).task).toBe(null)
  })
})

test('a disk that a running machine has is neither imported nor exported', async () => {
  const host = await testHost()
  const id = await withDisk(host)
  const { bundle, config } = await configOf(host, id)
  const disk = join(bundle, config.drives[0]!.path!)
  const other = await host.make('other')
  const drives = [{ ...config.drives[0]!, path: disk }]
  await host.machines.update({ id: other, patch: { drives } })
  await host.machines.start({ id })
  const message = /in use by the machine “web 1”, which is running/
  const { machines } = await service(host)
    .inspect({ path: disk })
    .catch((error: Error) => ({ machines: [{ refused: error.message }] }))
  expect(machines[0]!.refused).toMatch(/in use/)
  await expect(imported(host, disk)).rejects.toThrow(/in use/)
  await expect(exported(host, other, join(await tempFolder(), 'a.ova'))).rejects.toThrow(message)
  await host.machines.powerOff({ id })
  expect(await content(host, (await imported(host, disk)).result!.id!)).toBe(7)
})

describe('an archive of ours', () => {
  /** Suspended at a third state, with two snapshots before. */
  async function suspended() {
    const host = await testHost()
    const id = await host.make('web-1', '', { newDiskBytes: MiB })
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
    const put = async (mind: string, block: number): Promise<void> => {
      await host.machines.type({ id, text: `set ${mind}\nwrite ${block}\n` })
      expect(await askGuest(host, id)).toBe(`${mind} ${block}`)
    }
    const take = async (label: string): Promise<string> =>
      (await host.done(host.rpc.service(snapshots).take({ machine: id, label }))).result!.id!
    await put('first', 1)
    const first = await take('first')
    await put('second', 2)
    await take('second')
    await put('third', 3)
    await host.done(host.machines.suspend({ id }))
    const path = join(await tempFolder(), 'web-1.coppice')
    await exported(host, id, path)
    return { host, id, path, first }
  }

  test('goes on elsewhere where the machine was, with its snapshots', async () => {
    const { id, path, first } = await suspended()
    const there = await testHost()
    const { machines } = await service(there).inspect({ path })
    expect(machines).toMatchObject([{ name: 'web-1', snapshots: 2, refused: null }])
    expect(machines[0]!.remarks).toEqual([expect.stringContaining('goes on with the memory that is in the archive')])
    const made = await imported(there, path)
    expect(made.result!.id).toBe(id)
    expect(await there.machines.get({ id })).toMatchObject({ state: 'suspended', name: 'web-1' })
    await there.machines.resume({ id })
    expect(await askGuest(there, id)).toBe('third 3')
    expect(await there.rpc.service(snapshots).tree({ machine: id })).toMatchObject({
      snapshots: [
        { label: 'first', running: true },
        { label: 'second', running: true },
      ],
    })
    await there.done(there.rpc.service(snapshots).restore({ machine: id, snapshot: first, keep: null }))
    expect(await askGuest(there, id)).toBe('first 1')
    await there.machines.powerOff({ id })
  })

  test('becomes another machine where this one is in the library already', async () => {
    const { host, id, path, first } = await suspended()
    const made = (await imported(host, path, { name: 'copy' })).result!
    expect(made.id).not.toBe(id)
    expect(made.remarks).toEqual([
      expect.stringContaining('is in the library already'),
      'What it was doing when it was suspended is left out: it starts afresh.',
      'What the machine was doing is left out of snapshots (2): they keep its disks.',
    ])
    const [mine, theirs] = [await configOf(host, made.id!), await configOf(host, id)]
    expect(await host.machines.get({ id: made.id! })).toMatchObject({ state: 'off', name: 'copy' })
    expect(mine.config.nics[0]!.mac).not.toBe(theirs.config.nics[0]!.mac)
    expect(mine.config.point).toEqual(theirs.config.point)
    await host.done(host.rpc.service(snapshots).restore({ machine: made.id!, snapshot: first, keep: null }))
    await host.machines.start({ id: made.id! })
    expect(await askGuest(host, made.id!)).toBe(' 1')
    expect((await configOf(host, made.id!)).config.nics).toEqual(mine.config.nics)
    await host.machines.powerOff({ id: made.id! })
  })

  test('brings nothing of this computer along', async () => {
    const host = await testHost()
    const folder = await tempFolder()
    const id = await withDisk(host)
    await host.machines.update({ id, patch: { sharedFolders: [{ tag: 'all', path: folder, readOnly: false }] } })
    const { config } = await configOf(host, id)
    const cd = join(folder, 'cd.iso')
    await writeFile(cd, new Uint8Array(64 * 1024))
    await host.machines.update({
      id,
      patch: { drives: [...config.drives, { ...config.drives[0]!, id: 'cd', kind: 'cdrom', path: cd, format: 'raw' }] },
    })
    const path = join(folder, 'a.coppice')
    expect((await exported(host, id, path)).result!.remarks).toEqual([
      expect.stringContaining('lies outside of the machine’s folder'),
      expect.stringContaining('Shared folders'),
    ])
    const there = await testHost()
    const made = (await imported(there, path)).result!
    expect((await configOf(there, made.id!)).config).toMatchObject({
      sharedFolders: [],
      drives: [{ kind: 'disk' }, { kind: 'cdrom', path: null }],
    })
    expect(made.remarks).toEqual([expect.stringContaining('the drive is empty'), expect.stringContaining('Shared folders')])
    expect(await content(there, made.id!)).toBe(7)
  })

  test('is refused where it is not what it says', async () => {
    const host = await testHost()
    const folder = await tempFolder()
    const id = await withDisk(host)
    const { bundle, config } = await configOf(host, id)
    const path = join(folder, 'bad.coppice')
    const disk = await readFile(join(bundle, config.drives[0]!.path!))
    const kernel = await readFile(join(bundle, 'boot/kernel'))
    const good: TarFile[] = [
      { name: 'a.coppice/machine.json', data: JSON.stringify(config) },
      { name: 'a.coppice/boot/kernel', data: kernel },
      { name: 'a.coppice/disks/disk0.qcow2', data: disk },
    ]
    await writeTar(path, good)
    expect(await service(host).inspect({ path })).toMatchObject({ machines: [{ refused: null }] })
    const bad: [TarFile[], RegExp][] = [
      [[...good, { name: '../evil', data: 'x' }], /leads out/],
      [[...good, { name: '/etc/evil', data: 'x' }], /leads out/],
      [[...good, { name: 'a.coppice/../../evil', data: 'x' }], /leads out/],
      [[...good, { name: 'elsewhere/disks/x', data: 'x' }], /no bundle has/],
      [[...good, { name: 'a.coppice/lock', data: 'x' }], /no bundle has/],
      [[...good, { name: 'a.coppice/vnc-password', data: 'x' }], /no bundle has/],
      [[...good, { name: 'a.coppice/disks/.disk0.qcow2.coppice-merged', data: 'x' }], /no bundle has/],
      [[...good, { name: 'a.coppice/disks/link', data: '', flag: '2' }], /a link or a device/],
      [[...good, { name: 'a.coppice/disks/link', data: '', flag: '1' }], /a link or a device/],
      [[...good, { name: 'a.coppice/disks/pipe', data: '', flag: '6' }], /a link or a device/],
      [[...good, good[2]!], /two files of one name/],
      [[...good, { name: 'a.coppice/disks/huge', data: 'x', size: 2 ** 50 }], /ends too early/],
      [[...good.slice(0, 2), { name: 'a.coppice/disks/other', data: disk }], /is not in the archive/],
      [[{ name: 'a.coppice/machine.json', data: '{' }, ...good.slice(1)], /not valid JSON/],
      [[{ name: 'a.coppice/machine.json', data: '{}' }, ...good.slice(1)], /machine.json is not valid/],
      [[...good, { name: 'a.coppice/snapshots/x/snapshot.json', data: '{}' }], /a snapshot that is not valid/],
      [good.slice(1), /no archive of a machine/],
      [[], /no archive of a machine/],
    ]
    for (const [files, reason] of bad) {
      await writeTar(path, files)
      await expect(imported(host, path), String(reason)).rejects.toThrow(reason)
    }
    // A disk that is none, and one that reaches for a file of this computer.
    await writeTar(path, [...good.slice(0, 2), { name: 'a.coppice/disks/disk0.qcow2', data: new Uint8Array(70_000) }])
    await expect(imported(host, path)).rejects.toThrow(/disk0/)
    if (!WITHOUT_QEMU_IMG) {
      await writeFile(join(folder, 'secret'), new Uint8Array(512))
      await qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', join(folder, 'secret'), join(folder, 'over.qcow2'))
      await writeTar(path, [...good.slice(0, 2), { name: 'a.coppice/disks/disk0.qcow2', data: await readFile(join(folder, 'over.qcow2')) }])
      await expect(imported(host, path)).rejects.toThrow(/outside of the folders/)
    }
    await writeTar(path, good)
    await truncate(path, 100_000)
    await expect(imported(host, path)).rejects.toMatchObject({ code: 'corrupt' })
    await writeFile(path, 'no archive')
    await expect(imported(host, path)).rejects.toMatchObject({ code: 'corrupt' })
    expect(await host.machines.list({})).toHaveLength(1)
    expect(await rest(host)).toEqual([])
  })
})

describe('a package of OVF', () => {
  async function package_(host: TestHost) {
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    await exported(host, await withDisk(host), path('a.ova'))
    await promisify(execFile)('tar', ['xf', path('a.ova'), '-C', folder])
    const ovf = await readFile(path('a.ovf'), 'utf8')
    return { folder, path, ovf }
  }

  test('is checked against its manifest, and nothing is made of what does not fit', async () => {
    const host = await testHost()
    const { path, ovf } = await package_(host)
    const disk = await readFile(path('a-disk1.vmdk'))
    disk[disk.length - 600]! ^= 1
    await writeFile(path('a-disk1.vmdk'), disk)
    await expect(imported(host, path('a.ovf'))).rejects.toMatchObject({
      code: 'corrupt',
      message: expect.stringContaining('manifest') as string,
    })
    const manifest = await readFile(path('a.mf'), 'utf8')
    await writeFile(path('a.ovf'), ovf.replaceAll('web 1', 'web 3'))
    await expect(service(host).inspect({ path: path('a.ovf') })).rejects.toMatchObject({ code: 'corrupt' })
    await writeFile(path('a.mf'), `${manifest}SHA256(../x)= ${'0'.repeat(64)}\n`)
    await expect(service(host).inspect({ path: path('a.ovf') })).rejects.toMatchObject({ code: 'corrupt' })
    await rm(path('a.mf'))
    const { machines } = await service(host).inspect({ path: path('a.ovf') })
    expect(machines[0]).toMatchObject({ name: 'web 3', refused: null })
    expect(machines[0]!.remarks).toContainEqual(expect.stringContaining('has no manifest'))
    await rm(path('a-disk1.vmdk'))
    expect(await service(host).inspect({ path: path('a.ovf') })).toMatchObject({
      machines: [{ refused: expect.stringContaining('“a-disk1.vmdk”, which a disk needs, does not lie where a.ovf says') as string }],
    })
    await writeFile(path('a-disk1.vmdk'), new Uint8Array(65536))
    expect(await service(host).inspect({ path: path('a.ovf') })).toMatchObject({
      machines: [{ refused: expect.stringContaining('should be an image of the format vmdk') as string }],
    })
    await rm(path('a-disk1.vmdk'))
    await writeFile(path('elsewhere'), disk)
    await mkdir(path('sub'))
    await rename(path('a.ovf'), path('sub/a.ovf'))
    await symlink(path('elsewhere'), path('sub/a-disk1.vmdk'))
    expect(await service(host).inspect({ path: path('sub/a.ovf') })).toMatchObject({
      machines: [{ refused: expect.stringContaining('is a link that leads out') as string }],
    })
    expect(await rest(host)).toEqual([])
    expect(await host.machines.list({})).toHaveLength(1)
  })

  test('shows its licence, which has to be accepted', async () => {
    const host = await testHost()
    const { path, ovf } = await package_(host)
    await rm(path('a.mf'))
    const eula = '<EulaSection><Info>Licence</Info><License>Be kind.</License></EulaSection>'
    await writeFile(path('a.ovf'), ovf.replace('<OperatingSystemSection', `${eula}<OperatingSystemSection`))
    expect(await service(host).inspect({ path: path('a.ovf') })).toMatchObject({ machines: [{ licences: ['Be kind.'] }] })
    await expect(service(host).import({ path: path('a.ovf') })).rejects.toMatchObject({
      code: 'invalid-input',
      details: { fields: [{ path: 'licencesAccepted' }] },
    })
    await imported(host, path('a.ovf'), { licencesAccepted: true })
  })

  test('as a hostile archive is refused before anything is made', async () => {
    const host = await testHost()
    const { path, ovf } = await package_(host)
    const vmdk = await readFile(path('a-disk1.vmdk'))
    const good: TarFile[] = [
      { name: 'a.ovf', data: ovf },
      { name: 'a-disk1.vmdk', data: vmdk },
    ]
    const bad: [TarFile[], RegExp][] = [
      [[...good, { name: '../../x', data: 'x' }], /leads out/],
      [[...good, { name: 'C:\\x', data: 'x' }], /leads out/],
      [[good[0]!, { name: 'a-disk1.vmdk', data: '', flag: '2' }], /a link or a device/],
      [[...good, good[1]!], /two files of one name/],
      [[...good, { name: './a-disk1.vmdk', data: vmdk }], /two files of one name/],
      [[good[0]!, { name: 'a-disk1.vmdk', data: vmdk.subarray(0, 1000), size: 2 ** 45 }], /ends too early/],
      [[good[0]!], /is not in/],
      [[good[1]!], /no OVF descriptor/],
      [[...good, { name: 'b.ovf', data: ovf }], /several OVF descriptors/],
      [[{ name: 'a.ovf', data: ovf.replaceAll('a-disk1.vmdk', '/etc/passwd') }, good[1]!], /web/],
      [[{ name: 'a.ovf', data: `<!DOCTYPE x [<!ENTITY a "b">]>${ovf}` }, good[1]!], /./],
    ]
    for (const [files, reason] of bad) {
      await writeTar(path('bad.ova'), files)
      const made = await imported(host, path('bad.ova')).catch((error: Error) => error)
      // A reference that leads out is not followed: the machine has no such disk.
      if (made instanceof Error) expect(made.message).toMatch(reason)
      else expect(made.result!.remarks).toContainEqual(expect.stringContaining('outside of the package'))
    }
    expect(await rest(host)).toEqual([])
  })

  test('is as if it had never been when its import is cancelled, or the disk is full', async (context) => {
    const folder = await smallDisk(context, 24)
    const library = join(folder, 'library')
    const host = await testHost({ library })
    const outside = await tempFolder()
    const source = await testHost()
    const id = await source.make('big', '', { newDiskBytes: 64 * MiB })
    const { bundle, config } = await configOf(source, id)
    const image = await openImage({ path: join(bundle, config.drives[0]!.path!), format: 'qcow2', readOnly: false })
    for (let at = 0; at < 40 * MiB; at += 65536) await image.write(at, crypto.getRandomValues(new Uint8Array(65536)))
    await image.close()
    for (const file of ['a.ova', 'a.coppice']) {
      const path = join(outside, file)
      await exported(source, id, path)
      await expect(imported(host, path)).rejects.toMatchObject({ code: 'no-space' })
      expect(await rest(host)).toEqual([])
      const { task } = await service(source).import({ path, name: 'cancelled' })
      await source.tasks.cancel({ id: task })
      expect(await ended(source, Promise.resolve({ task }))).toMatchObject({ state: 'cancelled' })
      expect(await rest(source)).toEqual([])
    }
    expect(await host.machines.list({})).toEqual([])
    // The name is free again.
    expect((await imported(source, join(outside, 'a.ova'), { name: 'cancelled' })).state).toBe('done')
    await host.host.close()
  })
})

test.each(['ova', 'coppice'])(
  'an archive (%s) with any damage is refused in a sentence, or makes a machine that is whole',
  async (format) => {
    const host = await testHost()
    const folder = await tempFolder()
    const id = await withDisk(host)
    await host.done(host.rpc.service(snapshots).take({ machine: id, label: 'first' }))
    const path = join(folder, `a.${format}`)
    await exported(host, id, path)
    const good = await readFile(path)
    const random = seeded(20_261_121)
    const refusals = ['corrupt', 'unsupported', 'newer-version', 'invalid-input', 'not-found', 'denied', 'already-exists']
    for (let round = 0; round < 40; round++) {
      const bytes = Buffer.from(good)
      // Headers and texts come first; digits and names are hit more often than what is between.
      for (let count = 1 + random(4); count > 0; count--) bytes[random(round % 2 === 0 ? 6000 : bytes.length)] = random(256)
      await writeFile(path, bytes.subarray(0, round % 5 === 0 ? random(bytes.length) : bytes.length))
      const made = await imported(host, path, { licencesAccepted: true }).catch((error: Error & { code?: string }) => error)
      if (made instanceof Error) expect(refusals, made.message).toContain((made as Error & { code?: string }).code)
      else expect(await host.machines.get({ id: made.result!.id! })).toMatchObject({ state: 'off', problem: null })
    }
    expect(await rest(host)).toEqual([])
  },
)

describe.skipIf(WITHOUT_QEMU_IMG)('a machine of another product', () => {
  test('VMware’s, with a disk on a snapshot and one in parts', async () => {
    const host = await testHost()
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    await writeFile(path('Fedora.vmx'), WORKSTATION_17_VMX)
    await qemuImg('create', '-q', '-f', 'vmdk', path('Fedora.vmdk'), '8M')
    await qemuIo('vmdk', path('Fedora.vmdk'), 'write -P 1 0 4M')
    await qemuImg('create', '-q', '-f', 'vmdk', '-F', 'vmdk', '-b', 'Fedora.vmdk', path('Fedora-000002.vmdk'))
    await qemuIo('vmdk', path('Fedora-000002.vmdk'), 'write -P 2 1M 1M')
    await qemuImg('create', '-q', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentSparse', path('Data disk.vmdk'), '8M')
    await qemuIo('vmdk', path('Data disk.vmdk'), 'write -P 3 1M 1M')
    // The folder alone is enough.
    const { result } = await imported(host, folder)
    expect([await content(host, result!.id!), await content(host, result!.id!, 1)]).toEqual([2, 3])
    expect((await configOf(host, result!.id!)).config).toMatchObject({
      name: 'Fedora 40 -work-',
      memoryMiB: 4096,
      drives: [{ kind: 'disk', bus: 'nvme' }, { kind: 'disk' }, { kind: 'cdrom', path: null }],
    })
    await rm(path('Fedora.vmdk'))
    expect(await service(host).inspect({ path: path('Fedora.vmx') })).toMatchObject({
      machines: [{ refused: expect.stringContaining('Fedora.vmdk') as string }],
    })
  })

  test('VirtualBox’s, with a disk on two snapshots', async () => {
    const host = await testHost()
    const folder = await tempFolder()
    const path = (name: string): string => join(folder, name)
    await mkdir(path('Snapshots'))
    await writeFile(path('w.vbox'), VIRTUALBOX_7_VBOX)
    const base = await makeVdi(path('Windows 11.vdi'), 8 * MiB, null)
    await base.write(0, new Uint8Array(8 * MiB).fill(1))
    const one = await makeVdi(path('Snapshots/{d0000000-0000-4000-8000-000000000002}.vdi'), 8 * MiB, {
      path: path('Windows 11.vdi'),
      device: base,
    })
    await one.write(MiB, new Uint8Array(MiB).fill(2))
    const onePath = path('Snapshots/{d0000000-0000-4000-8000-000000000002}.vdi')
    const two = await makeVdi(path('Snapshots/{d0000000-0000-4000-8000-000000000003}.vdi'), 8 * MiB, { path: onePath, device: one })
    await two.write(3 * MiB, new Uint8Array(MiB).fill(4))
    await two.close()
    const { result } = await imported(host, path('w.vbox'))
    expect(await content(host, result!.id!)).toBe(2)
    expect(result!.remarks).toContain('Snapshots (2): only the current state is taken.')
    await rm(onePath)
    expect(await service(host).inspect({ path: path('w.vbox') })).toMatchObject({
      machines: [{ refused: expect.stringContaining('does not lie where w.vbox says') as string }],
    })
  })

  test('UTM’s, and a bare disk', async () => {
    const host = await testHost()
    const folder = await tempFolder()
    const utm = join(folder, 'Debian.utm')
    await mkdir(join(utm, 'Data'), { recursive: true })
    await writeFile(join(utm, 'config.plist'), UTM_4)
    const disk = join(utm, 'Data/5A1F8E0E-2F0C-4D55-9C3E-0F1D2C3B4A59.qcow2')
    await qemuImg('create', '-q', '-f', 'qcow2', disk, '8M')
    await qemuIo('qcow2', disk, 'write -P 6 1M 1M')
    const { result } = await imported(host, utm)
    expect(await content(host, result!.id!)).toBe(6)
    expect((await configOf(host, result!.id!)).config).toMatchObject({ name: 'Debian on Arm', arch: 'aarch64' })
    // This host has no engine but its own.
    expect(await service(host).inspect({ path: utm })).toMatchObject({
      machines: [{ refused: null, problems: expect.arrayContaining([expect.stringContaining('aarch64')]) as string[] }],
    })
    await copyFile(disk, join(folder, 'cloud image.qcow2'))
    const bare = await imported(host, join(folder, 'cloud image.qcow2'))
    expect(await content(host, bare.result!.id!)).toBe(6)
    expect((await host.machines.get({ id: bare.result!.id! })).name).toBe('cloud image')
    await link(disk, join(folder, 'bad.vmdk'))
    await writeFile(join(folder, 'x.iso'), 'x')
    for (const [name, reason] of [
      ['x.iso', /is a CD image/],
      ['nothing', /nothing/],
      ['.', /has no machine/],
    ] as const)
      await expect(service(host).inspect({ path: join(folder, name) })).rejects.toThrow(reason)
    const { bundle } = await configOf(host, bare.result!.id!)
    await expect(service(host).inspect({ path: bundle })).rejects.toThrow(/Open it instead/)
    await expect(service(host).inspect({ path: 'relative.ova' })).rejects.toMatchObject({ code: 'invalid-input' })
  })
})
