import { describe, expect, test } from 'vitest'
import { chooseArch } from '../../../../src-main/host/planner/choose-arch.ts'
import { chooseEngine } from '../../../../src-main/host/planner/choose-engine.ts'
import { movable } from '../../../../src-main/host/planner/movable.ts'
import { parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { engineFacts, qemuProgram, OVMF, WITHOUT_QEMU } from '../../../support/engine-facts.ts'

function config(change: object = {}): MachineConfig {
  return parseMachineConfig({
    schema: 1,
    id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11',
    created: '2026-11-21T00:00:00Z',
    name: 'web-1',
    boot: { kind: 'firmware' },
    ...change,
  })
}
const ARM = { arch: 'aarch64', boot: { kind: 'kernel', kernel: 'Image' } }
const KVM = engineFacts(['kvm', 'tcg'])
const TCG = engineFacts()
const paths = (problems: readonly { path: string }[] | null) => (problems ?? []).map(({ path }) => path)

describe('left to Coppice', () => {
  const engine = (change: object, facts = TCG) => {
    const { engine, accelerator, problems } = chooseEngine(config(change), facts)
    return problems ? 'none' : `${engine} ${accelerator ?? ''}`.trim()
  }

  test.each([
    ['any PC on an accelerated QEMU', {}, KVM, 'qemu kvm'],
    ['a 64-bit PC on an accelerated QEMU', { arch: 'x86_64' }, KVM, 'qemu kvm'],
    ['a 32-bit PC where nothing accelerates', {}, TCG, 'embedded'],
    ['a 32-bit PC without QEMU', {}, WITHOUT_QEMU, 'embedded'],
    ['a 32-bit PC that is too large for the embedded engine', { memoryMiB: 4096 }, TCG, 'qemu tcg'],
    ['a 32-bit PC with two processors', { cpus: 2 }, TCG, 'qemu tcg'],
    ['a 32-bit PC with a shared folder', { sharedFolders: [{ tag: 'a', path: '/srv' }] }, TCG, 'embedded'],
    ['a 64-bit PC', { arch: 'x86_64' }, TCG, 'qemu tcg'],
    ['an ARM machine, which KVM on a PC does not run', ARM, KVM, 'qemu tcg'],
    ['a 64-bit PC without QEMU', { arch: 'x86_64' }, WITHOUT_QEMU, 'none'],
  ])('%s', (_what, change, facts, expected) => expect(engine(change, facts)).toBe(expected))

  test('says why', () => {
    const why = (change: object, facts = TCG) => chooseEngine(config(change), facts).why
    expect(why({}, KVM)).toBe('QEMU runs it with KVM, the fastest way on this computer.')
    expect(why({})).toBe('The embedded engine suits 32-bit PCs where nothing accelerates QEMU. KVM is there, but too slow to be used.')
    expect(why({}, WITHOUT_QEMU)).toBe('The embedded engine runs on every computer; QEMU was not found on this one.')
    expect(why({ arch: 'x86_64' })).toBe('QEMU runs it in software, which is slow. KVM is there, but too slow to be used.')
    expect(why(ARM, KVM)).toBe('QEMU runs it in software, which is slow. On this computer, KVM does not run aarch64 systems.')
    expect(why({ engine: 'embedded' })).toBe('You chose the embedded engine.')
    expect(why({ engine: 'qemu' }, KVM)).toBe('You chose QEMU. QEMU runs it with KVM, the fastest way on this computer.')
  })

  test('where nothing can run it, every reason of both engines is listed', () => {
    const { problems } = chooseEngine(config({ arch: 'x86_64', cpus: 2, memoryMiB: 9_999_999 }), WITHOUT_QEMU)
    expect(problems).toEqual([
      { path: 'arch', message: 'The embedded engine runs i386 systems, not x86_64 ones.' },
      { path: 'cpus', message: 'The embedded engine has room for 1 processor. Give the machine no more.' },
      { path: 'memoryMiB', message: '9999999 MiB is more memory than the embedded engine can give. The most is 2047 MiB.' },
      { path: 'engine', message: 'QEMU was not found on this computer. Install it, or choose another engine.' },
    ])
    const huge = chooseEngine(config({ memoryMiB: 9_999_999, arch: 'x86_64' }), TCG)
    expect(huge.problems?.map(({ message }) => message)).toContain(
      '9999999 MiB is more memory than this computer has. The most is 16384 MiB.',
    )
  })
})

test('before QEMU was looked for nothing is said of it', () => {
  const searching = { ...WITHOUT_QEMU, searching: true }
  expect(chooseEngine(config({}), searching).why).toBe('The embedded engine runs on every computer; QEMU is being looked for.')
  expect(chooseEngine(config({ engine: 'qemu' }), searching).why).toBe('QEMU is being looked for.')
})

describe('QEMU', () => {
  const problems = (change: object, facts = TCG) =>
    Object.fromEntries(
      (chooseEngine(config({ engine: 'qemu', ...change }), facts).problems ?? []).map(({ path, message }) => [path, message]),
    )

  test('that is not there, too old, or without the guest’s processor', () => {
    expect(problems({}, WITHOUT_QEMU)).toEqual({ engine: 'QEMU was not found on this computer. Install it, or choose another engine.' })
    const old = engineFacts(['tcg'], { programs: [qemuProgram('x86_64', { version: '7.1.9' })] })
    expect(problems({ arch: 'x86_64' }, old)).toEqual({ engine: 'QEMU 7.1.9 is too old: Coppice needs 7.2 or newer. Update QEMU.' })
    // The program for 64-bit PCs runs 32-bit ones as well, and not ARM ones.
    const one = engineFacts(['tcg'], { programs: [qemuProgram('x86_64')] })
    expect(problems({ arch: 'i386' }, one)).toEqual({})
    expect(problems({ arch: 'aarch64' }, one)['arch']).toContain('it runs x86_64')
  })

  test('without what the machine needs, each at its field', () => {
    const poor = engineFacts(['tcg'], { programs: [qemuProgram('x86_64', { features: [], devices: ['e1000'] })], swtpm: null })
    const found = problems(
      {
        ...{ arch: 'x86_64', tpm: true, firmware: 'uefi-secure', display: 'virtio', cpus: 2 },
        nics: [{ id: 'nic0', mac: '52:54:00:00:00:01' }],
        drives: [{ id: 'disk0', kind: 'disk', path: 'a.img' }],
        sharedFolders: [{ tag: 'a', path: '/srv' }],
      },
      poor,
    )
    expect(Object.keys(found).sort()).toEqual(['nics.0.model', 'nics', 'display', 'drives', 'firmware', 'tpm', 'sharedFolders'].sort())
    expect(found['nics.0.model']).toBe('QEMU has no virtio network card. Choose e1000.')
    expect(found['firmware']).toBe(
      'No UEFI firmware with Secure Boot for x86_64 systems was found on this computer. Install it (Debian: the package ovmf).',
    )
    expect(found['tpm']).toContain('swtpm')
    expect(found['sharedFolders']).toContain('cannot share folders: it was built without 9p, which QEMU has not on Windows')
  })

  test('boards that are no PCs have no floppy, no VGA and no older devices', () => {
    const found = problems({
      ...{ arch: 'aarch64', devices: 'legacy', display: 'vga' },
      boot: { kind: 'kernel', kernel: 'k' },
      drives: [{ id: 'f', kind: 'floppy', path: null }],
    })
    expect(found).toEqual({
      devices: 'There are no older devices for aarch64 systems. Leave the devices to Coppice.',
      display: 'There is no VGA display for aarch64 systems. Choose virtio, or none.',
      'drives.0.kind': 'QEMU has no floppy drive for this machine. Remove one.',
    })
  })
})

test('a suspended machine goes on where it was suspended', () => {
  expect(chooseEngine(config(), KVM, 'embedded')).toMatchObject({ engine: 'embedded', problems: null })
  expect(chooseEngine(config({ engine: 'embedded' }), TCG, 'qemu')).toMatchObject({ engine: 'qemu', accelerator: 'tcg' })
  expect(paths(chooseEngine(config(), WITHOUT_QEMU, 'qemu').problems)).toEqual(['engine'])
})

describe('a stopped machine is moved', () => {
  const drives = [{ id: 'disk0', kind: 'disk', path: 'a.img' }]

  test('where its hardware allows, with what changes for its guest', () => {
    expect(movable(config(), 'qemu', TCG)).toEqual({ reasons: [], changes: [] })
    const { reasons, changes } = movable(config({ drives, nics: [{ id: 'n', mac: '52:54:00:00:00:01' }] }), 'qemu', TCG)
    expect(reasons).toEqual([])
    expect(changes).toHaveLength(2)
    expect(changes[0]).toContain('virtio disks')
    expect(movable(config({ drives }), 'embedded', TCG).changes[0]).toContain('/dev/vda')
    expect(movable(config({ drives, devices: 'legacy' }), 'qemu', TCG).changes).toEqual([])
  })

  test('and where not, every reason is listed', () => {
    const machine = config({ arch: 'x86_64', cpus: 4, firmware: 'uefi', tpm: true })
    const facts = engineFacts(['tcg'], { firmware: [OVMF] })
    expect(movable(machine, 'qemu', facts).reasons).toEqual([])
    expect(movable(machine, 'embedded', facts)).toEqual({
      reasons: [
        { path: 'arch', message: 'The embedded engine runs i386 systems, not x86_64 ones.' },
        { path: 'cpus', message: 'The embedded engine has room for 1 processor. Give the machine no more.' },
        { path: 'firmware', message: 'The embedded engine has a BIOS, not UEFI.' },
        { path: 'tpm', message: 'The embedded engine has no TPM.' },
      ],
      changes: [],
    })
    const reasons = movable(config(), 'qemu', WITHOUT_QEMU, 'embedded').reasons.map(({ message }) => message)
    expect(reasons).toEqual([expect.stringContaining('suspended in the middle of its work'), expect.stringContaining('QEMU was not found')])
  })
})

describe('the processor of a new machine', () => {
  test.each([
    ['auto', KVM, 'x86_64'],
    ['auto', TCG, 'i386'],
    ['auto', WITHOUT_QEMU, 'i386'],
    ['qemu', TCG, 'x86_64'],
    ['qemu', WITHOUT_QEMU, 'x86_64'],
    ['embedded', KVM, 'i386'],
  ])('%s', (engine, facts, arch) => expect(chooseArch(config({ engine }), facts)).toBe(arch))

  test('a machine that the embedded engine cannot run is a 64-bit PC', () => {
    expect(chooseArch(config(), TCG, true)).toBe('x86_64')
    expect(chooseArch(config({ memoryMiB: 4096 }), TCG)).toBe('x86_64')
    expect(chooseArch(config({ memoryMiB: 4096 }), WITHOUT_QEMU)).toBe('i386')
  })
})
