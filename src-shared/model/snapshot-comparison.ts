/** What two states of a machine differ in. */
import type { DiskDifference } from './disk-difference.ts'
import type { FileSystemChanges } from './file-changes.ts'

export interface DiskComparison {
  /** The drive's id. */
  drive: string
  /** `both`: the machine had it in both states; otherwise only in the earlier one (`removed`), or the later one (`added`). */
  there: 'both' | 'added' | 'removed'
  /** Null where it is not in both. */
  difference: DiskDifference | null
  /** Of its partitions, those that may differ; empty where the disk is the same. */
  files: FileSystemChanges[]
}

export interface SnapshotComparison {
  /** Ids of the snapshots; null: the present state. */
  before: string | null
  after: string | null
  disks: DiskComparison[]
}

/** Into how many parts the picture of a disk is divided, at most. */
export const PICTURE_PARTS = 480
