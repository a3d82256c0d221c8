import { posix } from 'node:path'
import { runtimeIn, type QemuRuntime } from '../../src-main/engines/qemu/arguments/runtime.ts'
import type { MachineSpec, QemuSpec } from '../../src-shared/model/machine-spec.ts'

/** A PC of today under TCG, but for what is said. */
export function qemuSpec(change: Partial<Omit<MachineSpec, 'qemu'>> = {}, qemu: Partial<QemuSpec> = {}): MachineSpec {
  return {
    id: '0b8f3c2a-6a2f-4a7e-9a51-1f6a3f0f6c11',
    name: 'web-1',
    engine: 'qemu',
    arch: 'x86_64',
    cpus: 1,
    memoryMiB: 512,
    firmware: null,
    boot: { kind: 'firmware', order: ['disk', 'cdrom', 'floppy'] },
    drives: [],
    nics: [],
    serialPorts: 1,
    sharedFolders: [],
    logFolder: '/lib/web-1.coppice/logs',
    ...change,
    qemu: {
      binary: '/usr/bin/qemu-system-x86_64',
      version: '7.2.22',
      accelerator: 'tcg',
      machineType: 'q35',
      maxCpus: change.cpus ?? 1,
      sandbox: true,
      devices: 'modern',
      display: 'virtio',
      firmware: { kind: 'bios', code: null },
      tpm: null,
      ...qemu,
    },
  }
}

export function qemuRuntime(spec: MachineSpec, folder = '/run/m'): QemuRuntime {
  return runtimeIn(folder, spec, posix.join)
}
