import { describe, expect, test } from 'vitest'
import { localDay, outOfDate, overBudget, type Thinnable } from '../../../../../src-main/host/snapshots/policy/thin.ts'
import { seeded } from '../../../../support/seeded.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const NOW = Date.UTC(2026, 10, 21, 12, 30)
const utcDay = (time: number): string => new Date(time).toISOString().slice(0, 10)

let count = 0
const one = (created: number, over: Partial<Thinnable> = {}): Thinnable => ({
  ...{ id: `s${String(count++).padStart(6, '0')}`, created, automatic: true, exempt: false, bytes: 1000 },
  ...over,
})
const without = (all: readonly Thinnable[], gone: readonly string[]): Thinnable[] => all.filter(({ id }) => !gone.includes(id))
const left = (all: readonly Thinnable[], now = NOW, dayOf = utcDay): Thinnable[] => without(all, outOfDate(all, now, dayOf))

describe('by age', () => {
  test('all of the last hour, the first of each hour of a day, the first of each day of a month, and nothing older', () => {
    const every10 = Array.from({ length: 40 * 24 * 6 }, (_, at) => one(NOW - at * 10 * MINUTE))
    const kept = left(every10)
    const ages = kept.map(({ created }) => NOW - created)
    expect(ages.filter((age) => age <= HOUR)).toHaveLength(7)
    expect(ages.filter((age) => age > HOUR && age <= DAY)).toHaveLength(23)
    const older = kept.filter(({ created }) => NOW - created > DAY)
    expect(older.every(({ created }) => new Date(created).getUTCHours() === 0)).toBe(true)
    expect(new Set(older.map(({ created }) => utcDay(created))).size).toBe(older.length)
    expect(older).toHaveLength(30)
    expect(Math.max(...ages)).toBeLessThanOrEqual(31 * DAY)
  })

  test('those of a person, pinned ones and needed ones stay, and take the place of others where they were taken by themselves', () => {
    const old = NOW - 3 * DAY
    const persons = one(old - 20 * MINUTE, { automatic: false })
    const pinned = one(old - 10 * MINUTE, { exempt: true })
    const plain = one(old)
    const ancient = one(NOW - 400 * DAY, { exempt: true })
    expect(outOfDate([plain, ancient, pinned, persons], NOW, utcDay)).toEqual([plain.id])
  })

  test('of a clock that was wrong: none is taken for old, and one of each hour stays', () => {
    const future = [0, 10, 70].map((minutes) => one(NOW + 500 * DAY + minutes * MINUTE))
    expect(left([...future, one(NOW)]).map(({ id }) => id)).toEqual([future[0]!.id, future[2]!.id, expect.any(String)])
  })

  test('an hour that the clock shows twice is two hours, and a day of 23 or 25 is one day', () => {
    // Central Europe, 2026-10-25: 03:00 summer time is 02:00 again (01:00 UTC); days begin at 22:00 and 23:00 UTC.
    const berlin = (time: number): string => utcDay(time + (time < Date.UTC(2026, 9, 25, 1) ? 2 : 1) * HOUR)
    const night = [0, 30, 60, 90].map((minutes) => one(Date.UTC(2026, 9, 25, 0) + minutes * MINUTE))
    const after = Date.UTC(2026, 9, 25, 20)
    expect(left(night, after, berlin)).toEqual([night[0], night[2]])
    const long = Array.from({ length: 25 }, (_, hour) => one(Date.UTC(2026, 9, 24, 22) + hour * HOUR))
    expect(left([...long, one(Date.UTC(2026, 9, 25, 23))], NOW, berlin)).toHaveLength(2)
  })

  test('the day is the computer’s own', () => {
    const noon = new Date(2026, 10, 21, 12).getTime()
    expect(localDay(noon)).toBe('2026-11-21')
    expect(localDay(noon + 11 * HOUR)).toBe(localDay(noon - 11 * HOUR))
  })
})

test('thinning after each one leaves what thinning at the end does, whenever they were taken', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seeded(seed)
    let now = NOW - 60 * DAY
    const all: Thinnable[] = []
    let thinned: Thinnable[] = []
    while (now < NOW) {
      now += (5 + random(600)) * MINUTE + (random(30) === 0 ? random(5) * DAY : 0)
      const next = one(now, { exempt: random(40) === 0, automatic: random(20) > 0 })
      all.push(next)
      thinned = left([...thinned, next], now)
    }
    expect(thinned).toEqual(left(all, now))
    // Nothing exempt and nothing of a person is ever lost.
    for (const kept of all) if (kept.exempt || !kept.automatic) expect(thinned).toContain(kept)
    // At most: 7 hours’ worth of five minutes, a day of hours, a month of days.
    expect(thinned.filter(({ exempt, automatic }) => !exempt && automatic).length).toBeLessThanOrEqual(13 + 24 + 32)
  }
})

describe('the budget', () => {
  test('the oldest go first, one at a time, and the newest stays', () => {
    const all = [one(NOW - 3 * DAY), one(NOW - 2 * DAY, { exempt: true }), one(NOW - DAY), one(NOW), one(NOW - DAY, { automatic: false })]
    expect(overBudget(all, 4000)).toBeNull()
    expect(overBudget(all, 3999)).toBe(all[0]!.id)
    expect(overBudget(without(all, [all[0]!.id]), 1)).toBe(all[2]!.id)
    expect(overBudget(without(all, [all[0]!.id, all[2]!.id]), 1)).toBeNull()
  })

  test('ends, whatever the sizes, and gives nothing away that it need not', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = seeded(seed)
      const budget = random(20_000)
      let all = Array.from({ length: random(40) }, (_, at) =>
        one(NOW - at * HOUR, { bytes: random(3000), exempt: random(6) === 0, automatic: random(5) > 0 }),
      )
      for (let next = overBudget(all, budget); next !== null; next = overBudget(all, budget)) {
        const gone = all.find(({ id }) => id === next)!
        expect(gone.automatic && !gone.exempt).toBe(true)
        const sum = all.reduce((bytes, each) => bytes + (each.automatic ? each.bytes : 0), 0)
        expect(sum).toBeGreaterThan(budget)
        all = without(all, [next])
      }
    }
  })
})
