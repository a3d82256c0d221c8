/**
 * What becomes of what a machine did to its disks from its start until it is off: it is kept, or it is a trial. A trial is discarded at its end, or a person
 * decides then; suspending is no end.
 */
import { z } from 'zod'
import { isEditable, type MachineState } from './machine-state.ts'

export const RUN_ENDS = ['keep', 'discard', 'decide'] as const
export type RunEnd = (typeof RUN_ENDS)[number]

/** What a machine's starts are, unless one says otherwise. */
export const whenOffSchema = z.strictObject({
  end: z.enum(RUN_ENDS).default('keep'),
  /** The snapshot that discarding goes back to; null: what the machine was when it was started. */
  snapshot: z.uuid().nullable().default(null),
})
export type WhenOff = z.output<typeof whenOffSchema>

export const KEEP_WHEN_OFF: WhenOff = { end: 'keep', snapshot: null }

/** A trial that is under way, or has ended and is not dealt with. */
export const runSchema = z.strictObject({
  end: z.enum(['discard', 'decide']),
  /** What discarding goes back to. */
  snapshot: z.uuid(),
  /** The snapshot was taken for this trial alone, and goes with it. */
  own: z.boolean(),
  /** It is dealt with, but for that snapshot. */
  over: z.boolean(),
})
export type Run = z.output<typeof runSchema>

/** A trial has ended and is not dealt with: a person decides, or it could not be discarded. */
export function isUndecided(run: Run | null, state: MachineState): boolean {
  return run !== null && !run.over && isEditable(state)
}

export const DECISIONS = ['keep', 'discard', 'branch'] as const
/** `branch`: what the trial did becomes a snapshot, and the machine goes back. */
export type Decision = (typeof DECISIONS)[number]
