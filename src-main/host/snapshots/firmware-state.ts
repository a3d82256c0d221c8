/** What a machine's UEFI and TPM remember: a few small files, which go with its disks. */
import { cp, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Nothing where there is nothing. */
export async function copyFirmware(from: string, to: string): Promise<void> {
  if (await stat(from).catch(() => null)) await cp(from, to, { recursive: true, errorOnExist: true, force: false })
}

/** The machine's firmware remembers what it did when the snapshot was taken. */
export async function putBackFirmware(snapshot: string, machine: string): Promise<void> {
  const fresh = join(`${machine}.new`)
  await rm(fresh, { recursive: true, force: true })
  await copyFirmware(snapshot, fresh)
  await rm(machine, { recursive: true, force: true })
  if (await stat(fresh).catch(() => null)) await rename(fresh, machine)
}
