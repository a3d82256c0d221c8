import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { SnapshotTree, SnapshotView } from '../../../src-shared/model/snapshot.ts'

/**
 * By its label, its id, or the beginning of that.
 * @throws AppError `not-found`, or `invalid-input` where several are meant
 */
export function findSnapshot({ snapshots }: SnapshotTree, wanted: string): SnapshotView {
  const named = snapshots.filter(({ label, id }) => label === wanted || id === wanted)
  const found = named.length > 0 ? named : snapshots.filter(({ id }) => wanted.length >= 4 && id.startsWith(wanted.toLowerCase()))
  if (found.length === 1) return found[0]!
  if (found.length === 0) throw new AppError('not-found', `There is no snapshot “${wanted}”.`, { subject: wanted })
  const ids = found.map(({ id }) => id.slice(0, 8)).join(', ')
  throw new AppError('invalid-input', `There are ${found.length} snapshots “${wanted}”. Say which by its id: ${ids}.`, { subject: wanted })
}
