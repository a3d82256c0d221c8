import { expect, test } from 'vitest'
import type { SnapshotTree } from '../../../../src-shared/model/snapshot.ts'
import { findSnapshot } from '../../../../src-main/app/cli/find-snapshot.ts'
import { treeLines } from '../../../../src-main/app/cli/snapshot-tree.ts'

const one = (id: string, parent: string | null, label: string) => ({
  ...{ id, parent, label, note: '', created: '2026-11-21T00:00:00Z', pinned: false, running: label === 'b', bytes: 1024, picture: false },
  by: 'person' as const,
})
const tree: SnapshotTree = {
  snapshots: [
    one('aaaa1111', null, 'a'),
    one('bbbb2222', 'aaaa1111', 'b'),
    one('cccc3333', 'bbbb2222', 'twin'),
    one('cccc4444', 'aaaa1111', 'twin'),
  ],
  current: 'bbbb2222',
  currentBytes: 2048,
  obstacles: [],
  leftOut: [],
}

test('a snapshot is found by its label, its id, or the beginning of that', () => {
  expect(findSnapshot(tree, 'a').id).toBe('aaaa1111')
  expect(findSnapshot(tree, 'BBBB').id).toBe('bbbb2222')
  expect(() => findSnapshot(tree, 'twin')).toThrow('There are 2 snapshots “twin”. Say which by its id: cccc3333, cccc4444.')
  expect(() => findSnapshot(tree, 'cccc')).toThrow('There are 2 snapshots')
  expect(() => findSnapshot(tree, 'aaa')).toThrow('There is no snapshot “aaa”.')
})

test('the tree is drawn, with where the machine is', () => {
  expect(treeLines(tree)).toEqual([
    '└─ a (1 KiB) aaaa1111',
    '   ├─ b (1 KiB, running) bbbb2222',
    '   │  ├─ twin (1 KiB) cccc3333',
    '   │  └─ you are here (2 KiB)',
    '   └─ twin (1 KiB) cccc4444',
  ])
  expect(treeLines({ ...tree, snapshots: [], current: null })).toEqual(['└─ you are here (2 KiB)'])
})
