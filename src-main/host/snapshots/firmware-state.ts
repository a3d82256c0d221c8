/** What a machine's UEFI and TPM remember: a few small files, which go with its disks. */
import { cp, rename, rm, stat } from 'node:fs/promises'

/** Nothing where there is nothing. @returns whether there is something */
export async function copyFirmware(from: string, to: string): Promise<boolean> {
  if (!(await stat(from).catch(() => null))) return false
  await cp(from, to, { recursive: true, errorOnExist: true, force: false })
  return true
}

/** The machine's firmware remembers what stands ready at `fresh`; where that is gone, it did before. */
export async function switchFirmware(fresh: string, machine: string): Promise<void> {
  if (!(await stat(fresh).catch(() => null))) return
  await rm(machine, { recursive: true, force: true })
  await rename(fresh, machine)
}
