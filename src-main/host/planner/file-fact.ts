/** What the planner must know of a file, and how a file’s first bytes tell what it is. Pure. */
/** Bytes of a CD's logical sector (ECMA-119 section 6.1.2). */
export const CD_SECTOR = 2048

export interface FileFact {
  /** `escapes`: a relative path that leaves the bundle. */
  kind: 'file' | 'missing' | 'folder' | 'special' | 'denied' | 'escapes' | 'unreadable' | 'network'
  /** Absolute, or an address on the network. */
  path: string
  /** Of what is `unreadable`: why, as the end of a sentence. */
  reason?: string
  bytes: number
  /** Unix ms. */
  modified: number
  inode: number
  writable: boolean
  /** Bytes that an ISO 9660 file system in it says it has; null where there is none. */
  volumeBytes: number | null
  /** Whether it is a Linux kernel for PCs: packed (`bzimage`), or an unpacked one that can be entered directly (`pvh`). */
  linuxKernel: 'bzimage' | 'pvh' | null
  /** Whether that kernel needs a 64-bit processor. */
  kernel64: boolean
  /** What it is when it is unpacked, where it is packed by gzip and says so; else null. */
  unpackedBytes: number | null
}

/** ECMA-119 section 8.4: the primary volume descriptor in sector 16; volume space size at 80, logical block size at 128, both little-endian first. */
export function isoVolumeBytes(sector16: Uint8Array): number | null {
  const id = String.fromCharCode(...sector16.subarray(1, 6))
  if (sector16.length < 132 || sector16[0] !== 1 || id !== 'CD001') return null
  const view = new DataView(sector16.buffer, sector16.byteOffset)
  return view.getUint32(80, true) * view.getUint16(128, true)
}

/** Bytes that writers may leave away at a volume's end: 150 sectors of run-out (ECMA-119 says nothing of them; mkisofs's `-pad`). */
const RUN_OUT = 150 * CD_SECTOR

/** Bytes by which the file is too short for its file system; 0 where it is whole, null where it has none. */
export function volumeShortfall(file: Pick<FileFact, 'bytes' | 'volumeBytes'>): number | null {
  if (file.volumeBytes === null) return null
  const missing = file.volumeBytes - file.bytes
  return missing > RUN_OUT ? missing : 0
}

/** Bytes at the end of a gzip file that tell the size of what is in it. */
export const GZIP_SIZE = 4
/** More than what initial RAM disks are packed to, and less than what a size that is none would mean. */
const MAX_RATIO = 20

/** RFC 1952 section 2.3: magic 1f 8b first, ISIZE last. Null for what is no gzip file, or one with something behind its end. */
export function gzipUnpackedBytes(head: Uint8Array, tail: Uint8Array, bytes: number): number | null {
  if (head[0] !== 0x1f || head[1] !== 0x8b || tail.length < GZIP_SIZE) return null
  const size = new DataView(tail.buffer, tail.byteOffset, tail.byteLength).getUint32(0, true)
  return size >= bytes && size <= bytes * MAX_RATIO ? size : null
}
