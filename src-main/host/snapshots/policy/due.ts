/**
 * When the next snapshot of a machine that runs is due. Pure. Theory of operation: times are the computer's clock (ms since 1970), which may be put forward
 * or back, and which goes on while the computer sleeps. So a time that is due is never further away than one interval, and however much is missed,
 * one snapshot is taken for it.
 */

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE

/** ms that a machine runs before one that is overdue is taken: it boots, and its person may be about to go back. */
export const SETTLE = 5 * MINUTE
/** ms: when to try again where something else was being done with the machine. */
export const LATER = MINUTE

/**
 * Of a machine that begins to run.
 * @param last when the last one was taken; null: never
 */
export function firstDue(every: number, last: number | null, now: number): number {
  // One from the future was taken while the clock was wrong.
  if (last === null || last > now) return now + every
  return Math.max(last + every, now + Math.min(every, SETTLE))
}

/** The same time, as it is to be waited for now: the clock may have been put back since. */
export function stillDue(due: number, every: number, now: number): number {
  return Math.min(due, now + every)
}

/** After so many failures, one after the other: later each time, and at least once a day, or as often as one is due anyway. */
export function dueAfterFailure(every: number, failures: number, now: number): number {
  return now + Math.max(every, Math.min(every * 2 ** failures, DAY))
}
