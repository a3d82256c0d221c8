/**
 * Entries of L1 and L2 tables (qcow2.rst, "Cluster mapping", "Compressed Clusters Descriptor"). They are 64 bits wide and handled as two halves of
 * 32, because BigInt is too slow for every cluster of every request. Pure.
 */

/** In the high half: refcount exactly one, may be written in place. */
export const COPIED = 0x80000000
const COMPRESSED_FLAG = 0x40000000
/** In the low half: reads as zeroes. */
export const ZERO_FLAG = 1

/** What an L2 entry says of its cluster. */
export const KIND = {
  /** Nothing: the backing shows through. */
  unallocated: 0,
  /** Zeroes, no room in the file. */
  zero: 1,
  /** Zeroes, with room in the file. */
  zeroAllocated: 2,
  data: 3,
  compressed: 4,
} as const
export type Kind = (typeof KIND)[keyof typeof KIND]

export function entryKind(high: number, low: number): Kind {
  if ((high & COMPRESSED_FLAG) !== 0) return KIND.compressed
  const placed = entryOffset(high, low) !== 0
  if ((low & ZERO_FLAG) !== 0) return placed ? KIND.zeroAllocated : KIND.zero
  return placed ? KIND.data : KIND.unallocated
}

/** The offset in the file that an L1 entry or an L2 entry of a cluster that is not compressed has; up to 2^56, so that it may not be a safe integer. */
export function entryOffset(high: number, low: number): number {
  return (high & 0x00ffffff) * 2 ** 32 + ((low & 0xfffffe00) >>> 0)
}

export function entryHigh(offset: number): number {
  return Math.floor(offset / 2 ** 32)
}

export function entryLow(offset: number): number {
  return offset >>> 0
}

export interface CompressedPlace {
  offset: number
  /** Bytes, up to the end of the last sector that is used. */
  length: number
}

export function compressedPlace(high: number, low: number, clusterBits: number): CompressedPlace {
  const offsetBits = 62 - (clusterBits - 8) - 32 // of the high half: 17 to 29
  const offset = (high & (2 ** offsetBits - 1)) * 2 ** 32 + (low >>> 0)
  const sectors = ((high & 0x3fffffff) >>> offsetBits) + 1
  return { offset, length: sectors * 512 - (offset % 512) }
}

/** The high half of the entry of `length` compressed bytes at `offset`; the low half is the offset's. */
export function compressedHigh(offset: number, length: number, clusterBits: number): number {
  const offsetBits = 62 - (clusterBits - 8) - 32
  const sectors = Math.floor((offset + length - 1) / 512) - Math.floor(offset / 512)
  return (COMPRESSED_FLAG | (sectors << offsetBits) | Math.floor(offset / 2 ** 32)) >>> 0
}

/** Compressed clusters must lie below this offset. */
export function compressedEnd(clusterBits: number): number {
  return Math.min(2 ** (62 - (clusterBits - 8)), 2 ** 53)
}
