import { describe, expect, test } from 'vitest'
import {
  afterDelete,
  afterRestore,
  keepLabel,
  labelProblem,
  laterThan,
  leadsHere,
  suggestLabel,
} from '../../../../src-renderer/pages/machine/snapshots/snapshot-words.ts'
import type { SnapshotTree, SnapshotView } from '../../../../src-shared/model/snapshot.ts'

function snapshot(label: string, parent: string | null = null, over: Partial<SnapshotView> = {}): SnapshotView {
  return {
    id: label,
    parent,
    label,
    note: '',
    created: '',
    pinned: false,
    by: 'person',
    running: false,
    bytes: 2048,
    picture: false,
    ...over,
  }
}
const tree: SnapshotTree = {
  snapshots: [snapshot('a'), snapshot('b', 'a'), snapshot('c', 'a'), snapshot('d', 'b')],
  current: 'c',
  currentBytes: 0,
  obstacles: [],
  leftOut: [],
}
const one = (id: string): SnapshotView => tree.snapshots.find((candidate) => candidate.id === id)!

describe('names that are offered', () => {
  test('are numbered on, and are nobody else’s', () => {
    expect(suggestLabel([])).toBe('Snapshot 1')
    expect(suggestLabel([snapshot('Base'), snapshot('Snapshot 3')])).toBe('Snapshot 4')
  })
  test('of what was there before say before what', () => {
    expect(keepLabel(snapshot('Base'), [])).toBe('Before Base')
    expect(keepLabel(snapshot('Base'), [snapshot('Base'), snapshot('Before Base')])).toBe('Before Base 2')
  })
  test('are never too long', () => {
    const long = keepLabel(snapshot('x'.repeat(100)), [])
    expect(long).toBe('Snapshot 1')
    expect(labelProblem(long)).toBe(null)
  })
})

test('a name is one line with something in it', () => {
  expect(labelProblem(' ')).toBe('Give the snapshot a name.')
  expect(labelProblem('a\nb')).toBe('A snapshot’s name is one line.')
  expect(labelProblem('x'.repeat(101))).toBe('A snapshot’s name has at most 100 characters.')
})

describe('what came from a snapshot', () => {
  test('is everything below it', () => {
    expect(laterThan('a', tree.snapshots).map(({ id }) => id)).toEqual(['b', 'c', 'd'])
    expect(laterThan('d', tree.snapshots)).toEqual([])
  })
  test('may be the present state', () => {
    expect(['a', 'b', 'c', 'd'].filter((id) => leadsHere(id, tree))).toEqual(['a', 'c'])
    expect(leadsHere('a', { ...tree, current: null })).toBe(false)
  })
})

test('going back says what the machine does then, and what ends', () => {
  const web = { name: 'web', state: 'running' } as const
  expect(afterRestore(web, { running: true }, false)).toBe(
    '“web” runs now: its programs end without saving. “web” runs again afterwards, from the moment when the snapshot was taken.',
  )
  expect(afterRestore(web, { running: false }, true)).toBe('“web” is off afterwards: it was when the snapshot was taken.')
  expect(afterRestore({ ...web, state: 'off' }, { running: true }, false)).not.toContain('without saving')
})

test('deleting says what becomes of the rest, and how much is freed', () => {
  expect(afterDelete(one('d'), tree)).toEqual([
    'You cannot go back to it any more.',
    'Nothing else changes: no later state needs it.',
    'Frees 2 KiB.',
  ])
  for (const id of ['b', 'c'])
    expect(afterDelete(one(id), tree).slice(1)).toEqual([
      'Nothing else changes: what later states need is merged into them.',
      'Frees up to 2 KiB.',
    ])
  expect(afterDelete({ ...one('d'), pinned: true }, tree)[0]).toBe('You cannot go back to it any more. It is pinned.')
})
