/**
 * What this computer shows of its virtualization, beside trying it: asked where the reason matters, that is where an accelerator is missing or
 * fails. Parsing is pure; programs of the system are run by their full paths.
 */
import { KiB } from '../../../../src-shared/base/units.ts'
import type { Computer } from './computer.ts'
import { variable } from './computer.ts'
import type { RunProgram } from './run-program.ts'

/** ms; PowerShell takes seconds to start. */
const PATIENCE = 10_000

export interface HostEvidence {
  /** The processor offers virtualization to this system; null where that is not known. */
  virtualization: boolean | null
  /** This computer is a virtual machine itself; on Windows also: a hypervisor runs (Hyper-V, or the one under this machine). */
  underHypervisor: boolean | null
}

export const NOT_KNOWN: HostEvidence = { virtualization: null, underHypervisor: null }

export async function hostEvidence(computer: Computer, run: RunProgram): Promise<HostEvidence> {
  switch (computer.platform) {
    case 'linux': {
      const cpu = await computer.files.read('/proc/cpuinfo', 1024 * KiB)
      return parseCpuInfo(cpu ?? '', computer.arch)
    }
    case 'darwin': {
      const { output } = await run({ program: '/usr/sbin/sysctl', args: ['-n', 'kern.hv_support', 'kern.hv_vmm_present'], limit: PATIENCE })
      return parseSysctl(output)
    }
    case 'win32': {
      const program = `${variable(computer, 'SystemRoot') || 'C:\\Windows'}\\System32\\WindowsPowerShell\\v1.0\\powershell.exe`
      const script =
        '"$((Get-CimInstance Win32_Processor | Select-Object -First 1).VirtualizationFirmwareEnabled) $((Get-CimInstance Win32_ComputerSystem).HypervisorPresent)"'
      const { output } = await run({ program, args: ['-NoProfile', '-NonInteractive', '-Command', script], limit: PATIENCE })
      return parseWindows(output)
    }
    default:
      return NOT_KNOWN
  }
}

/** proc_cpuinfo(5). Linux takes vmx away where the firmware forbids it; svm stays. ARM does not say. Pure. */
export function parseCpuInfo(text: string, arch: string): HostEvidence {
  const flags = /^flags\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/)
  if (arch !== 'x64' || !flags) return NOT_KNOWN
  return { virtualization: flags.includes('vmx') || flags.includes('svm'), underHypervisor: flags.includes('hypervisor') }
}

/** kern.hv_support, and kern.hv_vmm_present where macOS knows it. Pure. */
export function parseSysctl(output: string): HostEvidence {
  const [support, present] = output.trim().split(/\s+/)
  const read = (value: string | undefined): boolean | null => (value === '1' ? true : value === '0' ? false : null)
  return { virtualization: read(support), underHypervisor: read(present) }
}

/** "True False". Under a hypervisor Windows no longer sees whether the firmware allows one: it evidently does. Pure. */
export function parseWindows(output: string): HostEvidence {
  const [firmware, hypervisor] = output.trim().toLowerCase().split(/\s+/)
  const read = (value: string | undefined): boolean | null => (value === 'true' ? true : value === 'false' ? false : null)
  const underHypervisor = read(hypervisor)
  return { virtualization: underHypervisor === true ? true : read(firmware), underHypervisor }
}
