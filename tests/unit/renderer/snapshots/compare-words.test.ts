import { expect, test } from 'vitest'
import {
  changesWords,
  differenceWords,
  partitionWords,
  placeWords,
  scale,
  sizeWords,
  stretches,
} from '../../../../src-renderer/pages/machine/snapshots/compare-words.ts'

test('a bar is coloured where something changed, the stronger the more, and says what is under the pointer', () => {
  const MiB = 1024 * 1024
  const difference = {
    sizes: { before: 7 * MiB, after: 7 * MiB },
    ...{ blockSize: 4096, changedBlocks: 1, changedBytes: 4096, comparedBytes: 0 },
    ...{ part: 2 * MiB, parts: [2 * MiB, 2 * MiB, 0, 4096] },
  }
  expect(stretches(difference)).toEqual([
    { from: 0, to: 4 / 7, share: 1 },
    { from: 6 / 7, to: 1, share: 0.25 },
  ])
  expect(placeWords(difference, 0.7)).toBe('4 MiB to 6 MiB: the same')
  expect(scale(difference)).toEqual(['0', '1.8 MiB', '3.5 MiB', '5.3 MiB', '7 MiB'])
  expect(differenceWords({ drive: 'disk0', there: 'both', difference, files: [] })).toBe(
    '4 KiB changed, in one block of 4 KiB; the disk has 7 MiB.',
  )
  expect(differenceWords({ drive: 'disk0', there: 'removed', difference: null, files: [] })).toBe('Not there any more.')
  expect(placeWords(difference, 1)).toBe('6 MiB to 7 MiB: 4 KiB changed')
})

test('says of a partition which files changed, and what is not known', () => {
  const none = { added: [], changed: [], removed: [], label: '', kind: 'ext' as const, note: null }
  expect(changesWords({ ...none, partition: 1, counts: { added: 3, changed: 0, removed: 1 } })).toBe('Files: 3 added, 1 removed.')
  expect(changesWords({ ...none, partition: 1, counts: { added: 0, changed: 0, removed: 0 }, note: 'It is damaged.' })).toBe(
    'No file was added, changed or removed. It is damaged.',
  )
  expect(changesWords({ ...none, partition: 0, kind: null, counts: { added: 0, changed: 0, removed: 0 }, note: 'None.' })).toBe('None.')
  expect(partitionWords({ ...none, partition: 0, counts: { added: 0, changed: 0, removed: 0 } })).toBe('The disk')
  expect(partitionWords({ ...none, partition: 2, label: 'boot', counts: { added: 0, changed: 0, removed: 0 } })).toBe('Partition 2, “boot”')
  expect(sizeWords({ path: '/a', before: 1024, after: 2048 })).toBe('1 KiB, then 2 KiB')
  expect(sizeWords({ path: '/a', before: null, after: 2048 })).toBe('2 KiB')
})
