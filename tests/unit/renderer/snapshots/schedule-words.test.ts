import { expect, test } from 'vitest'
import { MiB } from '../../../../src-shared/base/units.ts'
import {
  budgetText,
  readBudget,
  scheduleWords,
  timesOptions,
  whenOffOf,
  whenOffOptions,
  whenOffValue,
} from '../../../../src-renderer/pages/machine/snapshots/schedule-words.ts'

test.each([
  [{ everyMinutes: null, beforeStart: false }, 'Off'],
  [{ everyMinutes: null, beforeStart: true }, 'Before starts'],
  [{ everyMinutes: 60, beforeStart: false }, 'Every hour'],
  [{ everyMinutes: 90, beforeStart: true }, 'Every 90 minutes, before starts'],
  [{ everyMinutes: 240, beforeStart: false }, 'Every 4 hours'],
  [{ everyMinutes: 1440, beforeStart: false }, 'Every day'],
  [{ everyMinutes: 4320, beforeStart: false }, 'Every 3 days'],
])('%j is said as “%s”', (schedule, words) => expect(scheduleWords(schedule)).toBe(words))

test('what is set is offered, though it is not usual', () => {
  expect(timesOptions(null)[0]).toEqual({ value: '', label: 'Never' })
  expect(timesOptions(45).map(({ value }) => value)).toEqual(['', '15', '30', '45', '60', '240', '720', '1440'])
  expect(timesOptions(60)).toHaveLength(7)
})

test('room is a size, or none', () => {
  expect(readBudget(' ')).toBeNull()
  expect(readBudget('20 GiB')).toBe(20 * 1024 * MiB)
  expect(budgetText(20 * 1024 * MiB)).toBe('20 GiB')
  expect(readBudget('plenty')).toMatchObject({ problem: expect.stringContaining('“plenty” is not a size') as string })
  expect(readBudget('1 MiB')).toMatchObject({ problem: 'Give them at least 64 MiB.' })
})

test('what becomes of runs: a person’s snapshots are offered, and what is set', () => {
  const all = [
    { id: 'a', label: 'Clean', by: 'person' as const },
    { id: 'b', label: 'Automatic', by: 'schedule' as const },
  ]
  expect(whenOffOptions(all, { end: 'keep', snapshot: null }).map(({ value }) => value)).toEqual(['keep', 'decide', 'discard', 'discard:a'])
  expect(whenOffOptions(all, { end: 'decide', snapshot: 'b' }).map(({ value }) => value)).toContain('decide:b')
  for (const value of ['keep', 'decide', 'discard', 'discard:a', 'decide:b']) expect(whenOffValue(whenOffOf(value))).toBe(value)
})
