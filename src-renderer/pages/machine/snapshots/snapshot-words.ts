/** What is said of snapshots: names offered, what is lost, what comes of it. Pure. */
import { formatBytes } from '../../../../src-shared/base/units.ts'
import type { MachineView } from '../../../../src-shared/api/machines.ts'
import { isActive, type MachineState } from '../../../../src-shared/model/machine-state.ts'
import { snapshotLabelSchema, type SnapshotTree, type SnapshotView } from '../../../../src-shared/model/snapshot.ts'

/** What is wrong with a name, as a sentence. */
export function labelProblem(label: string): string | null {
  return snapshotLabelSchema.safeParse(label).error?.issues[0]?.message ?? null
}

/** "Snapshot 4": the first number from the count on that no other has. */
export function suggestLabel(snapshots: readonly SnapshotView[]): string {
  const taken = new Set(snapshots.map(({ label }) => label))
  let number = snapshots.length + 1
  while (taken.has(`Snapshot ${number}`)) number++
  return `Snapshot ${number}`
}

/** For what was there before another state was gone back to: "Before Base". */
export function keepLabel(snapshot: SnapshotView, snapshots: readonly SnapshotView[]): string {
  const taken = new Set(snapshots.map(({ label }) => label))
  const fits = (label: string): boolean => labelProblem(label) === null && !taken.has(label)
  const wish = `Before ${snapshot.label}`
  if (fits(wish)) return wish
  for (let number = 2; number <= snapshots.length + 1; number++) if (fits(`${wish} ${number}`)) return `${wish} ${number}`
  return suggestLabel(snapshots)
}

/** Whether there is something running that a snapshot can keep. */
export function hasMemory(state: MachineState): boolean {
  return isActive(state) || state === 'suspended'
}

/** Everything that came from a snapshot, oldest first, without itself. */
export function laterThan(id: string, snapshots: readonly SnapshotView[]): SnapshotView[] {
  const found = new Set([id])
  // Every parent is listed before its children.
  return snapshots.filter((snapshot) => {
    if (snapshot.parent === null || !found.has(snapshot.parent)) return false
    found.add(snapshot.id)
    return true
  })
}

/** Whether the machine's present state came from a snapshot, or from what came from it. */
export function leadsHere(id: string, { snapshots, current }: Pick<SnapshotTree, 'snapshots' | 'current'>): boolean {
  return current !== null && (current === id || laterThan(id, snapshots).some((later) => later.id === current))
}

/** What the machine does once it was put back. @param kept what it is now is kept first */
export function afterRestore(machine: Pick<MachineView, 'name' | 'state'>, snapshot: Pick<SnapshotView, 'running'>, kept: boolean): string {
  const name = `“${machine.name}”`
  const ends = isActive(machine.state) && !kept ? `${name} runs now: its programs end without saving. ` : ''
  return (
    ends +
    (snapshot.running
      ? `${name} runs again afterwards, from the moment when the snapshot was taken.`
      : `${name} is off afterwards: it was when the snapshot was taken.`)
  )
}

/** What deleting one snapshot does to the rest. */
export function afterDelete({ id, bytes, pinned }: SnapshotView, { snapshots, current }: SnapshotTree): string[] {
  const needed = current === id || snapshots.some(({ parent }) => parent === id)
  return [
    `You cannot go back to it any more.${pinned ? ' It is pinned.' : ''}`,
    needed ? 'Nothing else changes: what later states need is merged into them.' : 'Nothing else changes: no later state needs it.',
    `Frees ${needed ? 'up to ' : ''}${formatBytes(bytes)}.`,
  ]
}
