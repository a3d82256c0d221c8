import { expect, test } from 'vitest'
import { differenceWords, placeWords, scale, stretches } from '../../../../src-renderer/pages/machine/snapshots/compare-words.ts'

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
  expect(differenceWords({ drive: 'disk0', there: 'both', difference })).toBe('4 KiB changed, in one block of 4 KiB; the disk has 7 MiB.')
  expect(differenceWords({ drive: 'disk0', there: 'removed', difference: null })).toBe('Not there any more.')
  expect(placeWords(difference, 1)).toBe('6 MiB to 7 MiB: 4 KiB changed')
})
