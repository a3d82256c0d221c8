import { describe, expect, test } from 'vitest'
import type { FileFact } from '../../../../src-main/host/planner/file-fact.ts'
import type { PlanFacts } from '../../../../src-main/host/planner/facts.ts'
import { enoughForKernel, pathsOf } from '../../../../src-main/host/planner/plan-files.ts'
import { planMachine } from '../../../../src-main/host/planner/plan-machine.ts'
import { parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { WITHOUT_QEMU } from '../../../support/engine-facts.ts'
import { specDrive } from '../../../support/spec-drive.ts'

const MiB = 1024 * 1024

function config(change: object = {}): MachineConfig {
  return parseMachineConfig({
    schema: 1,
    id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11',
    created: '2026-11-21T00:00:00Z',
    name: 'web-1',
    engine: 'embedded',
    boot: { kind: 'kernel', kernel: 'boot/kernel', initrd: 'boot/initrd', cmdline: 'quiet' },
    ...change,
  })
}

function fact(path: string, change: Partial<FileFact> = {}): FileFact {
  return {
    ...{ kind: 'file', path: `/lib/web-1.coppice/${path}`, bytes: 8 * MiB, modified: 0, inode: 1, writable: true },
    ...{ volumeBytes: null, linuxKernel: path.includes('kernel') ? ('bzimage' as const) : null, kernel64: false, unpackedBytes: null },
    ...change,
  }
}

function facts(files: FileFact[] | Record<string, FileFact>): PlanFacts {
  const entries = Array.isArray(files)
    ? files.map((file) => [file.path.replace('/lib/web-1.coppice/', ''), file] as const)
    : Object.entries(files)
  return {
    ...WITHOUT_QEMU,
    firmware: { bios: '/fw/bios.bin', vgaBios: '/fw/vga.bin' },
    logFolder: '/lib/web-1.coppice/logs',
    firmwareFolder: '/lib/web-1.coppice/firmware',
    files: new Map(entries),
  }
}

const BOOTABLE = [fact('boot/kernel'), fact('boot/initrd')]

function problems(machine: MachineConfig, files: FileFact[]): Record<string, string> {
  const plan = planMachine(machine, facts(files))
  return Object.fromEntries((plan.problems ?? []).map(({ path, message }) => [path, message]))
}

describe('the planner', () => {
  test('resolves a kernel boot into a frozen spec with absolute paths', () => {
    const plan = planMachine(config({ nics: [{ id: 'nic0', mac: '52:54:00:00:00:01' }] }), facts(BOOTABLE))
    expect(plan.problems).toBeNull()
    expect(plan.spec).toEqual({
      ...{ id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11', name: 'web-1', engine: 'embedded', arch: 'i386', cpus: 1, memoryMiB: 256 },
      firmware: { bios: '/fw/bios.bin', vgaBios: '/fw/vga.bin' },
      boot: { kind: 'kernel', kernel: '/lib/web-1.coppice/boot/kernel', initrd: '/lib/web-1.coppice/boot/initrd', cmdline: 'quiet' },
      drives: [],
      nics: [{ id: 'nic0', model: 'virtio', mac: '52:54:00:00:00:01', linkUp: false }],
      pointer: 'tablet',
      serialPorts: 1,
      sharedFolders: [],
      logFolder: '/lib/web-1.coppice/logs',
      qemu: null,
    })
    expect(Object.isFrozen(plan.spec!.boot)).toBe(true)
    expect(Object.isFrozen(plan.spec!.nics[0])).toBe(true)
  })

  test('names the image of each drive that has one, and keeps CDs read-only', () => {
    const machine = config({
      boot: { kind: 'firmware' },
      drives: [
        { id: 'disk0', kind: 'disk', path: 'disks/a.img' },
        { id: 'cdrom0', kind: 'cdrom', path: '/isos/x.iso' },
        { id: 'floppy0', kind: 'floppy', path: null },
      ],
    })
    const iso = fact('x', { path: '/isos/x.iso', bytes: 2 * MiB, volumeBytes: 2 * MiB, writable: false })
    const plan = planMachine(machine, facts({ 'disks/a.img': fact('disks/a.img'), '/isos/x.iso': iso }))
    expect(plan.problems).toBeNull()
    expect(plan.spec && plan.images).toEqual([
      { drive: 'disk0', path: '/lib/web-1.coppice/disks/a.img', format: 'raw', readOnly: false },
      { drive: 'cdrom0', path: '/isos/x.iso', format: 'raw', readOnly: true },
    ])
    expect(plan.spec?.drives).toEqual([
      specDrive('disk0', 'disk', { path: '/lib/web-1.coppice/disks/a.img' }),
      specDrive('cdrom0', 'cdrom', { path: '/isos/x.iso' }),
      specDrive('floppy0', 'floppy', { inserted: false, path: null }),
    ])
  })

  test('reports every wrong thing at once, each at its field', () => {
    const machine = config({
      arch: 'x86_64',
      drives: [
        { id: 'a', kind: 'disk', path: 'a.img' },
        { id: 'b', kind: 'cdrom', path: 'b.iso' },
        { id: 'c', kind: 'cdrom', path: 'c.iso' },
      ],
      nics: [
        { id: 'n0', mac: '52:54:00:00:00:01' },
        { id: 'n1', mac: '52:54:00:00:00:02' },
      ],
    })
    const found = problems(machine, [
      fact('boot/kernel', { bytes: 0 }),
      fact('boot/initrd', { kind: 'denied' }),
      fact('a.img', { kind: 'missing' }),
      fact('b.iso', { bytes: MiB, volumeBytes: 700 * MiB }),
      fact('c.iso', { kind: 'folder' }),
    ])
    expect(Object.keys(found).sort()).toEqual(
      ['arch', 'boot.initrd', 'boot.kernel', 'drives.0.path', 'drives.1.path', 'drives.2.kind', 'drives.2.path', 'nics.1'].sort(),
    )
    expect(found['boot.kernel']).toBe('The kernel “/lib/web-1.coppice/boot/kernel” is empty (0 bytes). Choose another file.')
    expect(found['drives.0.path']).toContain('is not there')
    expect(found['drives.1.path']).toContain('truncated: it says that it has 700 MiB, but the file ends 699 MiB earlier')
  })

  test('more than the embedded engine has is said with what it has', () => {
    const nics = [{ id: 'n', model: 'e1000e', mac: '52:54:00:00:00:01' }]
    const found = problems(config({ memoryMiB: 9_999_999, cpus: 2, nics }), BOOTABLE)
    expect(found).toEqual({
      memoryMiB: '9999999 MiB is more memory than the embedded engine can give. The most is 2047 MiB.',
      cpus: 'The embedded engine has room for 1 processor. Give the machine no more.',
      'nics.0.model': 'The embedded engine has no e1000e network card. Choose virtio or ne2k.',
    })
  })

  test('a file that is no kernel, and a kernel too large for the memory', () => {
    expect(problems(config(), [fact('boot/kernel', { linuxKernel: null }), fact('boot/initrd')])['boot.kernel']).toContain(
      'not a Linux kernel',
    )
    const wide = [fact('boot/kernel', { kernel64: true }), fact('boot/initrd')]
    expect(problems(config(), wide)['boot.kernel']).toContain('is for 64-bit PCs, and this machine is a 32-bit one')
    const unpacked = [fact('boot/kernel', { linuxKernel: 'pvh' }), fact('boot/initrd')]
    expect(problems(config(), unpacked)['boot.kernel']).toContain('is an unpacked one, which QEMU starts. Choose a bzImage')
    const tight = problems(config({ memoryMiB: 64 }), [fact('boot/kernel'), fact('boot/initrd', { bytes: 60 * MiB })])
    expect(tight['memoryMiB']).toBe(
      '64 MiB is too little for this kernel and initial RAM disk (together 68 MiB). Give the machine at least 84 MiB.',
    )
    const packed = [fact('boot/kernel'), fact('boot/initrd', { bytes: 40 * MiB, unpackedBytes: 130 * MiB })]
    expect(problems(config({ memoryMiB: 256 }), packed)['memoryMiB']).toBe(
      '256 MiB is too little for this kernel and initial RAM disk (together 48 MiB, the latter 130 MiB when unpacked). Give the machine at least 324 MiB.',
    )
    const withRoot = { boot: { kind: 'kernel', kernel: 'boot/kernel', initrd: 'boot/initrd', cmdline: 'quiet root=/dev/vda1' } }
    expect(problems(config({ memoryMiB: 256, ...withRoot }), packed)).toEqual({})
  })

  test('how much memory is enough for a kernel', () => {
    const enough = (unpackedBytes: number | null): number =>
      enoughForKernel({ kernel: { bytes: 8 * MiB }, initrd: { bytes: 40 * MiB, unpackedBytes }, cmdline: '' })
    expect([enough(null), enough(60 * MiB), enough(130 * MiB)]).toEqual([128, 256, 512])
  })

  const iso = (change: Partial<FileFact>) => {
    const machine = config({ boot: { kind: 'firmware' }, drives: [{ id: 'cd', kind: 'cdrom', path: 'x.iso' }] })
    const plan = planMachine(machine, facts([fact('x.iso', change)]))
    return plan.problems ? 'problem' : plan.warnings.length > 0 ? 'warning' : 'fine'
  }
  test.each([
    ['whole', { bytes: 2048 * 500, volumeBytes: 2048 * 500 }, 'fine'],
    ['longer than its file system (hybrid images)', { bytes: 2048 * 900, volumeBytes: 2048 * 500 }, 'fine'],
    ['without its run-out', { bytes: 2048 * 400, volumeBytes: 2048 * 500 }, 'fine'],
    ['with a tail that is no sector', { bytes: 2048 * 500 + 7, volumeBytes: 2048 * 500 }, 'warning'],
    ['truncated', { bytes: 2048 * 300, volumeBytes: 2048 * 500 }, 'problem'],
    ['another file of whole sectors', { bytes: 2048 * 5 }, 'warning'],
    ['another file', { bytes: 12345 }, 'problem'],
  ])('an ISO image that is %s', (_what, change, verdict) => expect(iso(change)).toBe(verdict))

  test('a floppy image that is none, and a disk that cannot be written', () => {
    const machine = (readOnly: boolean) =>
      config({
        boot: { kind: 'firmware' },
        drives: [
          { id: 'f', kind: 'floppy', path: 'f.img' },
          { id: 'd', kind: 'disk', path: 'd.img', readOnly },
        ],
      })
    const files = [fact('f.img', { bytes: 3 * MiB }), fact('d.img', { writable: false })]
    expect(Object.keys(problems(machine(false), files))).toEqual(['drives.0.path', 'drives.1.path'])
    expect(Object.keys(problems(machine(true), files))).toEqual(['drives.0.path'])
  })

  test('a boot order with nothing to boot is worth a warning', () => {
    const plan = planMachine(config({ boot: { kind: 'firmware' }, drives: [] }), facts([]))
    expect(plan.problems).toBeNull()
    expect(plan.warnings.map(({ path }) => path)).toEqual(['boot.order'])
  })

  test('pathsOf names every file of a machine', () => {
    expect(
      pathsOf(
        config({
          drives: [
            { id: 'a', kind: 'cdrom', path: null },
            { id: 'b', kind: 'disk', path: 'b.img' },
          ],
        }),
      ),
    ).toEqual(['boot/kernel', 'boot/initrd', 'b.img'])
  })
})
