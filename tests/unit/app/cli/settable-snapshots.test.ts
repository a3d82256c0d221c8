import { expect, test } from 'vitest'
import { patchOf } from '../../../../src-main/app/cli/settable.ts'
import { minutesText, snapshotFacts, withSnapshotIds } from '../../../../src-main/app/cli/settable-snapshots.ts'
import { formatBytes, GiB } from '../../../../src-shared/base/units.ts'
import { machinePatchSchema, parseMachineConfig } from '../../../../src-shared/model/machine.ts'

const ID = '7f3c1f6e-93c1-4c5e-9d39-5a3a0d3b1a11'
const machine = parseMachineConfig({ schema: 1, id: ID, created: '2026-01-01T00:00:00Z', name: 'web', boot: { kind: 'firmware' } })

test('keys of snapshots that are taken by themselves go together', () => {
  const keys = ['snapshot-every=1h', 'snapshot-budget=20G', 'snapshot-before-start=on', 'snapshot-memory=off']
  const patch = machinePatchSchema.parse(patchOf(keys, machine))
  expect(patch).toEqual({ autoSnapshots: { everyMinutes: 60, budgetBytes: 20 * GiB, beforeStart: true, memory: false } })
  const set = { ...machine, autoSnapshots: patch.autoSnapshots! }
  expect(snapshotFacts(set, formatBytes)).toEqual([
    ['snapshot-every', '1h'],
    ['snapshot-before-start', 'on'],
    ['snapshot-memory', 'off'],
    ['snapshot-budget', '20 GiB'],
  ])
  expect(patchOf(['snapshot-every=off'], set)).toEqual({ autoSnapshots: { ...set.autoSnapshots, everyMinutes: null } })
  expect(patchOf(['snapshot-budget=none'], set)).toEqual({ autoSnapshots: { ...set.autoSnapshots, budgetBytes: null } })
})

test('times are minutes, hours and days', () => {
  expect(['30m', '90m', '2h', '1d'].map((text) => patchOf([`snapshot-every=${text}`], machine).autoSnapshots!.everyMinutes)).toEqual([
    30, 90, 120, 1440,
  ])
  expect([30, 90, 120, 1440].map(minutesText)).toEqual(['30m', '90m', '2h', '1d'])
  for (const wrong of ['', '1', 'h', '1.5h', '1w', '-1h'])
    expect(() => patchOf([`snapshot-every=${wrong}`], machine)).toThrow('is not a time')
})

test('what becomes of what it did, with a snapshot by whatever names it', async () => {
  expect(patchOf(['when-off=decide'], machine)).toEqual({ whenOff: { end: 'decide', snapshot: null } })
  const named = await withSnapshotIds(['name=a:b', 'when-off=discard:the: clean one'], (wanted) =>
    Promise.resolve(wanted === 'the: clean one' ? ID : ''),
  )
  expect(named).toEqual(['name=a:b', `when-off=discard:${ID}`])
  expect(machinePatchSchema.parse(patchOf(named.slice(1), machine))).toEqual({ whenOff: { end: 'discard', snapshot: ID } })
  expect(() => patchOf(['when-off=forget'], machine)).toThrow('Choose keep, discard, decide')
  const set = {
    ...machine,
    whenOff: { end: 'discard' as const, snapshot: ID },
    run: { end: 'discard' as const, snapshot: ID, own: false, over: false },
  }
  expect(snapshotFacts(set, formatBytes)).toEqual([
    ['when-off', `discard:${ID}`],
    ['trial', 'what it does is discarded when it is off'],
  ])
})
