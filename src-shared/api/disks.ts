/** The disks of machines: what they take, what can be done with each now, and doing it. What is plugged in where stands in the machine's configuration. */
import { z } from 'zod'
import type { WireError } from '../errors/app-error.ts'
import type { DiskFormat } from '../model/disk-format.ts'
import type { ImageMeasure } from '../model/image-info.ts'
import { diskUseSchema, newDiskBytesSchema, newDiskSchema } from '../model/new-disk.ts'
import { MAX_DRIVES } from '../model/machine.ts'
import { call, defineService } from '../rpc/service.ts'
import type { MachineView } from './machines.ts'

const machine = z.string()

/** What can be done with a disk. */
export const DISK_WORK = ['grow', 'shrink', 'compact', 'check', 'repair'] as const
export type DiskWork = (typeof DISK_WORK)[number]

export interface DiskState {
  /** The drive's id. */
  drive: string
  /** Absolute; or an address on the network. */
  path: string
  format: DiskFormat
  /** Null where it cannot be looked at, `problem` says why, and of a disk on the network. */
  measure: ImageMeasure | null
  problem: WireError | null
  /** Why not now, as a sentence; null: it can be done. */
  why: Record<DiskWork, string | null>
}

export const disks = defineService('disks', {
  /** The disks of a machine, running or not, in its configuration's order. Compact, check and repair them by `images`. */
  list: call(z.strictObject({ machine })).returns<DiskState[]>(),
  /**
   * `size` in bytes; larger at once for a guest that runs, where its engine can. A smaller one is refused unless `shrink` says that what it cuts off may be
   * lost, and always where a partition would be cut off.
   */
  resize: call(z.strictObject({ machine, drive: z.string(), size: newDiskBytesSchema, shrink: z.boolean().default(false) })).returns<{
    size: number
  }>(),
  /**
   * Adds disks, all or none, behind those that it has; to a machine that runs where that is possible (`live.why.addDisk`). Errors as of `machines.update`;
   * fields are `disks.N` or those of the machine's configuration.
   */
  add: call(
    z.strictObject({
      machine,
      disks: z
        .array(z.strictObject({ source: newDiskSchema, use: diskUseSchema.default({}) }))
        .min(1)
        .max(MAX_DRIVES),
    }),
  ).returns<MachineView>(),
  /**
   * Deletes the image of a disk that was taken out. `path` as the machine's configuration had it. `wrong-state` where something still needs it: a drive, a
   * snapshot, a disk that rests on it, of this machine or another.
   */
  deleteImage: call(
    z.strictObject({
      machine,
      path: z.string().regex(/^disks\/[^./\\][^/\\]*$/, 'Only images in the machine’s folder of disks are deleted.'),
    }),
  ).returns<void>(),
})
