/**
 * Which snapshots that were taken by themselves are not needed any more. Pure. Theory of operation: all of the last hour are kept, of the last day the first
 * of each hour, of the last month the first of each day. The first of an hour stays the first, so that thinning often leaves the same as thinning once.
 * Hours are those of UTC, which no change to summer time doubles or leaves out; days are those of the calendar where the computer is.
 */

const HOUR = 3_600_000
const DAY = 24 * HOUR
const MONTH = 31 * DAY

export interface Thinnable {
  id: string
  /** ms since 1970. */
  created: number
  /** Taken by itself: it has its place among the others, whether it may be deleted or not. */
  automatic: boolean
  /** Stays, whatever its age: pinned, or needed for something. */
  exempt: boolean
  /** That only it takes. */
  bytes: number
}

/** The name of the day that a time is in, where the computer is. */
export function localDay(time: number): string {
  const at = new Date(time)
  return `${at.getFullYear()}-${at.getMonth() + 1}-${at.getDate()}`
}

/** By age. @returns ids, the oldest first */
export function outOfDate(all: readonly Thinnable[], now: number, dayOf: (time: number) => string = localDay): string[] {
  const hours = new Set<number>()
  const days = new Set<string>()
  const gone: string[] = []
  for (const { id, created, exempt } of automatic(all)) {
    const hour = Math.floor(created / HOUR)
    const day = dayOf(created)
    const firstOfHour = !hours.has(hour)
    const firstOfDay = !days.has(day)
    hours.add(hour)
    days.add(day)
    const age = now - created
    // What is from the future was taken while the clock was wrong: how old it is, nobody knows.
    const kept = Math.abs(age) <= HOUR || (age <= DAY ? firstOfHour : age <= MONTH && firstOfDay)
    if (!kept && !exempt) gone.push(id)
  }
  return gone
}

/**
 * The next one to delete so that the others fit into a budget; what is to be deleted after it shows when it is gone, because others may have got what was in
 * it. The newest stays.
 * @returns its id; null: they fit, or no more can be deleted
 */
export function overBudget(all: readonly Thinnable[], budget: number): string | null {
  const ours = automatic(all)
  const bytes = ours.reduce((sum, one) => sum + one.bytes, 0)
  if (bytes <= budget) return null
  return ours.slice(0, -1).find(({ exempt }) => !exempt)?.id ?? null
}

/** The oldest first. */
function automatic(all: readonly Thinnable[]): Thinnable[] {
  return all.filter((one) => one.automatic).sort((a, b) => a.created - b.created || (a.id < b.id ? -1 : 1))
}
