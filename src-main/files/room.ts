import type { Stats } from 'node:fs'

/** Bytes of what the system counts in (POSIX.1-2017, sys/stat.h: st_blocks). */
const STAT_BLOCK = 512

/** Bytes that a file takes of its file system, holes left out. */
export function roomOf({ blocks }: Pick<Stats, 'blocks'>): number {
  return blocks * STAT_BLOCK
}
