/** Snapshots of a machine that are taken, and deleted again, by themselves. */
import { z } from 'zod'

/** Minutes between two. */
export const SCHEDULE_MINUTES = { min: 5, max: 7 * 24 * 60 } as const
/** Bytes that they may take together. */
export const SCHEDULE_BUDGET = { min: 64 * 1024 * 1024, max: 1024 ** 5 } as const

export const snapshotScheduleSchema = z.strictObject({
  /** While it runs, one is taken so often; null: none. */
  everyMinutes: z
    .number()
    .int('The time between two snapshots is a whole number of minutes.')
    .min(SCHEDULE_MINUTES.min, `Snapshots can be taken every ${SCHEDULE_MINUTES.min} minutes at most.`)
    .max(SCHEDULE_MINUTES.max, 'Snapshots can be taken once a week at least.')
    .nullable()
    .default(null),
  /** One is taken of what it is before each start. */
  beforeStart: z.boolean().default(false),
  /** Those of a machine that runs have what it is doing as well. */
  memory: z.boolean().default(true),
  /** Null: as much as they need. */
  budgetBytes: z
    .number()
    .int()
    .min(SCHEDULE_BUDGET.min, 'Automatic snapshots need at least 64 MiB.')
    .max(SCHEDULE_BUDGET.max, 'Automatic snapshots can have at most 1 PiB.')
    .nullable()
    .default(null),
})
export type SnapshotSchedule = z.output<typeof snapshotScheduleSchema>

export const NO_SCHEDULE: SnapshotSchedule = { everyMinutes: null, beforeStart: false, memory: true, budgetBytes: null }
