/** The files that QEMU is told to read, looked at before it starts: its own words for them are for people who know its options. */
import { stat } from 'node:fs/promises'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineSpec } from '../../../src-shared/model/machine-spec.ts'
import { MAX_DRIVES } from '../../../src-shared/model/machine.ts'
import { isNetworkAddress } from '../../../src-shared/model/network-disk.ts'

/** @throws AppError naming the file or the field */
export async function checkFiles(spec: MachineSpec): Promise<void> {
  const { qemu, boot } = spec
  if (!qemu) throw new AppError('invalid-input', 'This machine is not planned for QEMU.')
  checkDrives(spec)
  await present(qemu.binary, 'QEMU')
  if (qemu.firmware.code !== null) await present(qemu.firmware.code, 'The firmware')
  if (boot.kind === 'kernel') {
    await present(boot.kernel, 'The kernel')
    if (boot.initrd !== null) await present(boot.initrd, 'The initial file system')
  }
  for (const { path, inserted } of spec.drives)
    if (inserted && path !== null && !isNetworkAddress(path)) await stat(path).catch(cannotRead('The image'))
}

function checkDrives({ drives }: MachineSpec): void {
  if (drives.length <= MAX_DRIVES) return
  const message = `A machine on QEMU has at most ${MAX_DRIVES} drives; this one has ${drives.length}.`
  throw new AppError('unsupported', message, { fields: [{ path: `drives.${MAX_DRIVES}`, message }] })
}

async function present(path: string, what: string): Promise<void> {
  const { size } = await stat(path).catch(cannotRead(what))
  if (size === 0) throw new AppError('corrupt', `${what} file ${path} is empty.`, { subject: path })
}

function cannotRead(what: string): (error: unknown) => never {
  return (error) => {
    throw asAppError(error, `Reading ${what === 'QEMU' ? what : what.charAt(0).toLowerCase() + what.slice(1)}`)
  }
}
