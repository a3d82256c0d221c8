/** What is said of snapshots that are taken by themselves, and of what becomes of runs. Pure. */
import { formatBytes, parseBytes } from '../../../../src-shared/base/units.ts'
import type { WhenOff } from '../../../../src-shared/model/run.ts'
import { SCHEDULE_BUDGET, type SnapshotSchedule } from '../../../../src-shared/model/snapshot-schedule.ts'
import type { SnapshotMaker, SnapshotView } from '../../../../src-shared/model/snapshot.ts'

/** A line of a choice. */
interface Choice {
  value: string
  label: string
  detail?: string
}

const HOUR = 60
const DAY = 24 * HOUR

function timesText(minutes: number): string {
  if (minutes === HOUR) return 'Every hour'
  if (minutes === DAY) return 'Every day'
  if (minutes % DAY === 0) return `Every ${minutes / DAY} days`
  return minutes % HOUR === 0 ? `Every ${minutes / HOUR} hours` : `Every ${minutes} minutes`
}

/** "Every hour, before starts", "Off" */
export function scheduleWords({ everyMinutes, beforeStart }: Pick<SnapshotSchedule, 'everyMinutes' | 'beforeStart'>): string {
  if (everyMinutes === null) return beforeStart ? 'Before starts' : 'Off'
  return `${timesText(everyMinutes)}${beforeStart ? ', before starts' : ''}`
}

/** Values are minutes; '': never. What is set is offered, too, whatever it is. */
export function timesOptions(set: number | null): Choice[] {
  const usual = [15, 30, HOUR, 4 * HOUR, 12 * HOUR, DAY]
  const all = set === null || usual.includes(set) ? usual : [...usual, set].sort((a, b) => a - b)
  return [{ value: '', label: 'Never' }, ...all.map((minutes) => ({ value: String(minutes), label: timesText(minutes) }))]
}

/** "20 GiB"; '' where there is no limit. */
export function budgetText(bytes: number | null): string {
  return bytes === null ? '' : formatBytes(bytes)
}

/** @returns bytes; null: no limit; a sentence: what is wrong with it */
export function readBudget(text: string): number | null | { problem: string } {
  if (text.trim() === '') return null
  const bytes = parseBytes(text)
  if (bytes === null) return { problem: `“${text.trim()}” is not a size. Write it as in 20 GiB, or leave it empty.` }
  if (bytes < SCHEDULE_BUDGET.min) return { problem: `Give them at least ${formatBytes(SCHEDULE_BUDGET.min)}.` }
  return bytes > SCHEDULE_BUDGET.max ? { problem: `Give them at most ${formatBytes(SCHEDULE_BUDGET.max)}.` } : bytes
}

/** What becomes of runs. Values: as `whenOffOf` reads them. */
export function whenOffOptions(snapshots: readonly Pick<SnapshotView, 'id' | 'label' | 'by'>[], { end, snapshot }: WhenOff): Choice[] {
  const options: Choice[] = [
    { value: 'keep', label: 'Keep what it did' },
    { value: 'decide', label: 'Ask me', detail: 'Keep it, discard it, or make a branch of it.' },
    { value: 'discard', label: 'Discard what it did', detail: 'Its disks go back to what they were at the start.' },
  ]
  const offered = snapshots.filter(({ id, by }) => by === 'person' || id === snapshot)
  if (end === 'decide' && snapshot !== null) {
    const label = snapshots.find(({ id }) => id === snapshot)?.label ?? 'a snapshot'
    options.push({ value: `decide:${snapshot}`, label: `Ask me; discarding goes back to “${label}”` })
  }
  return [...options, ...offered.map(({ id, label }) => ({ value: `discard:${id}`, label: `Go back to “${label}”` }))]
}

export function whenOffValue({ end, snapshot }: WhenOff): string {
  return snapshot === null || end === 'keep' ? end : `${end}:${snapshot}`
}

export function whenOffOf(value: string): WhenOff {
  const [end, snapshot] = value.split(':')
  return { end: end as WhenOff['end'], snapshot: snapshot ?? null }
}

/** Who took it, of those that nobody asked for. */
export const MAKER_WORDS: Record<Exclude<SnapshotMaker, 'person'>, string> = {
  schedule: 'Taken by itself, on schedule',
  start: 'Taken by itself, before a start',
  run: 'The beginning of the trial: goes with it',
}
