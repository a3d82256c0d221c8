import { describe, expect, test } from 'vitest'
import { parseCpuInfo, parseSysctl, parseWindows, type HostEvidence } from '../../../../../src-main/engines/qemu/find/host-evidence.ts'
import { judgeHardware, judgeTcg, type Tried } from '../../../../../src-main/engines/qemu/find/judge.ts'
import type { Accelerator } from '../../../../../src-shared/model/machine-spec.ts'

const plain: HostEvidence = { virtualization: true, underHypervisor: false }
const nested: HostEvidence = { virtualization: true, underHypervisor: true }
const fails = (message: string): Tried => ({ kind: 'fails', message })

/** What people are told. */
function told(name: Accelerator, tried: Tried, evidence: HostEvidence | null): string {
  const { usable, arches, detail, advice } = judgeHardware(name, 'x64', tried, evidence)
  expect(usable).toBe(false)
  expect(arches).toEqual([])
  expect(detail).toMatch(/^[\p{Lu}“].*\.$/u)
  return `${detail} ${advice}`
}

describe('accelerators that work', () => {
  test('are for the guests of this processor', () => {
    expect(judgeHardware('kvm', 'x64', { kind: 'works', ms: 17 }, null)).toEqual({
      name: 'kvm',
      usable: true,
      arches: ['x86_64', 'i386'],
      detail: 'KVM works: the test program ran in 17 ms.',
      advice: null,
    })
    expect(judgeHardware('hvf', 'arm64', { kind: 'works', ms: 30 }, null)).toMatchObject({ usable: true, arches: ['aarch64'] })
    expect(judgeTcg({ kind: 'works', ms: 46 }, ['x86_64', 'riscv64'])).toMatchObject({
      usable: true,
      arches: ['x86_64', 'riscv64'],
      advice: null,
    })
    expect(judgeTcg(null, ['riscv64'])).toMatchObject({ usable: true })
  })

  test('TCG that does not work says so', () => {
    expect(judgeTcg({ kind: 'fails', message: 'no such machine' }, ['x86_64'])).toMatchObject({ usable: false, arches: [] })
    expect(judgeTcg({ kind: 'slow', ms: 15_000 }, ['x86_64']).detail).toContain('15 seconds')
  })
})

describe('accelerators that do not work: why, and what to do', () => {
  test.each<[string, Accelerator, Tried, HostEvidence | null, RegExp]>([
    ['no rights on /dev/kvm', 'kvm', { kind: 'untried', why: 'no-rights' }, plain, /no rights on \/dev\/kvm.*usermod -aG kvm/],
    ['no rights, said by QEMU', 'kvm', fails('failed to initialize kvm: Permission denied'), plain, /no rights/],
    ['KVM not loaded', 'kvm', { kind: 'untried', why: 'no-device' }, plain, /not loaded.*modprobe kvm_intel/],
    [
      'virtualization off in the firmware',
      'kvm',
      { kind: 'untried', why: 'no-device' },
      { virtualization: false, underHypervisor: false },
      /off in this computer’s firmware.*VT-x or AMD-V/,
    ],
    [
      'a virtual machine without nested virtualization',
      'kvm',
      { kind: 'untried', why: 'no-device' },
      { virtualization: false, underHypervisor: true },
      /itself a virtual machine.*nested virtualization/,
    ],
    ['KVM that is too slow', 'kvm', { kind: 'slow', ms: 1004 }, nested, /too slow.*within a second.*only imitates/],
    ['KVM that is too slow on a real computer', 'kvm', { kind: 'slow', ms: 2004 }, plain, /too slow.*2 seconds.*Update/],
    ['VirtualBox has it', 'kvm', fails('failed to initialize kvm: Device or resource busy'), plain, /another program.*VirtualBox/],
    ['KVM that fails otherwise', 'kvm', fails('failed to initialize kvm: Bad address'), plain, /does not work: .*Bad address\./],
    ['not in this build', 'kvm', { kind: 'untried', why: 'not-built' }, plain, /not part of this QEMU/],
    ['only QEMU for other processors', 'kvm', { kind: 'untried', why: 'no-program' }, plain, /processor is not installed/],
    [
      'WHPX off',
      'whpx',
      fails('failed to initialize whpx: No space left on device'),
      plain,
      /not switched on.*“Windows Hypervisor Platform”.*Enable-WindowsOptionalFeature/,
    ],
    ['Hyper-V in the way', 'whpx', fails('WHPX: Failed to create partition'), nested, /Hyper-V runs.*Memory integrity/],
    [
      'Windows with virtualization off in the firmware',
      'whpx',
      fails('failed to initialize whpx: No space left on device'),
      { virtualization: false, underHypervisor: false },
      /firmware/,
    ],
    ['a QEMU that macOS does not trust', 'hvf', fails('Error: ret = HV_DENIED (0xfae94007)'), plain, /signature.*brew install qemu/],
    [
      'a Mac without it',
      'hvf',
      fails('Error: ret = HV_UNSUPPORTED'),
      { virtualization: false, underHypervisor: true },
      /not offered by this Mac/,
    ],
  ])('%s', (_case, name, tried, evidence, words) => {
    expect(told(name, tried, evidence)).toMatch(words)
  })
})

describe('what the system shows of its virtualization', () => {
  test('Linux: flags of the processor', () => {
    expect(parseCpuInfo('processor\t: 0\nflags\t\t: fpu vmx sse2 hypervisor\n', 'x64')).toEqual({
      virtualization: true,
      underHypervisor: true,
    })
    expect(parseCpuInfo('flags\t\t: fpu svm_lock\n', 'x64')).toEqual({ virtualization: false, underHypervisor: false })
    expect(parseCpuInfo('Features\t: fp asimd\n', 'arm64')).toEqual({ virtualization: null, underHypervisor: null })
    expect(parseCpuInfo('', 'x64')).toEqual({ virtualization: null, underHypervisor: null })
  })

  test('macOS: two numbers, or one on older ones', () => {
    expect(parseSysctl('1\n0\n')).toEqual({ virtualization: true, underHypervisor: false })
    expect(parseSysctl('0\n')).toEqual({ virtualization: false, underHypervisor: null })
  })

  test('Windows: under Hyper-V the firmware evidently allows it', () => {
    expect(parseWindows('False True\r\n')).toEqual({ virtualization: true, underHypervisor: true })
    expect(parseWindows('False False\r\n')).toEqual({ virtualization: false, underHypervisor: false })
    expect(parseWindows('garbage')).toEqual({ virtualization: null, underHypervisor: null })
  })
})
