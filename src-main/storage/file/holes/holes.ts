import type { FileHandle } from 'node:fs/promises'
import type { AtOnce } from '../at-once.ts'

/**
 * What the system can do with the room that one open file takes: a hole is a part that takes none and reads as zeroes. Node has no calls for it, so
 * each system's own are used (linux.ts, macos.ts, windows.ts), through koffi. Offsets are in bytes, `end` is the first byte behind.
 *
 * Nothing here fails: what cannot be done is told, and who asked reads or writes instead, which shows what is wrong, if anything is.
 */
export interface Holes {
  /**
   * Makes a hole of [start, end), which must lie within the file.
   * @returns the part that reads as zeroes now; null when there is none. The rest is as before, or zeroes.
   */
  punch(start: number, end: number): Promise<Run | null>
  /** @returns the first stored bytes within [start, end), null when all of it is holes; where the system cannot tell, all of it is stored */
  nextData(start: number, end: number): Promise<Run | null>
  /** The file may have holes where nothing is written from now on. Windows wants to be asked before a file grows; elsewhere they come by themselves. */
  allow(): Promise<void>
  /** To be called before the file is closed, when no other call is under way. */
  close(): Promise<void>
}

export interface Run {
  start: number
  end: number
}

export interface HoleFile {
  readonly file: FileHandle
  readonly path: string
  readonly readOnly: boolean
  /** Which questions where data is may be asked at once; absent: none. */
  readonly seeks?: Pick<AtOnce, 'allows' | 'run'>
}

/** Where there is no way to have them. */
export const NO_HOLES: Holes = {
  punch: () => Promise.resolve(null),
  nextData: (start, end) => Promise.resolve({ start, end }),
  allow: () => Promise.resolve(),
  close: () => Promise.resolve(),
}
