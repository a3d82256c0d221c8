/** What a disk that a machine gets is made from. */
import { z } from 'zod'
import { BUSES, CACHES } from './disk-bus.ts'
import { diskPathSchema, isAbsolutePath } from './machine.ts'

export const DISK_BYTES = { min: 1024 * 1024, max: 1024 ** 4 } as const

export const newDiskBytesSchema = z
  .number()
  .int()
  .min(DISK_BYTES.min, 'A disk needs at least 1 MiB.')
  .max(DISK_BYTES.max, 'A disk can have at most 1 TiB.')
  .multipleOf(512, 'A disk’s size is a multiple of 512 bytes.')

const existing = diskPathSchema.refine(isAbsolutePath, 'A disk image needs its full path.')

/** `new`: an empty disk in the machine's bundle, which takes next to no room. `file`: an image or an address on the network, used where it is. */
export const newDiskSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('new'), bytes: newDiskBytesSchema }),
  z.strictObject({ kind: z.literal('file'), path: existing }),
])
export type NewDisk = z.output<typeof newDiskSchema>

/** How it is used. Absent: as Coppice would. */
export const diskUseSchema = z.strictObject({
  bus: z.enum(BUSES).optional(),
  cache: z.enum(CACHES).optional(),
  readOnly: z.boolean().optional(),
})
export type DiskUse = z.output<typeof diskUseSchema>
