import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { QEMU_PROGRAM, QEMU_VERSION } from '../../support/qemu-program.ts'
import { qemuSpec } from '../../support/qemu-spec.ts'

/** What differs from a machine on the embedded engine: a 64-bit PC with two processors on the computer's own QEMU, in software. */
export function onQemu(change: Partial<MachineSpec> = {}): Partial<MachineSpec> {
  return {
    ...{ engine: 'qemu', arch: 'x86_64', cpus: 2, memoryMiB: 256, firmware: null },
    qemu: {
      ...qemuSpec().qemu!,
      ...{ binary: QEMU_PROGRAM!, version: QEMU_VERSION, maxCpus: 2, sandbox: process.platform === 'linux' },
    },
    ...change,
  }
}
