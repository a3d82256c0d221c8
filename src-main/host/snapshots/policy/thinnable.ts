/** Which of a machine's snapshots may be deleted by themselves. Pure. */
import type { MachineConfig } from '../../../../src-shared/model/machine.ts'
import { isThinned, type SnapshotTree } from '../../../../src-shared/model/snapshot.ts'
import { neededByTrial } from '../trials.ts'
import type { Thinnable } from './thin.ts'

/** Where several states came from one, it stays: its disks could be merged with none of them. */
export function thinnables(config: MachineConfig, { snapshots, current }: SnapshotTree): Thinnable[] {
  const children = new Map<string | null, number>()
  for (const parent of [...snapshots.map((one) => one.parent), current]) children.set(parent, (children.get(parent) ?? 0) + 1)
  return snapshots.map(({ id, created, by, pinned, bytes }) => ({
    ...{ id, bytes, created: Date.parse(created), automatic: isThinned(by) },
    exempt: pinned || !isThinned(by) || (children.get(id) ?? 0) > 1 || neededByTrial(config, new Set([id])) !== null,
  }))
}
