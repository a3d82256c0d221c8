/** What runs a machine, in a few words and in a line. Pure. */
import type { MachineView } from '../../../src-shared/api/machines.ts'
import { CPUS, isPc, type Arch, type MachineConfig, type NicModel } from '../../../src-shared/model/machine.ts'

type Engine = Pick<MachineView, 'engine' | 'accelerator' | 'engineVersion'>

const ACCELERATORS: Record<string, { short: string; words: string }> = {
  kvm: { short: 'KVM', words: 'accelerated by KVM' },
  hvf: { short: 'HVF', words: 'accelerated by Apple’s Hypervisor framework' },
  whpx: { short: 'WHPX', words: 'accelerated by the Windows Hypervisor Platform' },
  tcg: { short: 'TCG', words: 'in software (TCG)' },
}

export const ARCH_WORDS: Record<Arch, { label: string; detail: string }> = {
  i386: { label: '32-bit PC', detail: 'i386' },
  x86_64: { label: '64-bit PC', detail: 'x86_64; runs 32-bit systems too' },
  aarch64: { label: '64-bit ARM', detail: 'aarch64' },
  riscv64: { label: '64-bit RISC-V', detail: 'riscv64' },
}

export const FIRMWARE_WORDS: Record<MachineConfig['firmware'], { label: string; detail: string }> = {
  bios: { label: 'BIOS', detail: 'Every system for PCs knows it' },
  uefi: { label: 'UEFI', detail: 'Of computers of today' },
  'uefi-secure': { label: 'UEFI with Secure Boot', detail: 'Starts signed systems only' },
}

export const DEVICES_WORDS: Record<MachineConfig['devices'], { label: string; detail: string }> = {
  auto: { label: 'Chosen by Coppice', detail: 'What the engine does best' },
  modern: { label: 'virtio', detail: 'Fast; Linux and the BSDs know it' },
  legacy: { label: 'Older devices', detail: 'For systems without drivers for virtio' },
}

export const DISPLAY_WORDS: Record<MachineConfig['display'], { label: string; detail: string }> = {
  auto: { label: 'Chosen by Coppice', detail: 'What suits the devices' },
  virtio: { label: 'virtio', detail: 'Can take the size of the window' },
  vga: { label: 'VGA', detail: 'Every system for PCs knows it' },
  none: { label: 'None', detail: 'Serial ports only' },
}

export const POINTER_WORDS: Record<MachineConfig['pointer'], { label: string; detail: string }> = {
  tablet: { label: 'A tablet', detail: 'The guest’s pointer is where yours is' },
  mouse: { label: 'A mouse', detail: 'A click captures your pointer; for systems that know no tablet' },
}

export const NIC_WORDS: Record<NicModel, { label: string; detail: string }> = {
  virtio: { label: 'virtio-net', detail: 'Fast; Linux and the BSDs know it' },
  e1000e: { label: 'Intel e1000e', detail: 'Systems of the last 15 years know it' },
  e1000: { label: 'Intel e1000', detail: 'Older systems know it' },
  rtl8139: { label: 'Realtek 8139', detail: 'Slow, and known to older systems' },
  ne2k: { label: 'NE2000', detail: 'Slow; every old system knows it' },
}

/** Options of a list, those that cannot be had with the reason. @param refused by value */
export function choices<T extends string>(
  words: Record<T, { label: string; detail: string }>,
  refused: Record<string, string> | undefined,
): { value: T; label: string; detail: string; disabled: boolean }[] {
  return (Object.keys(words) as T[]).map((value) => {
    const reason = refused?.[value]
    return { value, label: words[value].label, detail: reason ?? words[value].detail, disabled: reason !== undefined }
  })
}

/** How many processors a list offers, `chosen` among them. */
export function processorCounts(chosen: number): { value: string; label: string }[] {
  const counts = new Set([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, CPUS.max, chosen])
  return [...counts].sort((a, b) => a - b).map((count) => ({ value: String(count), label: String(count) }))
}

/** "QEMU · KVM" */
export function engineBadge({ engine, accelerator }: Engine): string {
  if (engine === 'embedded') return 'Embedded'
  return accelerator === null ? 'QEMU' : `QEMU · ${ACCELERATORS[accelerator]?.short ?? accelerator}`
}

/** "QEMU 7.2.22, in software (TCG)" */
export function engineLine({ engine, accelerator, engineVersion }: Engine): string {
  if (engine === 'embedded') return 'The embedded engine'
  const name = engineVersion === null ? 'QEMU' : `QEMU ${engineVersion}`
  return accelerator === null ? name : `${name}, ${ACCELERATORS[accelerator]?.words ?? accelerator}`
}

/** What it starts with; machines that are no PCs have UEFI, or no firmware where a kernel is given. */
export function firmwareWords({ arch, firmware, boot }: Pick<MachineConfig, 'arch' | 'firmware' | 'boot'>): string {
  if (isPc(arch)) return FIRMWARE_WORDS[firmware].label
  return boot.kind === 'kernel' ? 'None: it starts its kernel directly' : FIRMWARE_WORDS[firmware === 'bios' ? 'uefi' : firmware].label
}
