/** What two states of a disk differ in. */

export interface DiskDifference {
  /** Bytes of the disk in each state. What one has past the other's end is compared with zeroes. */
  sizes: { before: number; after: number }
  /** Bytes of a block: what is compared as a whole. */
  blockSize: number
  changedBlocks: number
  /** Of those blocks, the last of which may be cut off by the disk's end. */
  changedBytes: number
  /** Bytes of the disk that were read, of either state: the rest lies in files that both have. */
  comparedBytes: number
  /** The disk in equal parts of so many bytes, the last of which may be cut off: bytes of changed blocks in each. */
  part: number
  parts: number[]
}
