/** Hardware of Coppice Linux changes while it runs: what the guest sees of it, on both engines. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cacheFolder, resourcesFolder } from '../../src-main/app/paths.ts'
import type { MachineView } from '../../src-shared/api/machines.ts'
import { changedSpec, type LiveChange } from '../../src-shared/model/live-change.ts'
import type { MachinePatch } from '../../src-shared/model/machine.ts'
import type { MachineSpec } from '../../src-shared/model/machine-spec.ts'
import { fakeIso } from '../integration/machines/support/fake-files.ts'
import { testHost } from '../integration/machines/support/test-host.ts'
import { QEMU_PROGRAM, QEMU_VERSION } from '../support/qemu-program.ts'
import { qemuSpec } from '../support/qemu-spec.ts'
import { specDrive } from '../support/spec-drive.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { guestFiles, type GuestFiles } from './support/appliance.ts'
import { collect } from './support/exec.ts'
import { Guest } from './support/guest.ts'
import { MemoryDisk } from './support/memory-disk.ts'

const MiB = 1024 * 1024
const SECTOR = 2048

let folder: string
const guests: Guest[] = []
const keep = (guest: Guest): Guest => {
  guests.push(guest)
  return guest
}

beforeEach(async () => {
  folder = await tempFolder()
})
afterEach(async () => {
  for (const guest of guests.splice(0)) await guest.close()
})

/** A CD that says so in its last sector. */
function cd(text: string, sectors: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(fakeIso(sectors))
  bytes.set(new TextEncoder().encode(text), (sectors - 1) * SECTOR)
  return bytes
}
async function file(name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, bytes)
  return path
}
const change = (guest: Guest, change: LiveChange, block: MemoryDisk | null = null): Promise<void> =>
  guest.engine.change({ machine: guest.machine, change, block: block?.port ?? null }, { transfer: block ? [block.port] : [] })
/** Waits in the guest; prints nothing. */
const until = async (guest: Guest, condition: string): Promise<void> =>
  void (await guest.run(`until ${condition}; do sleep 0.1; done 2> /dev/null`))
const readCd = (guest: Guest, sectors: number): Promise<string> =>
  guest.run(`dd if=/dev/sr0 bs=${SECTOR} skip=${sectors - 1} count=1 2> /dev/null | head -c 9`)
const hasMedium = 'head -c 1 /dev/sr0 > /dev/null'
/** Linux's own: the tray opens when the drive is closed for the last time. The first read after a change of disks may fail. */
const EJECT =
  'head -c 1 /dev/sr0 > /dev/null; echo 1 > /proc/sys/dev/cdrom/autoeject; head -c 1 /dev/sr0 > /dev/null; echo 0 > /proc/sys/dev/cdrom/autoeject'

describe('the embedded engine', () => {
  let files: GuestFiles
  beforeAll(async () => {
    files = await guestFiles()
  })

  test('a CD is inserted, changed, ejected by the host and by the guest; the link goes up and down', async () => {
    const guest = keep(
      await Guest.boot(files, {
        spec: {
          drives: [specDrive('cd0', 'cdrom', { inserted: false, path: null })],
          nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01' }],
        },
      }),
    )
    await until(guest, '[ -b /dev/sr0 ]')
    expect(await guest.run(`${hasMedium} 2> /dev/null || echo empty`)).toBe('empty')
    const insert = (path: string): LiveChange => ({ kind: 'insert', drive: 'cd0', path, readOnly: true })
    await change(guest, insert('/first.iso'), new MemoryDisk(cd('the first', 40), true))
    await until(guest, hasMedium)
    expect(await readCd(guest, 40)).toBe('the first')
    await change(guest, insert('/second.iso'), new MemoryDisk(cd('the other', 60), true))
    await until(guest, `${hasMedium} && [ "$(cat /sys/block/sr0/size)" = 240 ]`)
    expect(await readCd(guest, 60)).toBe('the other')
    await change(guest, { kind: 'eject', drive: 'cd0' })
    await until(guest, `! ${hasMedium}`)
    await change(guest, insert('/third.iso'), new MemoryDisk(cd('the third', 40), true))
    await until(guest, hasMedium)
    const before = guest.events.length
    await guest.run(EJECT)
    const event = await guest.event(({ kind }) => kind === 'hardware', before)
    expect(event).toMatchObject({ spec: { drives: [{ id: 'cd0', inserted: false, path: null }] } })

    const carrier = 'cat /sys/class/net/eth0/carrier'
    await until(guest, '[ -e /sys/class/net/eth0/carrier ] && ip link set eth0 up')
    expect(await guest.run(carrier)).toBe('0')
    await change(guest, { kind: 'link', nic: 'nic0', up: true })
    await until(guest, `[ "$(${carrier})" = 1 ]`)
    await change(guest, { kind: 'link', nic: 'nic0', up: false })
    await until(guest, `[ "$(${carrier})" = 0 ]`)
  }, 300_000)
})

describe.skipIf(!QEMU_PROGRAM)('QEMU', () => {
  const onQemu = (arch: 'i386' | 'x86_64', spec: Partial<MachineSpec> = {}): Partial<MachineSpec> => ({
    ...{ engine: 'qemu', arch, cpus: 1, memoryMiB: 320, firmware: null },
    qemu: {
      ...qemuSpec().qemu!,
      ...{ binary: QEMU_PROGRAM!, version: QEMU_VERSION, maxCpus: 3, sandbox: process.platform === 'linux' },
    },
    ...spec,
  })
  /** Makes changes, and sees that the engine tells of each what the machine is then. */
  function changer(guest: Guest): { now(): MachineSpec; make(what: LiveChange): Promise<void>; follow(what: LiveChange): void } {
    let spec = guest.spec
    const follow = (what: LiveChange): void => void (spec = changedSpec(spec, what))
    const make = async (what: LiveChange): Promise<void> => {
      await change(guest, what)
      follow(what)
      const told = guest.events.findLast(({ kind }) => kind === 'hardware') as { spec: MachineSpec; leaving: string[] }
      expect(told.leaving).toEqual([])
      expect(ids(told.spec)).toEqual(ids(spec))
      spec = told.spec
    }
    return { now: () => spec, make, follow }
  }
  const ids = ({ drives, nics, ...rest }: MachineSpec): unknown => ({
    ...rest,
    drives: drives.map(({ place: _, ...drive }) => drive),
    nics: nics.map(({ place: _, ...nic }) => nic),
  })

  test('a CD is inserted, changed under a mounted file system, and ejected by the host and by the guest', async () => {
    const files = await guestFiles('x86_64')
    const first = await file('first.iso', cd('the first', 40))
    const second = await file('second.iso', cd('the other', 60))
    const guest = keep(
      await Guest.boot(files, { spec: onQemu('x86_64', { drives: [specDrive('cd0', 'cdrom', { inserted: false, path: null })] }) }),
    )
    const { make, now, follow } = changer(guest)
    await until(guest, '[ -b /dev/sr0 ]')
    const insert = (path: string): LiveChange => ({ kind: 'insert', drive: 'cd0', path, readOnly: true })
    await make(insert(first))
    await until(guest, hasMedium)
    expect(await readCd(guest, 40)).toBe('the first')
    // The guest locks the tray of a drive that it has open.
    await guest.run('exec 9< /dev/sr0')
    await make(insert(second))
    await guest.run('exec 9<&-')
    await until(guest, `${hasMedium} && [ "$(cat /sys/block/sr0/size)" = 240 ]`)
    expect(await readCd(guest, 60)).toBe('the other')
    await make({ kind: 'eject', drive: 'cd0' })
    await until(guest, `! ${hasMedium}`)
    await make(insert(first))
    await until(guest, hasMedium)
    const before = guest.events.length
    await guest.run(EJECT)
    follow({ kind: 'eject', drive: 'cd0' })
    expect(await guest.event(({ kind }) => kind === 'hardware', before)).toMatchObject({ spec: now() })
    await make(insert(second))
    await until(guest, hasMedium)
    expect(await readCd(guest, 60)).toBe('the other')
  })

  test('disks, network cards, link, memory, processors and pointer', async () => {
    const files = await guestFiles('x86_64')
    const built = await file('built.img', new Uint8Array(4 * MiB).fill(0x62))
    const added = await file('added.img', new Uint8Array(8 * MiB))
    const disk = (id: string, path: string): LiveChange => ({ kind: 'addDisk', drive: specDrive(id, 'disk', { path }) })
    const guest = keep(
      await Guest.boot(files, {
        spec: onQemu('x86_64', {
          drives: [specDrive('built', 'disk', { path: built })],
          nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01' }],
        }),
      }),
    )
    const { make } = changer(guest)
    /** Of the disk with this serial number; empty where there is none. */
    const nameOf = (id: string): Promise<string> =>
      guest.run(`for d in /sys/block/vd*; do [ "$(cat $d/serial)" = ${id} ] && basename $d; done 2> /dev/null`)
    await until(guest, '[ -b /dev/vda ]')

    await make(disk('added', added))
    await until(guest, '[ -b /dev/vdb ]')
    expect(await nameOf('added')).toBe('vdb')
    await guest.run('printf "written to it" > /dev/vdb; sync')
    expect((await readFile(added)).subarray(0, 13).toString()).toBe('written to it')
    await make({ kind: 'limits', drive: 'added', limits: { bytesPerSecond: MiB } })
    // Also one that was there from the start; its place and its file are free then.
    await make({ kind: 'removeDisk', drive: 'built' })
    expect(await nameOf('built')).toBe('')
    expect(await nameOf('added')).toBe('vdb')
    await make(disk('again', built))
    await until(guest, '[ -b /dev/vda ]')
    expect(await guest.run('head -c 3 /dev/vda')).toBe('bbb')
    await make({ kind: 'removeDisk', drive: 'added' })
    await make({ kind: 'removeDisk', drive: 'again' })
    expect(await guest.run('ls /sys/block | grep vd')).toBe('')

    const carrier = (nic: string): string => `cat /sys/class/net/${nic}/carrier`
    await make({ kind: 'addNic', nic: { id: 'nic1', model: 'virtio', mac: '52:54:00:00:00:02', linkUp: false } })
    await until(guest, '[ -e /sys/class/net/eth1 ] && ip link set eth1 up')
    expect(await guest.run('cat /sys/class/net/eth1/address')).toBe('52:54:00:00:00:02')
    expect(await guest.run(carrier('eth1'))).toBe('0')
    await make({ kind: 'link', nic: 'nic1', up: true })
    await until(guest, `[ "$(${carrier('eth1')})" = 1 ]`)
    // Nobody is at the other end.
    await guest.run('ip addr add 10.0.0.2/24 dev eth1; ping -c 1 -W 1 10.0.0.1')
    await make({ kind: 'link', nic: 'nic1', up: false })
    await until(guest, `[ "$(${carrier('eth1')})" = 0 ]`)
    await make({ kind: 'removeNic', nic: 'nic1' })
    expect(await guest.run('ls /sys/class/net')).not.toContain('eth1')
    await make({ kind: 'removeNic', nic: 'nic0' })

    // What the balloon holds is not free; the guest may take it back before it runs out of memory, so that it counts it as its own.
    const free = async (): Promise<number> => Number(await guest.run("awk '/MemFree/ { print $2 }' /proc/meminfo")) / 1024
    const whole = await free()
    await make({ kind: 'memory', memoryMiB: 256 })
    await expect.poll(free, { timeout: 30_000 }).toBeLessThan(whole - 50)
    await make({ kind: 'memory', memoryMiB: 320 })
    await expect.poll(free, { timeout: 30_000 }).toBeGreaterThan(whole - 20)

    expect(await guest.run('nproc')).toBe('1')
    await make({ kind: 'cpus', cpus: 3 })
    await until(guest, '[ "$(nproc)" = 3 ]')
    await make({ kind: 'pointer', pointer: 'mouse' })
    await make({ kind: 'pointer', pointer: 'tablet' })
  })

  test('what was changed is there after suspending, and at the next start', async () => {
    const host = await testHost({ doubles: {}, resources: resourcesFolder(), cacheFolder: cacheFolder() })
    const added = await file('added.img', new Uint8Array(8 * MiB))
    const made = await host.done(
      host.machines.create({ name: 'a', source: { kind: 'sample' }, engine: 'qemu', arch: 'x86_64', memoryMiB: 320 }),
    )
    const id = made.result!.id!
    const update = (patch: MachinePatch): Promise<MachineView> => host.machines.update({ id, patch })
    await host.machines.start({ id })
    await host.machines.waitBooted({ id })
    const run = async (...[path, ...args]: [string, ...string[]]): Promise<string> => {
      const command = { path, args, env: [], input: false, limitMs: null }
      return (await collect((await host.machines.exec({ id, command })).stream)).out.trim()
    }
    const shell = (command: string): Promise<string> => run('sh', '-c', command)
    await host.until(id, ({ agent }) => agent)

    const before = await host.machines.get({ id })
    const { nics } = before.config!
    const { max } = before.live!.cpus
    const changed = await update({
      drives: [{ id: 'data', kind: 'disk', path: added, format: 'raw', readOnly: false, limits: null }],
      nics: [...nics, { id: 'nic9', model: 'virtio', mac: '52:54:00:00:00:09', link: 'up', network: null }],
      cpus: max,
    })
    expect(changed.config).toMatchObject({ cpus: max, drives: [{ id: 'data' }], nics: [{ id: nics[0]!.id }, { id: 'nic9' }] })
    await update({ nics: changed.config!.nics.slice(1), memoryMiB: 256 })
    await shell('until [ -b /dev/vda ]; do sleep 0.1; done; echo kept > /dev/vda; sync')
    await shell(`until [ "$(nproc)" = ${max} ]; do sleep 0.1; done`)

    await host.done(host.machines.suspend({ id }))
    expect(await host.machines.resume({ id })).toMatchObject({ state: 'running', live: { memoryMiB: { max: 320 }, cpus: { min: max } } })
    await host.until(id, ({ agent }) => agent)
    expect(await shell('head -n 1 /dev/vda; nproc; cat /sys/class/net/eth1/address')).toBe(`kept\n${max}\n52:54:00:00:00:09`)
    // The guest still lets go of what it was given before.
    await update({ drives: [], memoryMiB: 320 })
    expect(await shell('ls /sys/block | grep vd')).toBe('')
    await update({ drives: [{ id: 'more', kind: 'disk', path: added, format: 'raw', readOnly: false, limits: null }] })
    await shell('until [ -b /dev/vd* ]; do sleep 0.1; done')
    expect(await shell('head -n 1 /dev/vd*')).toBe('kept')

    await host.machines.reset({ id })
    await host.machines.waitBooted({ id })
    await host.until(id, ({ agent }) => agent)
    await host.machines.powerOff({ id })
    await host.machines.start({ id })
    await host.until(id, ({ agent }) => agent)
    await shell('until [ -b /dev/vda ]; do sleep 0.1; done')
    expect(await shell('head -n 1 /dev/vda; nproc')).toBe(`kept\n${max}`)
  })
})
