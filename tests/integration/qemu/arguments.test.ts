/** A real QEMU takes our arguments: it greets on both QMP sockets, has the devices, and quits when told to. No guest runs. */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MachineSpec, QemuSpec } from '../../../src-shared/model/machine-spec.ts'
import { qemuSpec } from '../../support/qemu-spec.ts'
import { specDrive } from '../../support/spec-drive.ts'
import { withQemu, type Monitor } from '../../support/with-qemu.ts'

const BINARY =
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'qemu-system-x86_64'))
    .find((path) => existsSync(path)) ?? null

describe.skipIf(BINARY === null || process.platform === 'win32')(
  'QEMU takes the arguments (skipped where qemu-system-x86_64 is not installed)',
  () => {
    let folder: string
    let version: string
    beforeEach(async () => {
      // Short, for the sockets; with a comma, for the escaping.
      folder = await mkdtemp(join(tmpdir(), 'q,a-'))
      await mkdir(join(folder, 'logs'))
      version = /version (\S+)/.exec(execFileSync(BINARY!, ['--version'], { encoding: 'utf8' }))![1]!
    })
    afterEach(() => rm(folder, { recursive: true, force: true }))

    async function file(name: string, bytes: number): Promise<string> {
      const path = join(folder, name)
      await writeFile(path, '')
      await truncate(path, bytes)
      return path
    }

    /** Starts it, lets `look` ask, and ends it. */
    async function start(change: Partial<MachineSpec>, qemu: Partial<QemuSpec>, look: (monitor: Monitor) => Promise<void>) {
      const spec = qemuSpec(
        { logFolder: join(folder, 'logs'), ...change },
        { binary: BINARY!, version, ...qemu, sandbox: process.platform === 'linux' },
      )
      await withQemu(spec, folder, look)
    }

    test('everything at once, on a PC of today', async () => {
      await mkdir(join(folder, 'shared'))
      const share = (tag: string, readOnly: boolean) => ({ tag, path: join(folder, 'shared'), readOnly })
      const nic = (at: number, model: 'virtio' | 'e1000e') => ({ id: `nic${at}`, model, mac: `52:54:00:00:00:0${at}` })
      const drives = [
        specDrive('disk0', 'disk', { path: await file('disk,0.img', 1 << 20), limits: { iops: 100 } }),
        specDrive('disk1', 'disk', { path: await file('disk1.img', 1 << 20), readOnly: true }),
        specDrive('cd0', 'cdrom', { path: await file('cd.iso', 1 << 20) }),
        specDrive('floppy0', 'floppy', { inserted: false, path: null }),
      ]
      await start(
        {
          cpus: 2,
          memoryMiB: 128,
          drives,
          nics: [nic(0, 'virtio'), nic(1, 'virtio'), nic(2, 'e1000e'), nic(3, 'virtio')],
          serialPorts: 4,
          sharedFolders: Array.from({ length: 8 }, (_, at) => share(`share${at}`, at % 2 === 0)),
        },
        { maxCpus: 4 },
        async (monitor) => {
          const blocks = await monitor.ask<{ qdev?: string; inserted?: { file?: string; iops?: number } }[]>('query-block')
          const names = blocks.map(({ qdev }) => qdev)
          expect(names).toHaveLength(4)
          const nodes = await monitor.ask<{ 'node-name': string }[]>('query-named-block-nodes')
          expect(nodes.map((node) => node['node-name'])).toEqual(expect.arrayContaining(['disk0', 'disk0-file', 'disk1', 'cd0']))
          expect(await monitor.ask('qom-get', { path: '/objects/disk0-limits', property: 'limits' })).toMatchObject({ 'iops-total': 100 })
          await monitor.ask('qom-set', { path: '/objects/disk0-limits', property: 'limits', value: { 'iops-total': 0, 'bps-total': 4096 } })
          const chardevs = await monitor.ask<{ label: string }[]>('query-chardev')
          expect(chardevs.map(({ label }) => label)).toEqual(
            expect.arrayContaining(['serial0', 'serial1', 'serial2', 'serial3', 'guest-agent', 'coppice-agent']),
          )
          expect(await monitor.ask('query-vnc')).toMatchObject({ enabled: true, family: 'unix', auth: 'none' })
          await monitor.ask('set_link', { name: 'nic0', up: false })
          const room = await monitor.ask<{ 'qom-path'?: string; props: object; type: string }[]>('query-hotpluggable-cpus')
          expect(room).toHaveLength(4)
          const empty = room.find((one) => one['qom-path'] === undefined)!
          await monitor.ask('device_add', { driver: empty.type, id: 'cpu2', ...empty.props })
          await monitor.ask('blockdev-open-tray', { id: 'cd0' })
          await monitor.ask('blockdev-remove-medium', { id: 'cd0' })
          await monitor.ask('device_add', { driver: 'virtio-rng-pci', id: 'added', bus: 'nic_port3', rng: 'entropy' })
          expect(existsSync(join(folder, 'logs', 'serial3.log'))).toBe(true)
        },
      )
    })

    test('an older PC, with four drives on IDE', async () => {
      const drives = [
        specDrive('disk0', 'disk', { path: await file('a.img', 1 << 20) }),
        specDrive('cd0', 'cdrom', { inserted: false, path: null }),
        specDrive('floppy0', 'floppy', { path: await file('f.img', 1440 * 1024) }),
        specDrive('floppy1', 'floppy', { inserted: false, path: null }),
      ]
      const models = ['e1000e', 'e1000', 'rtl8139', 'ne2k'] as const
      const nics = models.map((model, at) => ({ id: `nic${at}`, model, mac: `52:54:00:00:00:0${at}` }))
      await start({ drives, nics, memoryMiB: 64 }, { devices: 'legacy', machineType: 'pc', display: 'vga' }, async (monitor) => {
        const devices = await monitor.ask<{ bus: number; devices: { class_info: { desc: string } }[] }[]>('query-pci')
        expect(devices[0]!.devices.filter(({ class_info }) => /ethernet/i.test(class_info.desc))).toHaveLength(4)
      })
    })

    test('no display, disks on SATA, and a kernel', async () => {
      const drives = [
        specDrive('disk0', 'disk', { path: await file('a.img', 1 << 20) }),
        specDrive('cd0', 'cdrom', { inserted: false, path: null }),
      ]
      const kernel = await file('kernel', 4096)
      const boot = { kind: 'kernel' as const, kernel, initrd: null, cmdline: 'a,b' }
      await start({ drives, boot, memoryMiB: 64 }, { devices: 'legacy', display: 'none' }, async (monitor) => {
        expect(await monitor.ask('query-vnc')).toMatchObject({ enabled: false })
      })
    })

    test('firmware as flash, guarded by System Management Mode', async () => {
      const code = await file('CODE.fd', 3584 * 1024)
      const vars = { template: code, path: await file('vars,1.fd', 512 * 1024) }
      await start({ memoryMiB: 64 }, { firmware: { kind: 'uefi-secure', code, vars, format: 'raw' } }, async (monitor) => {
        const machine = { path: '/machine' }
        expect(await monitor.ask('qom-get', { ...machine, property: 'smm' })).toBe('on')
        expect(await monitor.ask('qom-get', { ...machine, property: 'pflash1' })).toMatch(/firmware-vars|flash/)
      })
    })

    /** A boot sector that says one letter on the first serial port, and halts. */
    async function bootable(name: string, letter: string): Promise<string> {
      const path = await file(name, 1440 * 1024)
      const sector = new Uint8Array(512)
      // mov dx, 0x3f8; mov al, letter; out dx, al; hlt; jmp back to hlt
      sector.set([0xba, 0xf8, 0x03, 0xb0, letter.charCodeAt(0), 0xee, 0xf4, 0xeb, 0xfd])
      sector.set([0x55, 0xaa], 510)
      const handle = await open(path, 'r+')
      await handle.write(sector)
      await handle.close()
      return path
    }

    test.each([
      ['a PC of today', { devices: 'modern', machineType: 'q35' }],
      ['an older PC', { devices: 'legacy', machineType: 'pc', display: 'vga' }],
    ] as const)('the firmware of %s starts what the boot order names first', async (_what, qemu) => {
      const drives = [
        specDrive('disk0', 'disk', { path: await bootable('d.img', 'D') }),
        specDrive('floppy0', 'floppy', { path: await bootable('f.img', 'F') }),
      ]
      const log = join(folder, 'logs', 'serial0.log')
      for (const [order, letter] of [
        [['disk', 'floppy'], 'D'],
        [['floppy', 'disk'], 'F'],
        [['cdrom', 'floppy'], 'F'],
      ] as const) {
        await rm(log, { force: true })
        await start({ drives, boot: { kind: 'firmware', order: [...order] }, memoryMiB: 64 }, qemu, async (monitor) => {
          await monitor.ask('cont')
          await expect.poll(() => readFile(log, 'latin1'), { timeout: 30_000 }).toBe(letter)
        })
      }
    })
  },
)
