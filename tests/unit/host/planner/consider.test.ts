import { describe, expect, test } from 'vitest'
import { chooseArch } from '../../../../src-main/host/planner/choose-arch.ts'
import { consider } from '../../../../src-main/host/planner/consider.ts'
import { parseMachineConfig, type MachineConfig } from '../../../../src-shared/model/machine.ts'
import { engineFacts, OVMF, qemuProgram, WITHOUT_QEMU } from '../../../support/engine-facts.ts'

const config = (change: object = {}): MachineConfig =>
  parseMachineConfig({
    schema: 1,
    id: '11111111-1111-4111-8111-111111111111',
    created: '2026-01-01T00:00:00.000Z',
    name: 'a',
    boot: { kind: 'firmware', order: ['disk'] },
    ...change,
  })
const drives = [{ id: 'disk0', kind: 'disk', path: 'a.img' }]

describe('hardware under consideration', () => {
  test('says what would run it, and with what', () => {
    expect(consider(config({ arch: 'x86_64' }), engineFacts(['kvm', 'tcg']), null)).toMatchObject({
      engine: 'qemu',
      version: '7.2.22',
      accelerator: 'kvm',
      why: 'QEMU runs it with KVM, the fastest way on this computer.',
      arch: 'x86_64',
      problems: [],
    })
    expect(consider(config(), WITHOUT_QEMU, null)).toMatchObject({ engine: 'embedded', version: null, accelerator: null, problems: [] })
  })

  test('an engine that cannot run it says every reason at its field; one that can, what changes for the guest', () => {
    const verdict = consider(config({ arch: 'x86_64', cpus: 2, engine: 'embedded' }), engineFacts(), {
      engine: 'qemu',
      suspendedOn: null,
    })
    expect(verdict.problems.map(({ path }) => path)).toEqual(['arch', 'cpus'])
    expect(verdict.engines.embedded.reasons).toEqual(verdict.problems)
    expect(verdict.engines.qemu).toEqual({ reasons: [], changes: [] })
    const moved = consider(config({ drives }), engineFacts(), { engine: 'embedded', suspendedOn: null })
    expect(moved.engines.qemu.changes).toHaveLength(1)
    expect(moved.engines.embedded.changes).toEqual([])
    expect(consider(config({ drives }), engineFacts(), null).engines.qemu.changes).toEqual([])
  })

  test('a choice that cannot be had says why; the others are not named', () => {
    const { refused } = consider(config({ arch: 'x86_64', engine: 'qemu' }), engineFacts(['tcg'], { swtpm: null }), null)
    expect(refused['firmware']).toEqual({
      uefi: 'No UEFI firmware for x86_64 systems was found on this computer. Install it (Debian: the package ovmf).',
      'uefi-secure': expect.stringContaining('Secure Boot') as string,
    })
    expect(refused['tpm']).toEqual({ true: expect.stringContaining('swtpm') as string })
    expect(refused['display']).toBeUndefined()
    expect(Object.keys(refused['arch'] ?? {})).toEqual(['aarch64', 'riscv64'])
    expect(
      consider(config({ arch: 'x86_64', engine: 'qemu' }), engineFacts(['tcg'], { firmware: [OVMF] }), null).refused['firmware'],
    ).not.toHaveProperty('uefi')
  })

  test('where the architecture follows from the rest, a choice is refused only where none can have it', () => {
    const facts = engineFacts(['tcg'], { firmware: [OVMF] })
    const archOf = (like: MachineConfig) => chooseArch(like, facts)
    const wish = config({ arch: archOf(config()) })
    expect(wish.arch).toBe('i386')
    expect(consider(wish, facts, null).refused['firmware']).toHaveProperty('uefi')
    const { refused } = consider(wish, facts, null, archOf)
    expect(refused['firmware']).not.toHaveProperty('uefi')
    expect(refused['firmware']).toHaveProperty('uefi-secure')
    expect(refused['tpm']).toBeUndefined()
  })

  test('left to Coppice, both engines say why not', () => {
    const { refused } = consider(config({ nics: [{ id: 'nic0', mac: '52:54:00:00:00:01' }] }), WITHOUT_QEMU, null)
    expect(refused['firmware']!['uefi']).toBe(
      'The embedded engine has a BIOS, not UEFI. QEMU was not found on this computer. Install it, or choose another engine.',
    )
    expect(Object.keys(refused['nics.0.model']!)).toEqual(['e1000e', 'e1000', 'rtl8139'])
    const facts = engineFacts(['tcg'], { programs: [qemuProgram('x86_64')] })
    expect(consider(config(), facts, null).refused['arch']!['aarch64']).toContain('(it runs x86_64)')
  })
})
