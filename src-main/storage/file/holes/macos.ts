/**
 * macOS: fcntl(2) with F_PUNCHHOLE, which APFS has (XNU, bsd/sys/fcntl.h), for whole blocks alone.
 *
 * Where data is, is not asked: APFS was seen to answer SEEK_HOLE and SEEK_DATA with holes where there is data (GNU coreutils, pull request 68; QEMU bug
 * 1776920), and a wrong answer here is a lost disk. So everything counts as data; copies between APFS volumes are reflinks anyway.
 */
import type koffi from 'koffi'
import type { HoleFile, Holes } from './holes.ts'
import { Ability } from './ability.ts'

const F_PUNCHHOLE = 99
/** Bytes of fpunchhole_t: two numbers of 32 bits that are 0, offset and length of 64 bits. */
const PUNCHHOLE_SIZE = 24
/**
 * Bytes punched at once. koffi cannot call functions with variable arguments off this thread, which is fcntl's kind (and on Apple silicon they are passed
 * unlike others), so a long hole is made in pieces, with all else between them.
 */
const PIECE = 2 ** 26

export interface MacCalls {
  /** F_PUNCHHOLE; 0, or an error's number below zero. */
  punchHole(fd: number, offset: number, length: number): number
}

/** @throws Error when the C library lacks a call */
export function macCalls(library: typeof koffi): MacCalls {
  const fcntl = library.load(null).func('int fcntl(int fd, int command, ...)')
  return {
    punchHole(fd, offset, length) {
      const range = new DataView(new ArrayBuffer(PUNCHHOLE_SIZE))
      range.setBigInt64(8, BigInt(offset), true)
      range.setBigInt64(16, BigInt(length), true)
      return (fcntl(fd, F_PUNCHHOLE, 'void *', new Uint8Array(range.buffer)) as number) < 0 ? -library.errno() : 0
    },
  }
}

/** @param block bytes of a block of the volume */
export function macHoles(calls: MacCalls, { file, path }: HoleFile, block: number): Holes {
  const ability = new Ability(path)
  return {
    async punch(start, end) {
      const first = Math.ceil(start / block) * block
      const last = Math.floor(end / block) * block
      let at = first
      while (at < last && ability.has) {
        const length = Math.min(PIECE, last - at)
        const result = calls.punchHole(file.fd, at, length)
        if (result < 0) {
          ability.failed(-result)
          break
        }
        at += length
        if (at < last) await new Promise((resolve) => setImmediate(resolve))
      }
      return at > first ? { start: first, end: at } : null
    },
    nextData: (start, end) => Promise.resolve({ start, end }),
    allow: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}
