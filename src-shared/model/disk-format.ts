/** The formats of disk images that Coppice knows. The format of a machine's disk is declared, never guessed: a guest could write a header into a raw disk. */
import { z } from 'zod'

export const diskFormat = z.enum(['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx'])
export type DiskFormat = z.output<typeof diskFormat>

const FORMAT_OF_ENDING: Readonly<Record<string, DiskFormat>> = {
  img: 'raw',
  raw: 'raw',
  qcow2: 'qcow2',
  vmdk: 'vmdk',
  vdi: 'vdi',
  vhd: 'vhd',
  vhdx: 'vhdx',
}

/** The format that the name of a new file asks for ("disk.qcow2"). Null: its name says nothing. Files that are there are never judged by their name. */
export function formatOfName(path: string): DiskFormat | null {
  const ending = /\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? ''
  return Object.hasOwn(FORMAT_OF_ENDING, ending) ? FORMAT_OF_ENDING[ending]! : null
}
