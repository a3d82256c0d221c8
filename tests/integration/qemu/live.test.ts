/** Devices of real QEMU processes that run, whose guest is a BIOS of 21 bytes: it lets go of nothing. */
import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { QmpClient } from '../../../src-main/engines/qemu/qmp/qmp-client.ts'
import { connectOnce } from '../../../src-main/engines/qemu/supervise/endpoint.ts'
import type { LiveChange } from '../../../src-shared/model/live-change.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { Counters } from '../../../src-shared/threads/counters.ts'
import { engineThreadOf } from '../../support/engine-thread.ts'
import { echoBios } from '../../support/echo-bios.ts'
import { withLeakCheck } from '../../support/leak-check.ts'
import { echoSpec, QemuBench, type Listener } from '../../support/qemu-machine.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { specDrive } from '../../support/spec-drive.ts'

const NEVER = new AbortController().signal

describe.skipIf(!QEMU_PROGRAM || process.platform === 'win32')('devices of QEMU machines that run', () => {
  withLeakCheck()

  const bench = new QemuBench(async (folder) => {
    const cd = specDrive('cd0', 'cdrom', { inserted: false, path: null })
    const spec = await echoSpec(folder, { drives: [specDrive('disk0', 'disk', { path: await image('disk0.img') }), cd] })
    // A guest that can be asked through ports, and memory that can be asked for.
    return { ...spec, qemu: { ...spec.qemu!, machineType: 'q35', maxCpus: 2 } }
  })

  const image = async (name: string): Promise<string> => {
    const path = join(bench.folder, name)
    await writeFile(path, new Uint8Array(40 * 2048))
    return path
  }
  const hardware = (heard: Listener): { spec: MachineSpec; leaving: string[] } | undefined =>
    heard.events.findLast((event) => event.kind === 'hardware')
  const disk = (id: string, path: string): LiveChange => ({ kind: 'addDisk', drive: specDrive(id, 'disk', { path }) })

  test('what the guest does not release stays, is said to be leaving, and is gone when the guest starts anew', async () => {
    // QEMU finishes what was removed when every processor has rested: this BIOS halts behind its greeting.
    const code = join(bench.folder, 'halt.bin')
    const bios = echoBios()
    bios[0xe006] = 0xf4
    await writeFile(code, bios)
    const { machine, heard } = await bench.boot({ qemu: { ...bench.spec.qemu!, firmware: { kind: 'bios', code } } })
    const stop = new AbortController()
    const removing = machine.change({ kind: 'removeDisk', drive: 'disk0' }, null, stop.signal)
    stop.abort()
    await expect(removing).rejects.toMatchObject({ code: 'cancelled' })
    const again = new AbortController()
    const asked = machine.change({ kind: 'removeDisk', drive: 'disk0' }, null, again.signal)
    setTimeout(() => again.abort(), 200)
    await expect(asked).rejects.toMatchObject({ code: 'cancelled' })
    expect(hardware(heard)).toMatchObject({ spec: { drives: [{ id: 'disk0' }, { id: 'cd0' }] }, leaving: ['disk0'] })
    await machine.reset()
    await expect.poll(() => hardware(heard), { timeout: 10_000 }).toMatchObject({ spec: { drives: [{ id: 'cd0' }] }, leaving: [] })
    // Nothing of it is left: its id and its file can be used again.
    await machine.change(disk('disk0', join(bench.folder, 'disk0.img')), null, NEVER)
  })

  test('disks on other buses, which grow while the guest runs', async () => {
    const { machine, heard } = await bench.boot({
      drives: [
        specDrive('disk0', 'disk', { path: join(bench.folder, 'disk0.img'), bus: 'usb', cache: 'writethrough' }),
        specDrive('sata', 'disk', { path: await image('sata.img'), bus: 'ata', cache: 'unsafe' }),
        ...(await Promise.all([2, 3, 4, 5].map(async (at) => specDrive(`d${at}`, 'disk', { path: await image(`d${at}.img`) })))),
      ],
    })
    await machine
      .change({ kind: 'addDisk', drive: specDrive('fast', 'disk', { path: await image('fast.img'), bus: 'nvme' }) }, null, NEVER)
      .catch((error: unknown) => {
        // All places of those that come later are taken.
        expect(error).toMatchObject({ code: 'unsupported' })
      })
    await machine.change({ kind: 'growDisk', drive: 'd5', bytes: 8 * 1024 * 1024 }, null, NEVER)
    expect((await stat(join(bench.folder, 'd5.img'))).size).toBe(8 * 1024 * 1024)
    await expect(machine.change({ kind: 'growDisk', drive: 'none', bytes: 1024 }, null, NEVER)).rejects.toMatchObject({ code: 'not-found' })
    expect(hardware(heard)?.spec.drives.map(({ id }) => id)).toEqual(['disk0', 'sata', 'd2', 'd3', 'd4', 'd5'])
  })

  test('an NVMe disk comes while the guest runs', async () => {
    const { machine, heard } = await bench.boot()
    await machine.change(
      { kind: 'addDisk', drive: specDrive('fast', 'disk', { path: await image('fast.img'), bus: 'nvme', cache: 'none' }) },
      null,
      NEVER,
    )
    expect(hardware(heard)?.spec.drives.at(-1)).toMatchObject({ id: 'fast', bus: 'nvme' })
  })

  test('memory that the guest does not give is not taken', async () => {
    const { machine, heard } = await bench.boot({ memoryMiB: 128 })
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 200)
    await expect(machine.change({ kind: 'memory', memoryMiB: 64 }, null, stop.signal)).rejects.toMatchObject({ code: 'cancelled' })
    expect(hardware(heard)).toBeUndefined()
  })

  test('a file that another machine writes is refused, and nothing of the disk is left', async () => {
    const { machine: first } = await bench.boot()
    const { machine: second } = await bench.boot({ id: crypto.randomUUID(), drives: [], logFolder: join(bench.folder, 'logs2') })
    const shared = join(bench.folder, 'disk0.img')
    const busy = { code: 'busy', message: expect.stringContaining('in use by another machine') as string }
    for (let time = 0; time < 2; time++) await expect(second.change(disk('data', shared), null, NEVER)).rejects.toMatchObject(busy)
    await first.powerOff()
    await second.change(disk('data', shared), null, NEVER)
  })

  test('a machine that ends in the middle fails the change, and leaves nothing', async () => {
    const { machine } = await bench.boot()
    const removing = machine.change({ kind: 'removeDisk', drive: 'disk0' }, null, NEVER)
    removing.catch(() => {})
    await machine.powerOff()
    await expect(removing).rejects.toMatchObject({ code: 'disconnected' })
    expect(await readdir(join(bench.runtime, 'coppice'))).toEqual([])
  })

  test('a later host takes the machine over with what was added, and without what is gone', async () => {
    const thread = engineThreadOf('qemu', { XDG_RUNTIME_DIR: bench.runtime })
    const it = { machine: bench.spec.id }
    await thread.engine.create({ spec: bench.spec, blocks: {}, counters: new Counters().buffer, memory: null })
    await thread.engine.start(it)
    const change = (what: LiveChange): Promise<void> => thread.engine.change({ ...it, change: what, block: null })
    await change(disk('data', await image('data.img')))
    await change({ kind: 'addNic', nic: { id: 'nic1', model: 'virtio', mac: '52:54:00:00:00:02', linkUp: true } })
    await change({ kind: 'insert', drive: 'cd0', path: await image('a.iso'), readOnly: true })
    await change({ kind: 'cpus', cpus: 2 })
    await thread.close()

    // While nobody listens, a tool opens the tray.
    const [name] = await readdir(join(bench.runtime, 'coppice'))
    const { client } = await QmpClient.open(await connectOnce({ kind: 'unix', path: join(bench.runtime, 'coppice', name!, 'tools') }))
    await client.execute('blockdev-open-tray', { id: 'cd0', force: true })
    client.dispose()

    const { machine, spec: found } = await bench.engine.adopt(bench.spec.id, bench.spec.logFolder, new Counters())
    bench.machines.push(machine)
    expect(found).toMatchObject({
      ...{ cpus: 2, nics: [{ id: 'nic1', place: 0, linkUp: true }] },
      drives: [
        { id: 'disk0', place: 0 },
        { id: 'cd0', inserted: false, path: null },
        { id: 'data', place: 1 },
      ],
    })
    await machine.change(disk('more', await image('more.img')), null, NEVER)
    await expect(machine.change(disk('last', await image('last.img')), null, NEVER)).resolves.toBeUndefined()
    await expect(machine.change(disk('over', await image('over.img')), null, NEVER)).rejects.toMatchObject({ code: 'unsupported' })
  })
})
