/** The formats of disk images that Coppice knows. The format of a machine's disk is declared, never guessed: a guest could write a header into a raw disk. */
import { z } from 'zod'

export const diskFormat = z.enum(['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx'])
export type DiskFormat = z.output<typeof diskFormat>
