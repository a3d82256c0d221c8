import { describe, expect, test } from 'vitest'
import type { Finding } from '../../../../src-main/host/system/check.ts'
import { installAdvice } from '../../../../src-main/host/system/install-advice.ts'
import { accelerationFinding, qemuFinding, tpmFinding, uefiFinding, type Platform } from '../../../../src-main/host/system/qemu-checks.ts'
import { NO_QEMU, type FirmwareFact, type QemuFacts, type QemuProgram } from '../../../../src-shared/model/engine-facts.ts'
import type { Arch } from '../../../../src-shared/model/machine.ts'

const debian: Platform = { platform: 'linux', osRelease: 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n' }
const windows: Platform = { platform: 'win32', osRelease: '' }

function program(arch: Arch, change: Partial<QemuProgram> = {}): QemuProgram {
  return {
    arch,
    path: `/usr/bin/qemu-system-${arch}`,
    version: '7.2.22',
    machineTypes: [],
    devices: [],
    features: ['netdev-stream'],
    ...change,
  }
}
const firmware = (arch: Arch, kind: FirmwareFact['kind']): FirmwareFact => ({ arch, kind, code: '/c', vars: '/v', format: 'raw' })
const tcg: QemuFacts['accelerators'][number] = { name: 'tcg', usable: true, arches: ['x86_64'], detail: 'TCG works.', advice: null }
const facts = (change: Partial<QemuFacts> = {}): QemuFacts => ({
  ...NO_QEMU,
  found: true,
  programs: [program('i386'), program('x86_64')],
  accelerators: [tcg],
  ...change,
})

function words(finding: Finding | null): string {
  expect(finding?.detail).toMatch(/^\p{Lu}.*\.$/u)
  return `${finding!.state}: ${finding!.detail} ${finding!.advice ?? ''}`
}

describe('QEMU', () => {
  test('there: what it runs and where it is', () => {
    expect(qemuFinding(facts(), debian)).toEqual({
      state: 'ok',
      detail: 'QEMU 7.2.22 runs 32-bit x86 and 64-bit x86 guests. It is in “/usr/bin”.',
    })
    expect(words(qemuFinding(facts({ programs: [program('x86_64', { path: 'C:\\Program Files\\qemu\\q.exe' })] }), windows))).toContain(
      '“C:\\Program Files\\qemu”',
    )
  })

  test('absent: how to get it, and nothing about what only it needs', () => {
    expect(words(qemuFinding(NO_QEMU, debian))).toMatch(/^info: QEMU is not installed\..*apt-get install qemu-system-x86/)
    expect([accelerationFinding(NO_QEMU), uefiFinding(NO_QEMU, debian), tpmFinding(NO_QEMU, debian)]).toEqual([null, null, null])
  })

  test('there and broken: its words', () => {
    const tried = ['/usr/bin/qemu-system-x86_64: It ended with status 127. It says: no libfdt.', '/usr/bin']
    expect(words(qemuFinding({ ...NO_QEMU, tried }, debian))).toMatch(
      /^warning: .*“\/usr\/bin\/qemu-system-x86_64”: it ended with status 127\./,
    )
  })

  test('too old: which one', () => {
    const old = facts({ programs: [program('i386'), program('x86_64', { version: '6.2.0', features: [] })] })
    expect(words(qemuFinding(old, debian))).toMatch(
      /^warning: .*at least 7\.2: “\/usr\/bin\/qemu-system-x86_64” is too old\. Update QEMU\./,
    )
  })

  test('nothing in it works', () => {
    const broken = facts({ accelerators: [{ ...tcg, usable: false, arches: [], detail: 'TCG fails.', advice: 'Install QEMU again.' }] })
    expect(words(qemuFinding(broken, debian))).toMatch(/^warning: .*TCG fails\. Install QEMU again\.$/)
  })
})

describe('acceleration', () => {
  test('that works, and that does not', () => {
    const kvm = { name: 'kvm', usable: true, arches: ['x86_64', 'i386'], detail: 'KVM works.', advice: null } as const
    expect(words(accelerationFinding(facts({ accelerators: [{ ...kvm, arches: [...kvm.arches] }, tcg] })))).toBe(
      'ok: KVM works. It is for 64-bit x86 and 32-bit x86 guests. ',
    )
    const slow = { ...kvm, usable: false, arches: [], detail: 'KVM is too slow.', advice: 'Update.' }
    expect(accelerationFinding(facts({ accelerators: [slow, tcg] }))).toEqual({
      state: 'warning',
      detail: 'KVM is too slow.',
      advice: 'Update.',
    })
  })

  test('is no question where the system has none', () => {
    expect(accelerationFinding(facts())).toBeNull()
  })
})

describe('UEFI and TPM', () => {
  test('for which machines', () => {
    const all = facts({ firmware: [firmware('x86_64', 'uefi'), firmware('x86_64', 'uefi-secure'), firmware('x86_64', 'bios')] })
    expect(words(uefiFinding(all, debian))).toBe('ok: Machines can have UEFI: 64-bit x86. Secure Boot: 64-bit x86. ')
    expect(words(uefiFinding(facts({ firmware: [firmware('x86_64', 'bios')] }), debian))).toMatch(
      /^info: There is no UEFI.*apt-get install ovmf/,
    )
  })

  test('ARM machines need it', () => {
    const arm = facts({ programs: [program('x86_64'), program('aarch64')], firmware: [firmware('x86_64', 'uefi')] })
    expect(words(uefiFinding(arm, debian))).toMatch(/^info: .*Secure Boot: none\. ARM machines cannot start.*qemu-efi-aarch64/)
  })

  test('a TPM is swtpm, which Windows has not', () => {
    expect(words(tpmFinding(facts({ swtpm: '/usr/bin/swtpm' }), debian))).toMatch(/^ok: /)
    expect(words(tpmFinding(facts(), debian))).toMatch(/^info: .*apt-get install swtpm$/)
    expect(tpmFinding(facts(), windows)).not.toHaveProperty('advice')
  })
})

describe('how to install it', () => {
  test.each<[string, NodeJS.Platform, string, RegExp]>([
    ['Debian', 'linux', 'ID=debian', /sudo apt-get install /],
    ['Mint, which is like Ubuntu', 'linux', 'ID=linuxmint\nID_LIKE="ubuntu debian"', /sudo apt-get install /],
    ['Fedora', 'linux', 'NAME="Fedora Linux"\nID=fedora\n', /sudo dnf install /],
    ['Rocky', 'linux', 'ID="rocky"\nID_LIKE="rhel centos fedora"', /sudo dnf install /],
    ['Arch', 'linux', "ID='arch'", /sudo pacman -S qemu-full/],
    ['openSUSE', 'linux', 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"', /sudo zypper install /],
    ['Alpine', 'linux', 'ID=alpine', /doas apk add /],
    ['another Linux', 'linux', 'ID=void', /package manager; https:\/\/www\.qemu\.org\/download\/#linux/],
    ['macOS', 'darwin', '', /^Install it by Homebrew: brew install qemu swtpm$/],
    ['Windows', 'win32', '', /winget install SoftwareFreedomConservancy\.QEMU.*download\/#windows/],
  ])('%s', (_name, platform, osRelease, advice) => {
    expect(installAdvice('qemu', platform, osRelease)).toMatch(advice)
  })
})
