/**
 * Deleting snapshots of a machine, also while it runs. Theory of operation: what came from a deleted snapshot is given its parent first, one file after the
 * other, each a valid tree; then its folder is renamed away, which is when it is gone. Its disks are not touched here: nobody names them any more, and
 * tidying up merges them with what rests on them (tidy.ts), now or when the machine is off.
 */
import type { MachineConfig } from '../../../src-shared/model/machine.ts'
import type { Snapshot } from '../../../src-shared/model/snapshot.ts'
import type { Library } from '../library/library.ts'
import type { SuspendRecord } from '../library/suspend-record.ts'
import { writeSuspendRecord } from '../machines/suspend/suspended-state.ts'
import { removeSnapshot, rewriteSnapshot } from './snapshot-files.ts'
import { currentOf, inOrder } from './tree.ts'

/**
 * @param gone ids
 * @param suspended of a machine that is: its memory stays its own
 * @returns the configuration as it is then
 */
export async function forgetSnapshots(
  bundle: string,
  config: MachineConfig,
  snapshots: readonly Snapshot[],
  gone: ReadonlySet<string>,
  suspended: SuspendRecord | null,
  library: Library,
): Promise<MachineConfig> {
  const ordered = inOrder(snapshots)
  const parents = new Map(ordered.map(({ id, parent }) => [id, parent]))
  const heir = (id: string | null): string | null => {
    let at = id
    while (at !== null && gone.has(at)) at = parents.get(at) ?? null
    return at
  }
  for (const snapshot of ordered)
    if (!gone.has(snapshot.id) && snapshot.parent !== null && gone.has(snapshot.parent))
      await rewriteSnapshot(bundle, { ...snapshot, parent: heir(snapshot.parent) })
  const current = currentOf(config, snapshots)
  let next = config
  if (current !== null && gone.has(current)) {
    const point = heir(current)
    next = { ...config, point: point === null ? null : { snapshot: point, otherwise: point } }
    // Where the record says of which snapshot it is, and is refused as another's already, it stays so.
    if (suspended?.points?.includes(config.point!.snapshot))
      await writeSuspendRecord(bundle, { ...suspended, points: [config.point!.snapshot, point] })
    await library.writeConfig(bundle, next)
  }
  // Those that came later first: at every moment what is left is a tree.
  for (const { id } of ordered.toReversed()) if (gone.has(id)) await removeSnapshot(bundle, id)
  if (suspended) await library.refresh(bundle)
  return next
}
