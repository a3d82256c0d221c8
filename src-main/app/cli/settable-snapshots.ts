/** The keys of `coppice set` about snapshots that are taken by themselves, and about what becomes of what a machine did. */
import { InvalidArgumentError } from 'commander'
import type { MachineConfig, MachinePatch } from '../../../src-shared/model/machine.ts'
import { RUN_ENDS } from '../../../src-shared/model/run.ts'
import type { SnapshotSchedule } from '../../../src-shared/model/snapshot-schedule.ts'
import { oneOf, sizeArgument } from './arguments.ts'
import type { Key } from './settable.ts'

const UNITS: Readonly<Record<string, number>> = { m: 1, h: 60, d: 24 * 60 }

/** "90m", "1h", "2d". @returns minutes */
function minutesArgument(text: string): number {
  const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? []
  if (count === undefined || unit === undefined) throw new InvalidArgumentError(`“${text}” is not a time. Write it as in 30m, 1h or 2d.`)
  return Number(count) * UNITS[unit]!
}

/** "90m", "1h", "2d" */
export function minutesText(minutes: number): string {
  const [unit, size] = Object.entries(UNITS).findLast(([, each]) => minutes % each === 0)!
  return `${minutes / size}${unit}`
}

const isOn = (text: string): boolean => oneOf('on or off', ['on', 'off'])(text) === 'on'

function schedule(field: keyof SnapshotSchedule, value: string, read: (text: string) => Partial<SnapshotSchedule>): Key {
  return {
    value,
    field: `autoSnapshots.${field}`,
    set: (text: string, config: MachineConfig, patch: MachinePatch) => ({
      autoSnapshots: { ...config.autoSnapshots, ...patch.autoSnapshots, ...read(text) },
    }),
  }
}

export const SNAPSHOT_KEYS: Readonly<Record<string, Key>> = {
  'snapshot-every': schedule('everyMinutes', 'TIME, as in 30m, 1h or 1d: while it runs; or off', (text) => ({
    everyMinutes: text === 'off' ? null : minutesArgument(text),
  })),
  'snapshot-before-start': schedule('beforeStart', 'on | off', (text) => ({ beforeStart: isOn(text) })),
  'snapshot-memory': schedule('memory', 'on | off (automatic ones keep the disks alone)', (text) => ({ memory: isOn(text) })),
  'snapshot-budget': schedule('budgetBytes', 'SIZE, as in 20G: what automatic ones take at most; or none', (text) => ({
    budgetBytes: text === 'none' ? null : sizeArgument(text),
  })),
  'when-off': {
    value: 'keep | discard | decide (what it did when it is switched off); discard:SNAPSHOT to go back to that one',
    field: 'whenOff',
    set: (text) => {
      const [end, snapshot] = text.split(/:(.*)/s)
      return { whenOff: { end: oneOf('an end', RUN_ENDS)(end!), snapshot: snapshot === undefined || snapshot === '' ? null : snapshot } }
    },
  },
}

/** @param find a snapshot's id, from its label or what else names it */
export async function withSnapshotIds(assignments: readonly string[], find: (wanted: string) => Promise<string>): Promise<string[]> {
  return Promise.all(
    assignments.map(async (text) => {
      const [, start, wanted] = /^(when-off=[a-z]+:)(.+)$/s.exec(text) ?? []
      return start === undefined || wanted === undefined ? text : `${start}${await find(wanted)}`
    }),
  )
}

/** Facts for `show`: keys with what they are set to, where that is not what every machine has. */
export function snapshotFacts({ autoSnapshots, whenOff, run }: MachineConfig, sizeText: (bytes: number) => string): [string, string][] {
  const facts: [string, string][] = []
  const { everyMinutes, beforeStart, memory, budgetBytes } = autoSnapshots
  if (everyMinutes !== null) facts.push(['snapshot-every', minutesText(everyMinutes)])
  if (beforeStart) facts.push(['snapshot-before-start', 'on'])
  if (everyMinutes !== null && !memory) facts.push(['snapshot-memory', 'off'])
  if (budgetBytes !== null) facts.push(['snapshot-budget', sizeText(budgetBytes)])
  if (whenOff.end !== 'keep') facts.push(['when-off', [whenOff.end, whenOff.snapshot].filter((part) => part !== null).join(':')])
  if (run && !run.over)
    facts.push(['trial', run.end === 'discard' ? 'what it does is discarded when it is off' : 'to be decided when it is off'])
  return facts
}
