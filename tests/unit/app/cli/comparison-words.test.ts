import { expect, test } from 'vitest'
import { comparisonLines, strip } from '../../../../src-main/app/cli/comparison-words.ts'
import type { DiskDifference } from '../../../../src-shared/model/disk-difference.ts'

const MiB = 1024 * 1024

function difference(change: Partial<DiskDifference>): DiskDifference {
  return {
    sizes: { before: 4 * MiB, after: 4 * MiB },
    ...{ blockSize: 4096, changedBlocks: 0, changedBytes: 0, comparedBytes: 0 },
    ...{ part: MiB, parts: [0, 0, 0, 0] },
    ...change,
  }
}

test('says for each disk how much changed, and where', () => {
  const changed = difference({ changedBlocks: 257, changedBytes: MiB + 4096, parts: [MiB, 0, 4096, 0] })
  const lines = comparisonLines({
    ...{ before: null, after: null },
    disks: [
      { drive: 'disk0', there: 'both', difference: changed },
      { drive: 'disk1', there: 'both', difference: difference({}) },
      { drive: 'disk2', there: 'added', difference: null },
      { drive: 'disk3', there: 'removed', difference: null },
      {
        drive: 'disk4',
        there: 'both',
        difference: difference({ sizes: { before: MiB, after: 4 * MiB }, changedBlocks: 1, changedBytes: 512 }),
      },
    ],
  })
  expect(lines).toEqual([
    'disk0: 1.0 MiB changed, 257 blocks (of 4 MiB)',
    '  █·░·',
    'disk1: the same (4 MiB)',
    'disk2: not there before',
    'disk3: not there any more',
    'disk4: 512 B changed, 1 block (of 1 MiB, then 4 MiB)',
    '  ····',
  ])
  expect(comparisonLines({ before: null, after: null, disks: [] })).toEqual(['The machine has no disks of its own in either state.'])
})

test('a picture is as wide as a line, and shows the least change', () => {
  const parts = new Array<number>(480).fill(0)
  parts[479] = 4096
  const picture = strip(difference({ part: MiB, parts, sizes: { before: 480 * MiB, after: 480 * MiB } }))
  expect(picture).toBe(`${'·'.repeat(63)}░`)
})
