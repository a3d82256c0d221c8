/**
 * Linux: fallocate(2) and lseek(2). What the file systems do was looked up there and tried on ext4 and tmpfs; XFS, btrfs, ZFS, NFS 4.2 and SMB can both
 * too; FAT, exFAT and NFS 3 can neither. A punch may begin and end anywhere: what is not a whole block is zeroed. On a block device both ends must be
 * whole sectors. FALLOC_FL_ZERO_RANGE is of no use here: what has it can punch.
 */
import { constants } from 'node:os'
import type koffi from 'koffi'
import type { HoleFile, Holes, Run } from './holes.ts'
import { Ability } from './ability.ts'
import { threaded } from './threaded-call.ts'

/** FALLOC_FL_KEEP_SIZE and FALLOC_FL_PUNCH_HOLE (linux/falloc.h). */
const PUNCH_HOLE = 0x01 | 0x02
/** linux/fs.h */
const SEEK_DATA = 3
const SEEK_HOLE = 4
const { EINTR, ENXIO } = constants.errno
/** Bytes punched at once: meanwhile nobody reads or writes the file. */
const PIECE = 2 ** 30

/** The result, or an error's number below zero. */
export interface LinuxCalls {
  fallocate(fd: number, mode: number, offset: number, length: number): Promise<number>
  /** Moves the file's position too; all that is read and written here has an explicit one. */
  lseek(fd: number, offset: number, whence: number): Promise<number>
  /** The same on this thread. */
  lseekNow(fd: number, offset: number, whence: number): number
}

/** @throws Error when the C library lacks a call */
export function linuxCalls(library: typeof koffi): LinuxCalls {
  // null: the C library that runs this program, glibc or musl, whatever its file is called.
  const c = library.load(null)
  // In 32-bit glibc the plain names take offsets of 32 bits; musl's always take 64 and may lack the others.
  const find = (name: string, rest: string): ReturnType<typeof c.func> => {
    try {
      return c.func(`${rest.replace('$', `${name}64`)}`)
    } catch {
      return c.func(`${rest.replace('$', name)}`)
    }
  }
  const errno = (): number => library.errno()
  const fallocate = threaded(find('fallocate', 'int $(int fd, int mode, int64_t offset, int64_t length)'), errno)
  const seek = find('lseek', 'int64_t $(int fd, int64_t offset, int whence)')
  const lseek = threaded(seek, errno)
  const result = ({ value, error }: { value: number; error: number }): number => (value < 0 ? -error : value)
  return {
    fallocate: async (...args) => result(await fallocate(...args)),
    lseek: async (...args) => result(await lseek(...args)),
    lseekNow: (...args) => result({ value: Number(seek(...args)), error: errno() }),
  }
}

export function linuxHoles(calls: LinuxCalls, { file, path, seeks }: HoleFile): Holes {
  const ability = new Ability(path)
  const seek = async (offset: number, whence: number): Promise<number> =>
    seeks?.allows(0) ? seeks.run(() => calls.lseekNow(file.fd, offset, whence)) : calls.lseek(file.fd, offset, whence)
  return {
    async punch(start, end) {
      let at = start
      while (at < end && ability.has) {
        const length = Math.min(PIECE, end - at)
        const result = await calls.fallocate(file.fd, PUNCH_HOLE, at, length)
        if (result === -EINTR) continue
        if (result < 0) {
          ability.failed(-result)
          break
        }
        at += length
      }
      return at > start ? { start, end: at } : null
    },
    async nextData(start, end) {
      const all: Run = { start, end }
      // The hole first: within data that is the only call.
      const hole = await seek(start, SEEK_HOLE)
      if (hole > start) return { start, end: Math.min(hole, end) }
      if (hole < 0) return all
      const data = await seek(start, SEEK_DATA)
      if (data === -ENXIO || data >= end) return null
      if (data <= start) return all // an error, or just written
      const dataEnd = await seek(data, SEEK_HOLE)
      return { start: data, end: dataEnd > data ? Math.min(dataEnd, end) : end }
    },
    allow: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
