/** What QEMU's machines start from: BIOS, UEFI or UEFI with Secure Boot. Pure. */
import type { FirmwareFact, QemuFacts } from '../../../src-shared/model/engine-facts.ts'
import { isPc, type Arch, type MachineConfig } from '../../../src-shared/model/machine.ts'
import type { QemuSpec } from '../../../src-shared/model/machine-spec.ts'

type Config = Pick<MachineConfig, 'arch' | 'firmware' | 'boot'>

/** The machine's own variables in its bundle. The two begin with other keys: changing from one to the other must not go on with the other's. */
export const VARIABLES = { uefi: 'vars.fd', 'uefi-secure': 'secure-vars.fd' } as const

/** Debian's names, as an example of what to install. */
const PACKAGES: Record<Arch, string> = {
  i386: 'ovmf-ia32',
  x86_64: 'ovmf',
  aarch64: 'qemu-efi-aarch64',
  riscv64: 'qemu-efi-riscv64',
}

/**
 * `bios` is what QEMU brings along. Machines that are no PCs have no other firmware than UEFI; with a kernel of their own they need none,
 * and start faster without.
 */
export function firmwareKind({ arch, firmware, boot }: Config): MachineConfig['firmware'] {
  if (isPc(arch)) return firmware
  if (boot.kind === 'kernel') return 'bios'
  return firmware === 'bios' ? 'uefi' : firmware
}

/** Why there is none for this machine, as a sentence; null where there is. */
export function firmwareProblem(config: Config, facts: QemuFacts): string | null {
  const kind = firmwareKind(config)
  if (kind === 'bios' || find(config.arch, kind, facts)) return null
  const name = kind === 'uefi' ? 'UEFI firmware' : 'UEFI firmware with Secure Boot'
  const other = kind === 'uefi-secure' && find(config.arch, 'uefi', facts) ? ', or choose UEFI without Secure Boot' : ''
  return `No ${name} for ${config.arch} systems was found on this computer. Install it (Debian: the package ${PACKAGES[config.arch]})${other}.`
}

/**
 * @param folder the bundle's, for the machine's own variables; `join` joins paths as this computer does
 * @throws Error where `firmwareProblem` has one
 */
export function resolveFirmware(
  config: Config,
  facts: QemuFacts,
  folder: string,
  join: (...parts: string[]) => string,
): QemuSpec['firmware'] {
  const kind = firmwareKind(config)
  if (kind === 'bios') return { kind, code: null }
  const found = find(config.arch, kind, facts)
  if (!found) throw new Error('There is no such firmware.')
  const { code, vars, format } = found
  const path = join(folder, VARIABLES[kind])
  return { kind, code, vars: vars === null ? null : { template: vars, path }, format }
}

function find(arch: Arch, kind: 'uefi' | 'uefi-secure', { firmware }: QemuFacts): FirmwareFact | undefined {
  return firmware.find((one) => one.arch === arch && one.kind === kind)
}
