/** What two states of a machine differ in. */
import type { DiskDifference } from './disk-difference.ts'

export interface DiskComparison {
  /** The drive's id. */
  drive: string
  /** `both`: the machine had it in both states; otherwise only in the earlier one (`removed`), or the later one (`added`). */
  there: 'both' | 'added' | 'removed'
  /** Null where it is not in both. */
  difference: DiskDifference | null
}

export interface SnapshotComparison {
  /** Ids of the snapshots; null: the present state. */
  before: string | null
  after: string | null
  disks: DiskComparison[]
}

/** Into how many parts the picture of a disk is divided, at most. */
export const PICTURE_PARTS = 480
