/** Devices whose state their engine cannot save: said before the machine stands still for it. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { busOf } from '../../../../src-shared/model/disk-bus.ts'
import type { MachineSpec } from '../../../../src-shared/model/machine-spec.ts'

/**
 * @param spec of a machine that runs
 * @throws AppError `unsupported`
 */
export function refuseUnsavable(name: string, { qemu, drives }: Pick<MachineSpec, 'qemu' | 'drives'>): void {
  const nvme = qemu && drives.find((drive) => drive.kind === 'disk' && busOf(drive, qemu.devices) === 'nvme')
  if (nvme)
    throw new AppError(
      'unsupported',
      `What “${name}” does cannot be saved: QEMU cannot save the state of its NVMe disk “${nvme.id}”. Shut it down instead, take a snapshot without memory, or plug that disk in by virtio.`,
      { subject: name },
    )
}
