/** What the planner must know of a file, and how a file’s first bytes tell what it is. Pure. */
/** Bytes of a CD's logical sector (ECMA-119 section 6.1.2). */
export const CD_SECTOR = 2048

export interface FileFact {
  /** `escapes`: a relative path that leaves the bundle. */
  kind: 'file' | 'missing' | 'folder' | 'special' | 'denied' | 'escapes'
  /** Absolute. */
  path: string
  bytes: number
  /** Unix ms. */
  modified: number
  inode: number
  writable: boolean
  /** Bytes that an ISO 9660 file system in it says it has; null where there is none. */
  volumeBytes: number | null
  /** Whether it is a Linux kernel image for PCs (bzImage). */
  linuxKernel: boolean
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

/** The Linux/x86 boot protocol: magic "HdrS" at 0x202. */
export function isLinuxKernel(head: Uint8Array): boolean {
  return String.fromCharCode(...head.subarray(0x202, 0x206)) === 'HdrS'
}

/** Bytes of a kernel's head in which its header says everything that is asked here. */
export const KERNEL_HEAD = 0x238
/** The boot protocol's version in which `xloadflags` came. */
const WITH_LOAD_FLAGS = 0x020c

/** The Linux/x86 boot protocol: bit 0 (XLF_KERNEL_64) of `xloadflags` at 0x236, which kernels for 64-bit PCs have set. */
export function isKernel64(head: Uint8Array): boolean {
  if (head.length < KERNEL_HEAD || !isLinuxKernel(head)) return false
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
  return view.getUint16(0x206, true) >= WITH_LOAD_FLAGS && (view.getUint16(0x236, true) & 1) === 1
}
