import { describe, expect, test } from 'vitest'
import type { FileFact } from '../../../../src-main/host/planner/file-fact.ts'
import type { EngineFacts, PlanFacts } from '../../../../src-main/host/planner/facts.ts'
import { planMachine } from '../../../../src-main/host/planner/plan-machine.ts'
import { machineSpecSchema, type QemuSpec } from '../../../../src-shared/model/machine-spec.ts'
import { parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { engineFacts, OVMF, OVMF_SECURE } from '../../../support/engine-facts.ts'

const BUNDLE = '/lib/web-1.coppice'

function config(change: object = {}): MachineConfig {
  return parseMachineConfig({
    schema: 1,
    id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11',
    created: '2026-11-21T00:00:00Z',
    name: 'web-1',
    engine: 'qemu',
    arch: 'x86_64',
    boot: { kind: 'firmware' },
    ...change,
  })
}

function fact(path: string, change: Partial<FileFact> = {}): FileFact {
  const absolute = path.startsWith('/') ? path : `${BUNDLE}/${path}`
  return {
    ...{
      kind: 'file',
      path: absolute,
      bytes: 8 << 20,
      modified: 0,
      inode: 1,
      writable: true,
      volumeBytes: null,
      linuxKernel: null,
      kernel64: false,
      unpackedBytes: null,
    },
    ...change,
  }
}

function facts(
  engines: EngineFacts = engineFacts(),
  files: Record<string, FileFact> = {},
  firmwareFolder = `${BUNDLE}/firmware`,
): PlanFacts {
  return {
    ...engines,
    firmware: { bios: '/fw/bios.bin', vgaBios: '/fw/vga.bin' },
    logFolder: `${BUNDLE}/logs`,
    firmwareFolder,
    files: new Map(Object.entries(files)),
  }
}

function qemuOf(change: object, given = facts()): QemuSpec {
  const plan = planMachine(config(change), given)
  expect(plan.problems).toBeNull()
  return plan.spec!.qemu!
}

const FULL = engineFacts(['kvm', 'tcg'], {
  firmware: [OVMF, OVMF_SECURE, { ...OVMF, arch: 'aarch64', code: '/fw/AAVMF_CODE.fd', vars: '/fw/AAVMF_VARS.fd' }],
})

describe('a plan for QEMU', () => {
  test('is a whole, frozen spec; QEMU opens its images itself', () => {
    const plan = planMachine(
      config({ cpus: 2, drives: [{ id: 'disk0', kind: 'disk', path: 'disks/a.img', limits: { iops: 10 } }] }),
      facts(engineFacts(['kvm', 'tcg']), { 'disks/a.img': fact('disks/a.img') }),
    )
    expect(plan).toMatchObject({ problems: null, images: [], choice: { engine: 'qemu', accelerator: 'kvm' } })
    expect(plan.spec).toEqual({
      ...{ id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11', name: 'web-1', engine: 'qemu', arch: 'x86_64', cpus: 2, memoryMiB: 256 },
      firmware: null,
      boot: { kind: 'firmware', order: ['disk', 'cdrom', 'floppy'] },
      drives: [
        {
          ...{ id: 'disk0', kind: 'disk', readOnly: false, inserted: true, path: `${BUNDLE}/disks/a.img`, format: 'raw' },
          limits: { iops: 10 },
        },
      ],
      nics: [],
      pointer: 'tablet',
      serialPorts: 1,
      sharedFolders: [],
      logFolder: `${BUNDLE}/logs`,
      qemu: {
        binary: '/usr/bin/qemu-system-x86_64',
        version: '7.2.22',
        accelerator: 'kvm',
        machineType: 'q35',
        maxCpus: 8,
        sandbox: true,
        devices: 'modern',
        display: 'virtio',
        firmware: { kind: 'bios', code: null },
        tpm: null,
      },
    })
    expect(machineSpecSchema.parse(plan.spec)).toEqual(plan.spec)
    expect(Object.isFrozen(plan.spec!.qemu!.firmware)).toBe(true)
  })

  test('older devices: the board of their time, VGA, and cards that older systems know', () => {
    const nics = [
      { id: 'a', mac: '52:54:00:00:00:01' },
      { id: 'b', model: 'rtl8139', mac: '52:54:00:00:00:02' },
    ]
    const plan = planMachine(config({ arch: 'i386', devices: 'legacy', nics }), facts())
    expect(plan.spec?.nics.map(({ model }) => model)).toEqual(['e1000e', 'rtl8139'])
    expect(plan.spec?.qemu).toMatchObject({ machineType: 'pc', display: 'vga', devices: 'legacy', maxCpus: 1 })
    expect(qemuOf({ devices: 'legacy', firmware: 'uefi' }, facts(FULL)).machineType).toBe('q35')
    const embedded = planMachine(config({ engine: 'embedded', arch: 'i386', devices: 'legacy', nics: nics.slice(0, 1) }), facts())
    expect(embedded.spec?.nics[0]?.model).toBe('ne2k')
  })

  test('an unpacked kernel is started without firmware of its own choice', () => {
    const boot = { kind: 'kernel', kernel: '/k/vmlinux', initrd: null, cmdline: '' }
    const given = facts(FULL, { '/k/vmlinux': fact('/k/vmlinux', { linuxKernel: 'pvh', kernel64: true }) })
    expect(qemuOf({ boot }, given).firmware.kind).toBe('bios')
    expect(planMachine(config({ boot, firmware: 'uefi' }), given).problems).toEqual([
      { path: 'firmware', message: expect.stringContaining('which UEFI does not start. Choose BIOS') as string },
    ])
  })

  test('UEFI keeps its variables in the bundle, apart from those of Secure Boot', () => {
    expect(qemuOf({ firmware: 'uefi' }, facts(FULL)).firmware).toEqual({
      kind: 'uefi',
      code: '/fw/CODE.fd',
      vars: { template: '/fw/VARS.fd', path: `${BUNDLE}/firmware/vars.fd` },
      format: 'raw',
    })
    expect(qemuOf({ firmware: 'uefi-secure' }, facts(FULL)).firmware).toMatchObject({
      kind: 'uefi-secure',
      vars: { template: '/fw/VARS.ms.fd', path: `${BUNDLE}/firmware/secure-vars.fd` },
    })
    const windows = facts(FULL, {}, 'C:\\lib\\a.coppice\\firmware')
    expect(qemuOf({ firmware: 'uefi', tpm: true }, windows)).toMatchObject({
      firmware: { vars: { path: 'C:\\lib\\a.coppice\\firmware\\vars.fd' } },
      tpm: { swtpm: '/usr/bin/swtpm', state: 'C:\\lib\\a.coppice\\firmware\\tpm' },
    })
  })

  test('ARM machines have UEFI; with a kernel of their own, none', () => {
    expect(qemuOf({ arch: 'aarch64' }, facts(FULL))).toMatchObject({
      machineType: 'virt',
      binary: '/usr/bin/qemu-system-aarch64',
      accelerator: 'tcg',
      firmware: { kind: 'uefi', code: '/fw/AAVMF_CODE.fd' },
    })
    const boot = { kind: 'kernel', kernel: 'Image' }
    expect(qemuOf({ arch: 'riscv64', boot }, facts(FULL, { Image: fact('Image') })).firmware).toEqual({ kind: 'bios', code: null })
    expect(planMachine(config({ arch: 'riscv64' }), facts(FULL)).problems?.map(({ path }) => path)).toEqual(['firmware'])
  })

  test('shared folders must be there, be folders, and be writable where the guest may write', () => {
    const share = (tag: string, readOnly = true) => ({ tag, path: `/srv/${tag}`, readOnly })
    const sharedFolders = [share('fine'), share('gone'), share('file'), share('locked', false), share('secret')]
    const plan = planMachine(
      config({ sharedFolders }),
      facts(engineFacts(), {
        '/srv/fine': fact('/srv/fine', { kind: 'folder' }),
        '/srv/gone': fact('/srv/gone', { kind: 'missing' }),
        '/srv/file': fact('/srv/file'),
        '/srv/locked': fact('/srv/locked', { kind: 'folder', writable: false }),
        '/srv/secret': fact('/srv/secret', { kind: 'denied' }),
      }),
    )
    expect(plan.problems?.map(({ path }) => path)).toEqual([1, 2, 3, 4].map((at) => `sharedFolders.${at}.path`))
  })

  test('a folder with the machine itself in it is shared writable with a warning', () => {
    const sharedFolders = ['/', '/lib', '/srv'].map((path, at) => ({ tag: `t${at}`, path, readOnly: false }))
    const folders = Object.fromEntries(sharedFolders.map(({ path }) => [path, fact(path, { kind: 'folder' })]))
    const plan = planMachine(config({ sharedFolders }), facts(engineFacts(), folders))
    expect(plan.problems).toBeNull()
    expect(plan.warnings.map(({ path }) => path)).toEqual(expect.arrayContaining(['sharedFolders.0.path', 'sharedFolders.1.path']))
    expect(plan.warnings.map(({ path }) => path)).not.toContain('sharedFolders.2.path')
  })

  test('limits are for disks; the embedded engine says that it has none', () => {
    const cd = { drives: [{ id: 'cd0', kind: 'cdrom', path: null, limits: { iops: 1 } }] }
    expect(planMachine(config(cd), facts()).problems?.map(({ path }) => path)).toEqual(['drives.0.limits'])
    const disk = { engine: 'embedded', arch: 'i386', drives: [{ id: 'd', kind: 'disk', path: 'd', limits: { iops: 1 } }] }
    const plan = planMachine(config(disk), facts(engineFacts(), { d: fact('d') }))
    expect(plan.problems).toBeNull()
    expect(plan.warnings.map(({ path }) => path)).toEqual(['drives.0.limits'])
  })
})
