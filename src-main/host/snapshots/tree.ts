/** The tree that snapshots make. Pure. */
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'

/** The snapshot that the machine's present state came from. Taking one may have been cut short after machine.json had its name. */
export function currentOf({ point }: Pick<MachineConfig, 'point'>, snapshots: readonly Snapshot[]): string | null {
  const has = (id: string): boolean => snapshots.some((snapshot) => snapshot.id === id)
  if (point === null) return null
  if (has(point.snapshot)) return point.snapshot
  return point.otherwise !== null && has(point.otherwise) ? point.otherwise : null
}

/** With every parent before its children; a parent that is not there (any more), or that would make a ring, is none. */
export function inOrder(snapshots: readonly Snapshot[]): Snapshot[] {
  const byId = new Map(snapshots.map((snapshot) => [snapshot.id, snapshot]))
  const done = new Map<string, Snapshot>()
  const visit = (snapshot: Snapshot, above: ReadonlySet<string>): void => {
    if (done.has(snapshot.id)) return
    const parent = snapshot.parent === null || above.has(snapshot.parent) ? undefined : byId.get(snapshot.parent)
    if (parent) visit(parent, new Set([...above, snapshot.id]))
    done.set(snapshot.id, parent ? snapshot : { ...snapshot, parent: null })
  }
  for (const snapshot of snapshots) visit(snapshot, new Set([snapshot.id]))
  return [...done.values()]
}

/** A snapshot and everything that came from it. */
export function subtreeOf(id: string, snapshots: readonly Snapshot[]): Set<string> {
  const found = new Set([id])
  for (const snapshot of inOrder(snapshots)) if (snapshot.parent !== null && found.has(snapshot.parent)) found.add(snapshot.id)
  return found
}
