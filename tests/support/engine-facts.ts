import type { EngineFacts } from '../../src-main/host/planner/facts.ts'
import { NO_QEMU, type FirmwareFact, type QemuFacts, type QemuProgram } from '../../src-shared/model/engine-facts.ts'
import { NIC_MODELS } from '../../src-shared/model/machine.ts'
import type { Accelerator } from '../../src-shared/model/machine-spec.ts'

const NIC_DEVICES = NIC_MODELS.map((model) => ({ virtio: 'virtio-net-pci', ne2k: 'ne2k_pci' })[model as string] ?? model)

const DISK_DEVICES = ['virtio-blk-pci', 'ide-hd', 'nvme', 'usb-storage', 'qemu-xhci', 'usb-ehci']

/** A program that has everything, but for what is said. */
export function qemuProgram(arch: QemuProgram['arch'], change: Partial<QemuProgram> = {}): QemuProgram {
  const pc = arch === 'i386' || arch === 'x86_64'
  return {
    arch,
    path: `/usr/bin/qemu-system-${arch}`,
    version: '7.2.22',
    machineTypes: pc
      ? [
          { name: 'pc-q35-7.2', alias: 'q35', maxCpus: 288 },
          { name: 'pc-i440fx-7.2', alias: 'pc', maxCpus: 255 },
        ]
      : [{ name: 'virt', alias: null, maxCpus: 512 }],
    devices: [...NIC_DEVICES, ...DISK_DEVICES, ...(pc ? ['virtio-vga', 'VGA', 'tpm-tis'] : ['virtio-gpu-pci', 'tpm-tis-device'])],
    features: ['sandbox', 'vnc', 'netdev-stream', 'throttle-group', 'tpm-emulator', 'shared-folders', 'disk-nbd'],
    ...change,
  }
}

/** A computer with QEMU for all guests and no firmware, on which the accelerators that are named work for PCs. */
export function engineFacts(works: Accelerator[] = ['tcg'], change: Partial<QemuFacts> = {}): EngineFacts {
  const arches = ['i386', 'x86_64', 'aarch64', 'riscv64'] as const
  return {
    computer: { cpus: 8, memoryMiB: 16_384 },
    qemu: {
      ...NO_QEMU,
      found: true,
      programs: arches.map((arch) => qemuProgram(arch)),
      accelerators: (['kvm', 'tcg'] as const).map((name) => ({
        name,
        usable: works.includes(name),
        arches: !works.includes(name) ? [] : name === 'kvm' ? ['i386', 'x86_64'] : [...arches],
        detail: works.includes(name) ? `${name} works.` : 'KVM is there, but too slow to be used.',
        advice: null,
      })),
      swtpm: '/usr/bin/swtpm',
      ...change,
    },
  }
}

export const WITHOUT_QEMU: EngineFacts = { computer: { cpus: 8, memoryMiB: 16_384 }, qemu: NO_QEMU }

export const OVMF: FirmwareFact = { arch: 'x86_64', kind: 'uefi', code: '/fw/CODE.fd', vars: '/fw/VARS.fd', format: 'raw' }
export const OVMF_SECURE: FirmwareFact = { ...OVMF, kind: 'uefi-secure', code: '/fw/CODE.secure.fd', vars: '/fw/VARS.ms.fd' }
