import { describe, expect, test } from 'vitest'
import { newId } from '../../../../src-shared/base/ids.ts'
import { parseMachineConfig } from '../../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../../src-shared/model/snapshot.ts'
import { nextStep } from '../../../../src-main/host/snapshots/layers.ts'
import { isOverlay, namedFiles, obstacles, overlayPath, ownDisks } from '../../../../src-main/host/snapshots/own-disks.ts'
import { currentOf, inOrder, subtreeOf } from '../../../../src-main/host/snapshots/tree.ts'

const config = (drives: object[] = []) =>
  parseMachineConfig({
    ...{ schema: 1, id: newId(), created: '2026-11-21T00:00:00Z', name: 'a', boot: { kind: 'firmware' } },
    drives,
  })

function snapshot(id: string, parent: string | null, drives: object[] = []): Snapshot {
  return {
    ...{ schema: 1, id, parent, label: id, note: '', created: '2026-11-21T00:00:00Z', pinned: false, by: 'person' },
    ...{ config: config(drives), memory: null },
  }
}

describe('the tree of snapshots', () => {
  const [a, b, c, d] = [newId(), newId(), newId(), newId()]

  test('has every parent before its children; one that is not there is none, and rings are broken', () => {
    const order = (all: Snapshot[]) => inOrder(all).map(({ id, parent }) => [id, parent])
    expect(order([snapshot(c, b), snapshot(a, null), snapshot(b, a)])).toEqual([
      [a, null],
      [b, a],
      [c, b],
    ])
    expect(order([snapshot(a, d)])).toEqual([[a, null]])
    const ring = order([snapshot(a, b), snapshot(b, c), snapshot(c, a)])
    expect(ring.filter(([, parent]) => parent === null)).toHaveLength(1)
    expect(ring).toHaveLength(3)
    expect(order([snapshot(a, a)])).toEqual([[a, null]])
  })

  test('knows where the machine is, also where taking the last snapshot did not end', () => {
    const all = [snapshot(a, null), snapshot(b, a)]
    const at = (point: { snapshot: string; otherwise: string | null } | null) => currentOf({ point }, all)
    expect(at(null)).toBeNull()
    expect(at({ snapshot: b, otherwise: a })).toBe(b)
    expect(at({ snapshot: d, otherwise: a })).toBe(a)
    expect(at({ snapshot: d, otherwise: c })).toBeNull()
  })

  test('has subtrees', () => {
    const all = [snapshot(d, c), snapshot(a, null), snapshot(b, a), snapshot(c, b)]
    expect([...subtreeOf(b, all)].sort()).toEqual([b, c, d].sort())
  })
})

describe('a machine’s own disks', () => {
  const drives = [
    { id: 'disk0', kind: 'disk', path: 'disks/disk0.qcow2', format: 'qcow2' },
    { id: 'raw', kind: 'disk', path: 'disks/old.img' },
    { id: 'fixed', kind: 'disk', path: 'disks/fixed.qcow2', readOnly: true },
    { id: 'cd', kind: 'cdrom', path: '/isos/a.iso' },
  ]

  test('are what it writes, in its own folder', () => {
    expect(ownDisks(config(drives)).map(({ id }) => id)).toEqual(['disk0', 'raw'])
    expect(obstacles(config(drives))).toEqual([])
    expect(obstacles(config([{ id: 'x', kind: 'disk', path: '/else/where.img' }]))).toEqual([expect.stringContaining('“x”')])
    expect(obstacles(config([{ id: 'x', kind: 'disk', path: '/else/where.img', readOnly: true }]))).toEqual([])
  })

  test('go on in files whose names do not grow', () => {
    const id = '1a2b3c4d-0000-4000-8000-000000000000'
    expect(overlayPath('disks/disk0.qcow2', id)).toBe('disks/disk0.1a2b3c4d.qcow2')
    expect(overlayPath('disks/disk0.99999999.qcow2', id)).toBe('disks/disk0.1a2b3c4d.qcow2')
    expect(overlayPath('disks/old.img', id)).toBe('disks/old.1a2b3c4d.qcow2')
    expect(isOverlay('disks/disk0.1a2b3c4d.qcow2')).toBe(true)
    expect(isOverlay('disks/disk0.qcow2')).toBe(false)
  })

  test('are named by what names them', () => {
    const frozen = snapshot(newId(), null, [{ id: 'disk0', kind: 'disk', path: 'disks/base.qcow2', format: 'qcow2' }])
    expect([...namedFiles(config(drives), [frozen])].sort()).toEqual(['disks/base.qcow2', 'disks/disk0.qcow2', 'disks/old.img'])
  })
})

describe('what is to be done with files that nobody names', () => {
  const below = (chain: Record<string, string | null>) => new Map(Object.entries(chain))
  const all = (chain: Record<string, string | null>) => new Set(Object.keys(chain))
  const NONE = new Set<string>()

  test('merged with the only one that rests on them, kept under several, deleted under none', () => {
    const line = { base: null, middle: 'base', top: 'middle' }
    expect(nextStep(below(line), new Set(['base', 'middle', 'top']), all(line), NONE)).toBeNull()
    expect(nextStep(below(line), new Set(['base', 'top']), all(line), NONE)).toEqual({ kind: 'merge', lower: 'middle', upper: 'top' })
    expect(nextStep(below(line), new Set(['top']), all(line), NONE)).toEqual({ kind: 'merge', lower: 'base', upper: 'middle' })
    const fork = { base: null, left: 'base', right: 'base', lost: 'right' }
    expect(nextStep(below(fork), new Set(['left', 'right', 'lost']), all(fork), NONE)).toBeNull()
    expect(nextStep(below(fork), new Set(['left', 'right']), all(fork), NONE)).toEqual({ kind: 'delete', path: 'lost' })
  })

  test('deleted, and never merged, where another machine has them too', () => {
    const line = { base: null, middle: 'base', top: 'middle' }
    expect(nextStep(below(line), new Set(['top']), all(line), new Set(['base', 'middle']))).toBeNull()
    expect(nextStep(below(line), new Set(['top']), all(line), new Set(['base']))).toEqual({ kind: 'merge', lower: 'middle', upper: 'top' })
    expect(nextStep(below(line), new Set(['base', 'middle']), all(line), new Set(['top']))).toEqual({ kind: 'delete', path: 'top' })
  })

  test('left alone where they, or what rests on them, are not the machine’s', () => {
    const line = { template: null, top: 'template' }
    expect(nextStep(below(line), new Set(['top']), new Set(['top']), NONE)).toBeNull()
    expect(nextStep(below(line), new Set(), new Set(['template']), NONE)).toBeNull()
  })
})
