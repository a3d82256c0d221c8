/**
 * Writer of "newc" cpio archives, the format of Linux's initramfs (kernel documentation: "initramfs buffer format"). Deterministic: the
 * same entries give the same bytes, in any order of their adding; owner 0:0, one fixed time.
 */
import { concatBytes, utf8 } from '../../src-shared/base/bytes.ts'

export type CpioEntry =
  | { kind: 'directory'; mode: number }
  | { kind: 'file'; mode: number; data: Uint8Array }
  | { kind: 'symlink'; target: string }
  /** A character device. The kernel opens /dev/console before any init could make it. */
  | { kind: 'device'; mode: number; major: number; minor: number }

const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const S_IFLNK = 0o120000
const S_IFCHR = 0o020000
/** 2026-01-01 00:00 UTC, seconds: a time that is neither 1970 (which looks broken) nor the builder's. */
const MTIME = 1_767_225_600

/** Paths are relative without "./" ("bin/busybox"). Parent folders that are not among the entries are added. */
export function writeCpio(entries: ReadonlyMap<string, CpioEntry>): Uint8Array<ArrayBuffer> {
  const all = new Map(entries)
  for (const path of entries.keys()) {
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash)
      if (!all.has(parent)) all.set(parent, { kind: 'directory', mode: 0o755 })
    }
  }
  const parts: Uint8Array[] = []
  // Sorted by code unit, so that a folder comes before what is in it.
  const paths = [...all.keys()].sort()
  for (const [at, path] of paths.entries()) writeEntry(parts, path, all.get(path)!, at + 1)
  parts.push(...header('TRAILER!!!', { inode: 0, mode: 0, links: 1, mtime: 0, size: 0, major: 0, minor: 0 }))
  return concatBytes(parts)
}

function writeEntry(parts: Uint8Array[], path: string, entry: CpioEntry, inode: number): void {
  const common = { inode, links: 1, mtime: MTIME, size: 0, major: 0, minor: 0 }
  switch (entry.kind) {
    case 'directory':
      parts.push(...header(path, { ...common, mode: S_IFDIR | entry.mode, links: 2 }))
      break
    case 'file':
      parts.push(...header(path, { ...common, mode: S_IFREG | entry.mode, size: entry.data.length }), entry.data, pad(entry.data.length))
      break
    case 'symlink': {
      const target = utf8(entry.target)
      parts.push(...header(path, { ...common, mode: S_IFLNK | 0o777, size: target.length }), target, pad(target.length))
      break
    }
    case 'device':
      parts.push(...header(path, { ...common, mode: S_IFCHR | entry.mode, major: entry.major, minor: entry.minor }))
  }
}

interface Fields {
  inode: number
  mode: number
  links: number
  mtime: number
  size: number
  major: number
  minor: number
}

function header(path: string, f: Fields): Uint8Array[] {
  const name = utf8(`${path}\0`)
  // c_ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
  const numbers = [f.inode, f.mode, 0, 0, f.links, f.mtime, f.size, 0, 0, f.major, f.minor, name.length, 0]
  const fixed = utf8(`070701${numbers.map((n) => n.toString(16).toUpperCase().padStart(8, '0')).join('')}`)
  return [fixed, name, pad(fixed.length + name.length)]
}

/** Zeroes up to the next multiple of four. */
function pad(length: number): Uint8Array {
  return new Uint8Array(-length & 3)
}
