/** Disks of QEMU's machines, from the configuration to a BIOS that boots from them: every bus, every cache mode, and a disk on the network. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { planMachine, type Plan } from '../../../src-main/host/planner/plan-machine.ts'
import { fileFacts } from '../../../src-main/host/planner/probe-files.ts'
import { readComputer } from '../../../src-main/host/planner/read-computer.ts'
import { pathsOf } from '../../../src-main/host/planner/plan-files.ts'
import { findQemu } from '../../../src-main/engines/qemu/find/find-qemu.ts'
import { NO_QEMU, type QemuFacts } from '../../../src-shared/model/engine-facts.ts'
import { parseMachineConfig } from '../../../src-shared/model/machine.ts'
import { echoDisk } from '../../support/echo-disk.ts'
import { qemuNbd } from '../../support/qemu-nbd.ts'
import { WITHOUT_QEMU_IMG } from '../../support/qemu-img.ts'
import { QEMU_PROGRAM } from '../../support/qemu-program.ts'
import { withQemu } from '../../support/with-qemu.ts'

/** ms for a BIOS to boot, in software and on a busy computer. */
const BOOT_LIMIT = 120_000
/** SeaBIOS boots no smaller one. */
const BYTES = 8 * 1024 * 1024

let qemu: QemuFacts = NO_QEMU
let folder: string
beforeAll(async () => {
  const cacheFolder = await mkdtemp(join(tmpdir(), 'coppice-find-'))
  qemu = await findQemu({ resources: cacheFolder, cacheFolder, refresh: false })
  await rm(cacheFolder, { recursive: true, force: true })
}, 60_000)
beforeEach(async () => {
  // Short, for the sockets; not in memory, where files cannot be read past the page cache.
  folder = await mkdtemp(join(tmpdir(), 'q-'))
  await mkdir(join(folder, 'logs'))
  await mkdir(join(folder, 'firmware'))
  await writeFile(join(folder, 'echo.img'), echoDisk(BYTES))
  await writeFile(join(folder, 'empty.img'), new Uint8Array(BYTES))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function plan(drives: object[], change: object): Promise<Plan> {
  const config = parseMachineConfig({
    ...{ schema: 1, id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11', created: '2026-11-21T00:00:00Z', name: 'disks', engine: 'qemu' },
    ...{ arch: 'x86_64', memoryMiB: 64, boot: { kind: 'firmware', order: ['disk'] } },
    drives: drives.map((drive, at) => ({ id: `disk${at}`, kind: 'disk', path: join(folder, 'echo.img'), ...drive })),
    ...change,
  })
  return planMachine(config, {
    ...{ computer: readComputer(), qemu, firmware: { bios: '', vgaBios: '' } },
    ...{ files: await fileFacts(folder, pathsOf(config)), logFolder: join(folder, 'logs'), firmwareFolder: join(folder, 'firmware') },
  })
}

/** The program on the first disk printed its greeting. */
async function boots(drives: object[], change: object = {}): Promise<void> {
  const { spec, problems } = await plan(drives, change)
  expect(problems).toBeNull()
  await withQemu(spec!, folder, async (monitor) => {
    await monitor.ask('cont')
    const log = (): Promise<string> => readFile(join(folder, 'logs', 'serial0.log'), 'latin1')
    await expect.poll(log, { timeout: BOOT_LIMIT, interval: 100 }).toMatch(/A/)
  })
}

describe.skipIf(!QEMU_PROGRAM || process.platform === 'win32')('a BIOS boots from a disk', { timeout: BOOT_LIMIT }, () => {
  test.each(['virtio', 'ata', 'nvme', 'usb'] as const)('on %s, in a PC of today', (bus) => boots([{ bus }]))
  test.each(['virtio', 'ata', 'nvme', 'usb'] as const)('on %s, in an older PC', (bus) =>
    boots([{ bus }], { arch: 'i386', devices: 'legacy' }),
  )

  test('behind none of seven others on all buses', () => {
    const others = ['virtio', 'virtio', 'nvme', 'nvme', 'usb', 'virtio', 'usb'] as const
    // Read-only, so that all may have one image.
    return boots([{ bus: 'usb' }, ...others.map((bus) => ({ bus, path: join(folder, 'empty.img'), readOnly: true }))])
  })

  test('that is read-only, which a SATA disk of QEMU’s cannot be', async () => {
    await boots([{ readOnly: true }])
    const { problems } = await plan([{ readOnly: true, bus: 'ata' }], {})
    expect(problems).toEqual([
      { path: 'drives.0.readOnly', message: expect.stringContaining('no read-only disks on SATA or IDE') as string },
    ])
  })

  test.each(['writeback', 'writethrough', 'unsafe'] as const)('with the cache mode %s', (cache) => boots([{ cache }]))
})

describe.skipIf(!QEMU_PROGRAM || WITHOUT_QEMU_IMG || process.platform === 'win32')('a disk on the network', { timeout: BOOT_LIMIT }, () => {
  test.each([
    ['a socket', true],
    ['a port', false],
  ])('is booted from by QEMU itself: %s', async (_, socket) => {
    const server = await qemuNbd(join(folder, 'echo.img'), socket ? join(folder, 'n') : null)
    await boots([{ path: server.address }])
  })

  test('by a driver that this QEMU lacks is refused, with what to install', async () => {
    const { problems } = await plan([{ path: 'iscsi://127.0.0.1/iqn.2026-11.org.example:d/0' }, { path: 'nfs://127.0.0.1/a.img' }], {})
    const { features } = qemu.programs.find(({ arch }) => arch === 'x86_64')!
    const missing = (['disk-iscsi', 'disk-nfs'] as const).filter((feature) => !features.includes(feature))
    expect(features).toContain('disk-nbd')
    expect((problems ?? []).map(({ path }) => path)).toEqual(
      missing.map((feature) => (feature === 'disk-iscsi' ? 'drives.0.path' : 'drives.1.path')),
    )
  })
})
