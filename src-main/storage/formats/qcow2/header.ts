/** The header of a qcow2 image (QEMU docs/interop/qcow2.rst, "Header", "Additional fields", "Header extensions", "Feature name table"). Pure. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../../src-shared/model/disk-format.ts'
import type { NamedBacking } from '../../disk-image.ts'
import {
  MAX_BACKING_NAME_BYTES,
  MAX_BITMAPS,
  MAX_BITMAP_DIRECTORY_BYTES,
  MAX_CLUSTER_BITS,
  MAX_L1_BYTES,
  MAX_REFCOUNT_TABLE_BYTES,
  MAX_SNAPSHOTS,
  MIN_CLUSTER_BITS,
} from './limits.ts'

/** "QFI\xfb" */
export const MAGIC = 0x514649fb
/** Bytes of the fields that every version has. */
export const V2_HEADER_BYTES = 72
/** Bytes of the fields that every header of version 3 has. */
export const V3_HEADER_BYTES = 104
/** Bytes: everything that is changed in place lies here, so that a change is there or not, whatever tears. */
export const HEADER_SECTOR = 512

/** Byte offsets of the fields. */
export const FIELD = {
  version: 4,
  backingOffset: 8,
  backingLength: 16,
  clusterBits: 20,
  size: 24,
  encryption: 32,
  l1Entries: 36,
  l1Offset: 40,
  refcountTableOffset: 48,
  refcountTableClusters: 56,
  snapshotCount: 60,
  snapshotsOffset: 64,
  incompatible: 72,
  compatible: 80,
  autoclear: 88,
  refcountOrder: 96,
  headerLength: 100,
  compression: 104,
} as const

export const DIRTY = 1n << 0n
export const CORRUPT = 1n << 1n
const EXTERNAL_DATA = 1n << 2n
const COMPRESSION_TYPE = 1n << 3n
const EXTENDED_L2 = 1n << 4n
/** The incompatible features of images that can be opened here. */
const UNDERSTOOD = DIRTY | CORRUPT | COMPRESSION_TYPE
const LAZY_REFCOUNTS = 1n << 0n
const BITMAPS_VALID = 1n << 0n

export const EXTENSION = { end: 0, backingFormat: 0xe2792aca, featureNames: 0x6803f857, bitmaps: 0x23852875 } as const
const FEATURE_NAME_BYTES = 48

/** Names of the features of which this implementation knows, for images without a table of names. */
const FEATURE_NAMES = new Map([
  [2, 'external data file'],
  [4, 'extended L2 entries'],
])

export interface Qcow2Header {
  version: 2 | 3
  /** Bytes. */
  clusterSize: number
  clusterBits: number
  /** Bytes of the disk. */
  size: number
  l1Entries: number
  l1Offset: number
  refcountTableOffset: number
  refcountTableClusters: number
  snapshotCount: number
  snapshotsOffset: number
  /** Reference counts may be too low or too high: they are repaired before the image is written. */
  dirty: boolean
  /** Somebody found the image damaged: it must not be written. */
  corrupt: boolean
  lazyRefcounts: boolean
  /** Some autoclear feature's bit is set: all are cleared before the image is changed. */
  autoclear: boolean
  refcountBits: number
  compression: 'zlib' | 'zstd'
  backing: NamedBacking | null
  /** Where consistent bitmaps are listed. */
  bitmaps: { offset: number; bytes: number; count: number } | null
}

/** Whether a file that begins so is a qcow2 image, of any version. */
export function isQcow2(head: Uint8Array): boolean {
  return head.length >= 8 && view(head).getUint32(0) === MAGIC && view(head).getUint32(FIELD.version) >= 2
}

/**
 * How many bytes from the file's begin on `readQcow2Header` needs: its first cluster.
 * @param head at least the first 24 bytes
 * @throws AppError `corrupt`
 */
export function headerBytes(head: Uint8Array, path: string): number {
  if (!isQcow2(head)) throw beyondRepair(path, 'it does not begin as a qcow2 image does')
  const bits = view(head).getUint32(FIELD.clusterBits)
  if (bits < MIN_CLUSTER_BITS || bits > MAX_CLUSTER_BITS)
    throw beyondRepair(path, `its cluster size (2 to the power of ${bits}) is not possible`)
  return 2 ** bits
}

/**
 * @param head the file's first cluster (`headerBytes`), zeroes past the file's end
 * @throws AppError `corrupt`; `unsupported` with the names of what is not supported
 */
export function readQcow2Header(head: Uint8Array, path: string): Qcow2Header {
  const clusterSize = headerBytes(head, path)
  if (head.length < clusterSize) throw beyondRepair(path, 'its header is cut off')
  const fields = view(head)
  const version = fields.getUint32(FIELD.version)
  if (version !== 2 && version !== 3)
    throw new AppError('unsupported', `The disk image “${path}” is qcow2 version ${version}; versions 2 and 3 can be used.`, {
      subject: path,
    })
  const number = (at: number, what: string): number => {
    const value = fields.getBigUint64(at)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw beyondRepair(path, `${what} (${value}) is too large`)
    return Number(value)
  }
  const offset = (at: number, what: string): number => {
    const value = number(at, what)
    if (value % clusterSize !== 0) throw beyondRepair(path, `${what} (${value}) does not begin at a cluster`)
    return value
  }

  const length = version === 2 ? V2_HEADER_BYTES : fields.getUint32(FIELD.headerLength)
  if (version === 3 && (length < V3_HEADER_BYTES || length % 8 !== 0 || length > clusterSize))
    throw beyondRepair(path, `its header's length (${length}) is not possible`)
  const extensions = readExtensions(head, length, backingOffset(head, clusterSize, path), path)
  const incompatible = version === 2 ? 0n : fields.getBigUint64(FIELD.incompatible)
  refuseUnknown(incompatible, extensions.get(EXTENSION.featureNames), path)
  const encryption = fields.getUint32(FIELD.encryption)
  if (encryption !== 0) {
    const kind = encryption === 1 ? 'AES' : encryption === 2 ? 'LUKS' : `method ${encryption}`
    throw new AppError('unsupported', `The disk image “${path}” is encrypted (${kind}), which is not supported. Decrypt it first.`, {
      subject: path,
    })
  }

  const size = number(FIELD.size, 'its disk’s size')
  const l1Entries = fields.getUint32(FIELD.l1Entries)
  if (l1Entries > MAX_L1_BYTES / 8) throw beyondRepair(path, `its L1 table has too many entries (${l1Entries})`)
  if (l1Entries < l1EntriesFor(size, clusterSize))
    throw beyondRepair(path, `its L1 table (${l1Entries} entries) is too small for a disk of ${size} bytes`)
  const refcountTableClusters = fields.getUint32(FIELD.refcountTableClusters)
  if (refcountTableClusters * clusterSize > Math.max(MAX_REFCOUNT_TABLE_BYTES, clusterSize))
    throw beyondRepair(path, `its refcount table is too large (${refcountTableClusters} clusters)`)
  const snapshotCount = fields.getUint32(FIELD.snapshotCount)
  if (snapshotCount > MAX_SNAPSHOTS) throw beyondRepair(path, `it lists too many snapshots (${snapshotCount})`)
  const refcountOrder = version === 2 ? 4 : fields.getUint32(FIELD.refcountOrder)
  if (refcountOrder > 6) throw beyondRepair(path, `its reference counts have 2 to the power of ${refcountOrder} bits`)
  const autoclear = version === 2 ? 0n : fields.getBigUint64(FIELD.autoclear)
  return {
    version,
    clusterSize,
    clusterBits: Math.log2(clusterSize),
    size,
    l1Entries,
    l1Offset: offset(FIELD.l1Offset, 'the offset of its L1 table'),
    refcountTableOffset: offset(FIELD.refcountTableOffset, 'the offset of its refcount table'),
    refcountTableClusters,
    snapshotCount,
    snapshotsOffset: snapshotCount === 0 ? 0 : offset(FIELD.snapshotsOffset, 'the offset of its list of snapshots'),
    dirty: (incompatible & DIRTY) !== 0n,
    corrupt: (incompatible & CORRUPT) !== 0n,
    lazyRefcounts: version === 3 && (fields.getBigUint64(FIELD.compatible) & LAZY_REFCOUNTS) !== 0n,
    autoclear: autoclear !== 0n,
    refcountBits: 2 ** refcountOrder,
    compression: compressionType(head, length, (incompatible & COMPRESSION_TYPE) !== 0n, path),
    backing: backingName(head, extensions.get(EXTENSION.backingFormat), path),
    bitmaps: (autoclear & BITMAPS_VALID) === 0n ? null : bitmapList(extensions.get(EXTENSION.bitmaps), path),
  }
}

/** Entries that the L1 table of a disk needs ("Cluster mapping"). */
export function l1EntriesFor(size: number, clusterSize: number): number {
  return Math.ceil(size / (clusterSize * (clusterSize / 8)))
}

/** What a check finds, and can often mend. */
export function corrupt(path: string, what: string): AppError {
  return new AppError('corrupt', `The disk image “${path}” is damaged: ${what}. Check and repair it, or use a copy.`, { subject: path })
}

/** What a check stops at, or does not look at. */
export function beyondRepair(path: string, what: string): AppError {
  return new AppError('corrupt', `The disk image “${path}” is damaged: ${what}. That cannot be repaired: use a copy of it.`, {
    subject: path,
  })
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function refuseUnknown(incompatible: bigint, names: Uint8Array | undefined, path: string): void {
  const unknown: string[] = []
  for (let bit = 0; bit < 64; bit++)
    if ((incompatible & ~UNDERSTOOD & (1n << BigInt(bit))) !== 0n) unknown.push(FEATURE_NAMES.get(bit) ?? featureName(names, bit))
  if (unknown.length === 0) return
  const what =
    (incompatible & (EXTERNAL_DATA | EXTENDED_L2)) !== 0n ? 'Convert it with the program that made it' : 'It may need a newer Coppice'
  throw new AppError('unsupported', `The disk image “${path}” uses what is not supported here: ${unknown.join(', ')}. ${what}.`, {
    subject: path,
  })
}

/** The name that the image itself gives an incompatible feature. */
function featureName(names: Uint8Array | undefined, bit: number): string {
  for (let at = 0; names && at + FEATURE_NAME_BYTES <= names.length; at += FEATURE_NAME_BYTES) {
    if (names[at] !== 0 || names[at + 1] !== bit) continue
    const text = new TextDecoder().decode(names.subarray(at + 2, at + FEATURE_NAME_BYTES))
    return `“${text.replace(/\p{Cc}.*/su, '')}”`
  }
  return `feature ${bit}`
}

/** Everything between the header and the backing file's name; the first extension of each type. */
function readExtensions(head: Uint8Array, from: number, backingAt: number, path: string): Map<number, Uint8Array> {
  const end = backingAt >= from ? backingAt : head.length
  const found = new Map<number, Uint8Array>()
  for (let at = from; at + 8 <= end;) {
    const type = view(head).getUint32(at)
    if (type === EXTENSION.end) break
    const length = view(head).getUint32(at + 4)
    if (length > end - at - 8) throw beyondRepair(path, `an extension of its header (${length} bytes at ${at}) is too long`)
    if (!found.has(type)) found.set(type, head.subarray(at + 8, at + 8 + length))
    at += 8 + Math.ceil(length / 8) * 8
  }
  return found
}

/** 0: the image has no backing file. */
function backingOffset(head: Uint8Array, clusterSize: number, path: string): number {
  const offset = view(head).getBigUint64(FIELD.backingOffset)
  if (offset === 0n) return 0
  const length = view(head).getUint32(FIELD.backingLength)
  if (length > MAX_BACKING_NAME_BYTES) throw beyondRepair(path, `the name of its backing file is too long (${length} bytes)`)
  if (offset + BigInt(length) > BigInt(clusterSize)) throw beyondRepair(path, `the name of its backing file lies outside of its header`)
  return Number(offset)
}

function backingName(head: Uint8Array, format: Uint8Array | undefined, path: string): NamedBacking | null {
  const at = Number(view(head).getBigUint64(FIELD.backingOffset))
  const length = view(head).getUint32(FIELD.backingLength)
  if (at === 0 || length === 0) return null
  const name = new TextDecoder().decode(head.subarray(at, at + length))
  if (name.includes('\0')) throw beyondRepair(path, 'the name of its backing file has a zero byte')
  return { path: name, format: (format && FORMAT_NAMES.get(new TextDecoder().decode(format).replace(/\0+$/, ''))) ?? null }
}

/** QEMU's names of formats. */
const FORMAT_NAMES = new Map<string, DiskFormat>([
  ['raw', 'raw'],
  ['qcow2', 'qcow2'],
  ['vmdk', 'vmdk'],
  ['vdi', 'vdi'],
  ['vpc', 'vhd'],
  ['vhdx', 'vhdx'],
])

/** QEMU's name of a format. */
export function formatName(format: DiskFormat): string {
  return [...FORMAT_NAMES].find(([, ours]) => ours === format)![0]
}

function compressionType(head: Uint8Array, headerLength: number, special: boolean, path: string): 'zlib' | 'zstd' {
  const type = headerLength > FIELD.compression ? head[FIELD.compression]! : 0
  if (special !== (type !== 0)) throw beyondRepair(path, 'its header contradicts itself about its compression')
  if (type > 1)
    throw new AppError('unsupported', `The disk image “${path}” is compressed by a method (${type}) that is not supported.`, {
      subject: path,
    })
  return type === 1 ? 'zstd' : 'zlib'
}

function bitmapList(extension: Uint8Array | undefined, path: string): Qcow2Header['bitmaps'] {
  if (!extension || extension.length < 24) throw beyondRepair(path, 'its list of bitmaps is missing')
  const fields = view(extension)
  const count = fields.getUint32(0)
  const bytes = fields.getBigUint64(8)
  const offset = fields.getBigUint64(16)
  if (count > MAX_BITMAPS || bytes > BigInt(MAX_BITMAP_DIRECTORY_BYTES) || offset > BigInt(Number.MAX_SAFE_INTEGER))
    throw beyondRepair(path, 'its list of bitmaps is too large')
  return { offset: Number(offset), bytes: Number(bytes), count }
}
