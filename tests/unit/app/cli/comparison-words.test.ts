import { expect, test } from 'vitest'
import { comparisonLines, strip } from '../../../../src-main/app/cli/comparison-words.ts'
import type { FileSystemChanges } from '../../../../src-shared/model/file-changes.ts'
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
  const counts = { added: 1, changed: 2, removed: 61 }
  const files: FileSystemChanges[] = [
    {
      ...{ partition: 1, kind: 'ext', label: 'root', note: 'Some of its folders are damaged and are left out.', counts },
      added: [{ path: '/a', before: null, after: 10 }],
      changed: [
        { path: '/b', before: 10, after: 10 },
        { path: '/c', before: 10, after: 2048 },
      ],
      removed: Array.from({ length: 61 }, (_, i) => ({ path: `/gone${i}`, before: 1, after: null })),
    },
    {
      partition: 0,
      kind: null,
      label: '',
      note: 'It has none.',
      counts: { added: 0, changed: 0, removed: 0 },
      added: [],
      changed: [],
      removed: [],
    },
  ]
  const lines = comparisonLines({
    ...{ before: null, after: null },
    disks: [
      { drive: 'disk0', there: 'both', difference: changed, files },
      { drive: 'disk1', there: 'both', difference: difference({}), files: [] },
      { drive: 'disk2', there: 'added', difference: null, files: [] },
      { drive: 'disk3', there: 'removed', difference: null, files: [] },
      {
        drive: 'disk4',
        there: 'both',
        difference: difference({ sizes: { before: MiB, after: 4 * MiB }, changedBlocks: 1, changedBytes: 512 }),
        files: [],
      },
    ],
  })
  expect(lines).toEqual([
    'disk0: 1.0 MiB changed, 257 blocks (of 4 MiB)',
    '  █·░·',
    '  partition 1 “root”: 1 added, 2 changed, 61 removed. Some of its folders are damaged and are left out.',
    '    + /a (10 B)',
    '    ~ /b (10 B)',
    '    ~ /c (10 B, then 2 KiB)',
    ...Array.from({ length: 57 }, (_, i) => `    - /gone${i} (1 B)`),
    '    and 4 more',
    '  the disk: It has none.',
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
