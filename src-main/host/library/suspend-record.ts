/**
 * suspend/suspend.json: stands beside a memory state and says what it belongs to. Its presence is what makes a machine `suspended`.
 * The drives' stamps guard against resuming onto a disk that was changed meanwhile: the guest's caches would overwrite what was changed. While a
 * snapshot is taken, a drive has two: of the file that is frozen, and of the one that goes on from it.
 */
import { z } from 'zod'
import { machineSpecSchema } from '../../../src-shared/model/machine-spec.ts'

/** Bytes. */
export const MAX_SUSPEND_RECORD_BYTES = 64 * 1024

const driveStampSchema = z.strictObject({
  id: z.string(),
  bytes: z.number(),
  /** Modification time (Unix ms) and inode: a changed time in the same inode is a change in place; another inode is a copy. */
  modified: z.number(),
  inode: z.number(),
})
export type DriveStamp = z.output<typeof driveStampSchema>

export const suspendRecordSchema = z.strictObject({
  schema: z.literal(1),
  header: z.strictObject({
    format: z.union([z.literal(1), z.literal(2)]),
    engine: z.enum(['embedded', 'qemu']),
    engineVersion: z.string(),
    machine: z.uuid(),
    memoryMiB: z.number(),
    savedAt: z.iso.datetime(),
    bytes: z.number(),
  }),
  /** When the guest had booted, before it was suspended; null where that was never seen. */
  bootedAt: z.iso.datetime().nullable(),
  drives: z.array(driveStampSchema),
  /** The snapshots of which the machine's present state may have come from for this to be its memory (as `point` in machine.json). Absent: whichever. */
  points: z.array(z.uuid().nullable()).optional(),
  /** As it was then, which may be not quite what its configuration builds: it can be changed while it runs. Absent in older records. */
  spec: machineSpecSchema.optional(),
})
export type SuspendRecord = z.output<typeof suspendRecordSchema>
