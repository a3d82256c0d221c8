/** Which files of a disk two states differ in. */

export interface FileChange {
  /** From the root of its file system. */
  path: string
  /** Bytes; null: it was not there. */
  before: number | null
  after: number | null
}

export interface FileSystemChanges {
  /** As systems number partitions; 0: the disk as a whole. */
  partition: number
  /** Null: none that Coppice can read. */
  kind: 'ext' | 'fat' | null
  label: string
  /** By path, the first MAX_LISTED of each. */
  added: FileChange[]
  changed: FileChange[]
  removed: FileChange[]
  /** All of them. */
  counts: { added: number; changed: number; removed: number }
  /** Why it is not known, or not all of it, as a sentence; null: all is. */
  note: string | null
}

export const MAX_LISTED = 500
