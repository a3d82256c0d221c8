/** From what was tried to what people are told: whether an accelerator can be used, why, and what to do. Pure. */
import type { AcceleratorFact } from '../../../../src-shared/model/engine-facts.ts'
import type { Accelerator } from '../../../../src-shared/model/machine-spec.ts'
import type { Arch } from '../../../../src-shared/model/machine.ts'
import { NOT_KNOWN, type HostEvidence } from './host-evidence.ts'
import type { ProbeResult } from './probe/probe.ts'

/** The accelerator that executes on the processor itself, by platform. */
export function hardwareAccelerator(platform: NodeJS.Platform): Accelerator | null {
  return ({ linux: 'kvm', darwin: 'hvf', win32: 'whpx' } as const)[platform as string] ?? null
}

/** The guests whose code this processor executes; the first one’s program is the one to try. */
export function nativeArches(arch: string): Arch[] {
  return arch === 'x64' ? ['x86_64', 'i386'] : arch === 'arm64' ? ['aarch64'] : []
}

export type Untried = 'no-device' | 'no-rights' | 'not-built' | 'no-program'
export type Tried = ProbeResult | { kind: 'untried'; why: Untried }

const NAMES: Record<Accelerator, string> = {
  kvm: 'KVM',
  hvf: 'Apple’s Hypervisor framework (HVF)',
  whpx: 'The Windows Hypervisor Platform (WHPX)',
  tcg: 'QEMU’s own translation (TCG)',
}
const SLOW_WITHOUT = 'Machines run without it too, only slower.'
const IN_FIRMWARE =
  'Restart the computer, open its firmware set-up (often by F2 or Del), and switch on virtualization: Intel VT-x or AMD-V, also called SVM.'
const NESTED = 'Switch on nested virtualization for it in the settings of its own host.'
const WINDOWS_FEATURE =
  'Switch on “Windows Hypervisor Platform” in “Turn Windows features on or off” and restart, or do so in a PowerShell of an administrator: Enable-WindowsOptionalFeature -Online -FeatureName HypervisorPlatform'

/** @param result null where it could not be tried  @param arches of the programs that have it */
export function judgeTcg(result: ProbeResult | null, arches: Arch[]): AcceleratorFact {
  const fact = (usable: boolean, detail: string, advice: string | null): AcceleratorFact => ({
    name: 'tcg',
    usable,
    arches: usable ? arches : [],
    detail,
    advice,
  })
  const about = `${NAMES.tcg} runs every guest on every computer, slower than the processor would.`
  switch (result?.kind) {
    case undefined:
      return fact(true, about, null)
    case 'works':
      return fact(true, `${about} It ran the test program in ${result.ms} ms.`, null)
    case 'slow':
      return fact(
        false,
        `${NAMES.tcg} did not end the test program within ${seconds(result.ms)}.`,
        'Try again when this computer is less busy.',
      )
    case 'fails':
      return fact(false, `${NAMES.tcg} could not run the test program: ${sentence(result.message)}`, 'Install QEMU again.')
  }
}

/** @param evidence null where it works, as nothing has to be explained then */
export function judgeHardware(name: Accelerator, arch: string, tried: Tried, evidence: HostEvidence | null): AcceleratorFact {
  if (tried.kind === 'works') {
    const detail = `${NAMES[name]} works: the test program ran in ${tried.ms} ms.`
    return { name, usable: true, arches: nativeArches(arch), detail, advice: null }
  }
  const [detail, advice] = explain(name, tried, evidence ?? NOT_KNOWN)
  return { name, usable: false, arches: [], detail, advice }
}

type Explanation = [detail: string, advice: string]

function explain(name: Accelerator, tried: Exclude<Tried, { kind: 'works' }>, evidence: HostEvidence): Explanation {
  if (tried.kind === 'untried' && tried.why === 'no-program')
    return [
      `${NAMES[name]} could not be tried: the QEMU for this computer’s own processor is not installed.`,
      'Install the QEMU for this computer’s processor.',
    ]
  if (tried.kind === 'untried' && tried.why === 'not-built')
    return [`${NAMES[name]} is not part of this QEMU.`, 'Install a QEMU that was built with it.']
  const off = evidence.virtualization === false ? virtualizationOff(name, evidence) : null
  if (tried.kind === 'slow')
    return [
      `${NAMES[name]} is there, but too slow to be used: the test program, which takes milliseconds, did not end within ${seconds(tried.ms)}.`,
      evidence.underHypervisor === true
        ? `This computer is itself a virtual machine, and its host only imitates virtualization. ${NESTED} ${SLOW_WITHOUT}`
        : `Update this computer’s system and firmware, and end other programs that run virtual machines. ${SLOW_WITHOUT}`,
    ]
  if (off) return off
  if (tried.kind === 'untried')
    return tried.why === 'no-rights'
      ? NO_RIGHTS
      : [
          'KVM is not loaded: there is no /dev/kvm.',
          `Load it: sudo modprobe kvm_intel, or kvm_amd for AMD’s processors. If that fails: ${lowerFirst(IN_FIRMWARE)} In a container, ask for the device to be passed in.`,
        ]
  const { message } = tried
  switch (name) {
    case 'kvm':
      return explainKvm(message)
    case 'whpx':
      return explainWhpx(message, evidence)
    default:
      return explainHvf(message)
  }
}

function virtualizationOff(name: Accelerator, { underHypervisor }: HostEvidence): Explanation {
  if (name === 'hvf') return [`${NAMES.hvf} is not offered by this Mac.`, underHypervisor === true ? NESTED : SLOW_WITHOUT]
  return underHypervisor === true
    ? [
        `${NAMES[name]} cannot be used: this computer is itself a virtual machine, and its host offers no virtualization to it.`,
        `${NESTED} ${SLOW_WITHOUT}`,
      ]
    : [
        `${NAMES[name]} cannot be used: virtualization is off in this computer’s firmware, or its processor has none.`,
        `${IN_FIRMWARE} ${SLOW_WITHOUT}`,
      ]
}

const NO_RIGHTS: Explanation = [
  'KVM is there, but you have no rights on /dev/kvm.',
  'Join the group of the device, then log out and in again: sudo usermod -aG kvm "$USER"',
]

function explainKvm(message: string): Explanation {
  if (/permission denied/i.test(message)) return NO_RIGHTS
  if (/resource busy|already in use/i.test(message))
    return [
      'KVM cannot be used: another program has the processor’s virtualization.',
      'End VirtualBox’s, VMware’s and other virtual machines that run here.',
    ]
  return [`KVM is there and does not work: ${sentence(message)}`, `Update this computer’s system. ${SLOW_WITHOUT}`]
}

function explainWhpx(message: string, { underHypervisor }: HostEvidence): Explanation {
  // The last of these is how QEMU ends after the first.
  if (/no accelerator found|could not load library|winhvplatform|no space left/i.test(message))
    return ['The Windows Hypervisor Platform is not switched on.', WINDOWS_FEATURE]
  if (underHypervisor === true)
    return [
      `Hyper-V runs, but does not let QEMU in: ${sentence(message)}`,
      `${WINDOWS_FEATURE} Where that is on already, “Memory integrity” in Windows Security and other virtual machine programs may be in the way. ${SLOW_WITHOUT}`,
    ]
  return [`${NAMES.whpx} does not work: ${sentence(message)}`, WINDOWS_FEATURE]
}

function explainHvf(message: string): Explanation {
  if (/HV_DENIED/.test(message))
    return [
      `${NAMES.hvf} refuses this QEMU: it lacks the signature that macOS asks for.`,
      'Install QEMU by Homebrew, which signs it: brew install qemu',
    ]
  return [`${NAMES.hvf} does not work: ${sentence(message)}`, `Update macOS and QEMU. ${SLOW_WITHOUT}`]
}

function seconds(ms: number): string {
  const count = Math.max(1, Math.round(ms / 1000))
  return count === 1 ? 'a second' : `${count} seconds`
}

function sentence(message: string): string {
  return /[.!?]$/.test(message) ? message : `${message}.`
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
