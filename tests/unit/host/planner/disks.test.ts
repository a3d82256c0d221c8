/** What is said of a machine's disks, by value: buses, caches, and disks on the network. */
import { describe, expect, test } from 'vitest'
import { consider } from '../../../../src-main/host/planner/consider.ts'
import { chooseEngine } from '../../../../src-main/host/planner/choose-engine.ts'
import { planMachine } from '../../../../src-main/host/planner/plan-machine.ts'
import type { QemuFeature } from '../../../../src-shared/model/engine-facts.ts'
import { parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { engineFacts, qemuProgram, WITHOUT_QEMU } from '../../../support/engine-facts.ts'

const ID = '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11'
function config(drives: object[], change: object = {}): MachineConfig {
  return parseMachineConfig({
    ...{ schema: 1, id: ID, created: '2026-11-21T00:00:00Z', name: 'a', engine: 'qemu', arch: 'x86_64', boot: { kind: 'firmware' } },
    drives: drives.map((drive, at) => ({ id: `d${at}`, kind: 'disk', path: 'nbd://server/x', ...drive })),
    ...change,
  })
}
const problems = (drives: object[], change: object = {}, facts = engineFacts()): string[] =>
  (chooseEngine(config(drives, change), facts).problems ?? []).map(({ path, message }) => `${path}: ${message}`)
const embedded = { engine: 'embedded', arch: 'i386' }
const many = (count: number, drive: object): object[] => Array.from({ length: count }, () => drive)

describe('where disks are plugged in', () => {
  test('QEMU has all buses, as far as there is room', () => {
    expect(problems([{ bus: 'virtio' }, { bus: 'ata' }, { bus: 'nvme' }, { bus: 'usb' }])).toEqual([])
    expect(problems(many(8, {}))).toEqual([])
    expect(problems([...many(6, { bus: 'ata' }), { kind: 'cdrom', path: null }])).toEqual([])
    expect(problems([{ kind: 'cdrom', path: null }, ...many(6, { bus: 'ata' })])).toEqual([
      'drives.6.bus: This machine has room for 6 SATA or IDE disks and CD drives together. Choose another bus, or remove one.',
    ])
    expect(problems(many(5, {}), { devices: 'legacy' })).toEqual([
      expect.stringMatching(/^drives\.4\.bus: This machine has room for 4 SATA or IDE/),
    ])
    expect(problems([...many(4, {}), ...many(3, { bus: 'usb' })], { devices: 'legacy' })).toEqual([
      expect.stringMatching(/^drives\.6\.bus: This machine’s USB/),
    ])
    expect(problems([{ bus: 'ata' }], { arch: 'aarch64', boot: { kind: 'kernel', kernel: '/k' } })).toEqual([
      'drives.0.bus: There are no SATA disks for aarch64 systems. Leave the bus to Coppice.',
    ])
  })

  test('a program that lacks a device says so', () => {
    const programs = [qemuProgram('x86_64', { devices: qemuProgram('x86_64').devices.filter((name) => name !== 'nvme') })]
    expect(problems([{ bus: 'nvme' }], {}, engineFacts(['tcg'], { programs }))).toEqual([
      'drives.0.bus: /usr/bin/qemu-system-x86_64 was built without NVMe disks (nvme).',
    ])
  })

  test('the embedded engine has IDE, and this computer’s page cache', () => {
    expect(problems([{ bus: 'ata', cache: 'writethrough' }, { cache: 'unsafe' }], embedded)).toEqual([])
    expect(problems([{ bus: 'nvme' }, { cache: 'none' }], embedded)).toEqual([
      'drives.0.bus: The embedded engine has IDE disks, not NVMe ones. Leave the bus to Coppice.',
      expect.stringMatching(/^drives\.1\.cache: The embedded engine’s disks/),
    ])
  })

  test('what cannot be chosen says why before it is chosen', () => {
    const { refused } = consider(config([{}], embedded), WITHOUT_QEMU, null)
    expect(Object.keys(refused['drives.0.bus']!)).toEqual(['virtio', 'nvme', 'usb'])
    expect(Object.keys(refused['drives.0.cache']!)).toEqual(['none'])
    expect(consider(config([{}]), engineFacts(), null).refused['drives.0.bus']).toBeUndefined()
  })

  test('a cache that forgets is warned of', () => {
    const plan = planMachine(config([{ cache: 'unsafe' }]), {
      ...engineFacts(),
      firmware: { bios: '', vgaBios: '' },
      logFolder: '/l',
      firmwareFolder: '/f',
      files: new Map(),
    })
    expect(plan.warnings).toEqual([{ path: 'drives.0.cache', message: expect.stringContaining('may be lost') as string }])
    expect(plan.spec?.drives).toMatchObject([{ path: 'nbd://server/x', inserted: true, cache: 'unsafe' }])
  })
})

describe('disks on the network', () => {
  const withFeatures = (...more: QemuFeature[]) => {
    const program = qemuProgram('x86_64')
    return engineFacts(['tcg'], { programs: [{ ...program, features: [...program.features, ...more] }] })
  }

  test('NBD on both engines; iSCSI and NFS where this QEMU has them', () => {
    const iscsi = { path: 'iscsi://server/iqn.a:b/0' }
    const nfs = { path: 'nfs://server/a.img' }
    expect(problems([{}], embedded)).toEqual([])
    expect(problems([iscsi], embedded)).toEqual([
      'drives.0.path: The embedded engine has disks on the network by NBD, not by iSCSI. Let QEMU run the machine.',
    ])
    expect(problems([iscsi, nfs])).toEqual([
      expect.stringMatching(
        /^drives\.0\.path: .* cannot reach disks by iSCSI: .* Install it \(Debian: the package qemu-block-extra\) and let Doctor look again, or use NBD\.$/,
      ),
      expect.stringMatching(/^drives\.1\.path: .* cannot reach disks by NFS/),
    ])
    expect(problems([iscsi, nfs], {}, withFeatures('disk-iscsi', 'disk-nfs'))).toEqual([])
  })
})
