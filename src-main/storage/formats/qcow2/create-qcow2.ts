/** New images (qcow2.rst, "Header", "Header extensions", "Host cluster management"). */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { NamedBacking } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { withBacking } from './backing-name.ts'
import { COPIED, entryHigh, entryLow } from './entry.ts'
import { FIELD, l1EntriesFor, MAGIC, V2_HEADER_BYTES, V3_HEADER_BYTES } from './header.ts'
import { MAX_CLUSTER_BITS, MAX_L1_BYTES, MAX_REFCOUNT_TABLE_BYTES, MIN_CLUSTER_BITS } from './limits.ts'
import { refcountWidth } from './refcount-width.ts'

export interface CreateQcow2 {
  /** Bytes of the disk; rounded up to a sector of 512. */
  size: number
  /** Bytes, a power of two from 512 to 2 MiB; 64 KiB unless said. */
  clusterSize?: number
  /** 3 unless said; 2 is for QEMU before 1.1. */
  version?: 2 | 3
  /** 1, 2, 4, 8, 16, 32 or 64; 16 unless said, and always in version 2. */
  refcountBits?: number
  /** Reference counts may lag behind in a crash, and are counted anew then. Not in version 2. */
  lazyRefcounts?: boolean
  /** As it is to stand in the image: relative to the image's folder, or absolute. */
  backing?: NamedBacking | null
  /** `metadata`: all clusters have their place from the start, as a hole. Not with a backing. */
  preallocation?: 'off' | 'metadata'
}

interface Layout {
  clusterSize: number
  version: 2 | 3
  refcountBits: number
  size: number
  l1Entries: number
  /** Counts of clusters, in the order in which they lie behind the header's. */
  table: number
  blocks: number
  l1: number
  l2: number
  data: number
  total: number
}

/**
 * Makes `file` an empty image. The caller syncs; before that, a crash leaves anything.
 * @throws AppError `invalid-input` with the fields, or the file's reason
 */
export async function createQcow2(file: ByteFile, options: CreateQcow2): Promise<void> {
  const layout = plan(options)
  const head = header(layout, options)
  // ext4 takes a file that was cut for one that is written anew, and writes it out when it is closed.
  if (file.size > 0) await file.truncate(0)
  const { clusterSize } = layout
  const blocksAt = (1 + layout.table) * clusterSize
  const l1At = blocksAt + layout.blocks * clusterSize
  const l2At = l1At + layout.l1 * clusterSize
  const dataAt = l2At + layout.l2 * clusterSize
  await file.write(
    clusterSize,
    table(layout.blocks, (i) => [entryHigh(blocksAt + i * clusterSize), entryLow(blocksAt + i * clusterSize)]),
  )
  await writeCounts(file, layout, blocksAt)
  if (layout.l2 > 0) {
    const copied = (offset: number): [number, number] => [(entryHigh(offset) | COPIED) >>> 0, entryLow(offset)]
    await file.write(
      l1At,
      table(layout.l2, (i) => copied(l2At + i * clusterSize)),
    )
    const perTable = clusterSize / 8
    for (let i = 0; i < layout.l2; i++) {
      const count = Math.min(perTable, layout.data - i * perTable)
      await file.write(
        l2At + i * clusterSize,
        table(count, (at) => copied(dataAt + (i * perTable + at) * clusterSize)),
      )
    }
  }
  await file.truncate(layout.total * clusterSize)
  await file.write(0, head)
}

function plan(options: CreateQcow2): Layout {
  const { clusterSize = 64 * 1024, version = 3, preallocation = 'off' } = options
  const refcountBits = options.refcountBits ?? 16
  const size = Math.ceil(options.size / 512) * 512
  const wrong = (path: string, message: string): AppError => AppError.invalid([{ path, message }])
  const bits = Math.log2(clusterSize)
  if (!Number.isInteger(bits) || bits < MIN_CLUSTER_BITS || bits > MAX_CLUSTER_BITS)
    throw wrong('clusterSize', `The cluster size ${clusterSize} is not a power of two from 512 to 2097152.`)
  if (![1, 2, 4, 8, 16, 32, 64].includes(refcountBits)) throw wrong('refcountBits', `A reference count cannot have ${refcountBits} bits.`)
  if (version === 2 && refcountBits !== 16) throw wrong('refcountBits', 'In version 2 reference counts have 16 bits.')
  if (version === 2 && options.lazyRefcounts) throw wrong('lazyRefcounts', 'Lazy reference counts need version 3.')
  if (options.backing && preallocation === 'metadata')
    throw wrong('preallocation', 'A disk over another one cannot be allocated in advance.')
  if (!Number.isSafeInteger(size) || options.size < 0) throw wrong('size', `A disk cannot have ${options.size} bytes.`)
  const l1Entries = l1EntriesFor(size, clusterSize)
  if (l1Entries * 8 > MAX_L1_BYTES) throw wrong('size', `A disk of ${size} bytes is too large for clusters of ${clusterSize} bytes.`)

  const data = preallocation === 'metadata' ? Math.ceil(size / clusterSize) : 0
  const l2 = preallocation === 'metadata' ? l1Entries : 0
  const l1 = Math.ceil((l1Entries * 8) / clusterSize)
  const perBlock = (clusterSize * 8) / refcountBits
  let blocks = 1
  let tableClusters = 1
  for (;;) {
    const total = 1 + tableClusters + blocks + l1 + l2 + data
    const neededBlocks = Math.ceil(total / perBlock)
    const neededTable = Math.ceil((neededBlocks * 8) / clusterSize)
    if (neededTable * clusterSize > Math.max(MAX_REFCOUNT_TABLE_BYTES, clusterSize))
      throw wrong('size', `A disk of ${size} bytes cannot be allocated in advance with clusters of ${clusterSize} bytes.`)
    if (neededBlocks <= blocks && neededTable <= tableClusters)
      return { clusterSize, version, refcountBits, size, l1Entries, table: tableClusters, blocks, l1, l2, data, total }
    blocks = Math.max(blocks, neededBlocks)
    tableClusters = Math.max(tableClusters, neededTable)
  }
}

/** The first cluster, as far as it is not zeroes. */
function header(layout: Layout, options: CreateQcow2): Uint8Array {
  const { clusterSize, version } = layout
  const bytes = new Uint8Array(clusterSize)
  const fields = new DataView(bytes.buffer)
  fields.setUint32(0, MAGIC)
  fields.setUint32(FIELD.version, version)
  fields.setUint32(FIELD.clusterBits, Math.log2(clusterSize))
  fields.setBigUint64(FIELD.size, BigInt(layout.size))
  fields.setUint32(FIELD.l1Entries, layout.l1Entries)
  fields.setBigUint64(FIELD.l1Offset, BigInt((1 + layout.table + layout.blocks) * clusterSize))
  fields.setBigUint64(FIELD.refcountTableOffset, BigInt(clusterSize))
  fields.setUint32(FIELD.refcountTableClusters, layout.table)
  let at: number = V2_HEADER_BYTES
  if (version === 3) {
    fields.setBigUint64(FIELD.compatible, options.lazyRefcounts ? 1n : 0n)
    fields.setUint32(FIELD.refcountOrder, Math.log2(layout.refcountBits))
    fields.setUint32(FIELD.headerLength, V3_HEADER_BYTES)
    at = V3_HEADER_BYTES
  }
  return options.backing ? withBacking(bytes, options.backing) : bytes.subarray(0, at + 8)
}

/** Every cluster up to the end is in use once. */
async function writeCounts(file: ByteFile, { clusterSize, refcountBits, blocks, total }: Layout, at: number): Promise<void> {
  const width = refcountWidth(refcountBits)
  const perBlock = (clusterSize * 8) / refcountBits
  for (let i = 0; i < blocks; i++) {
    const used = Math.min(perBlock, total - i * perBlock)
    const block = new DataView(new ArrayBuffer(Math.ceil((used * refcountBits) / 8)))
    for (let entry = 0; entry < used; entry++) width.set(block, entry, 1)
    await file.write(at + i * clusterSize, new Uint8Array(block.buffer))
  }
}

function table(count: number, entry: (i: number) => [high: number, low: number]): Uint8Array {
  const view = new DataView(new ArrayBuffer(count * 8))
  for (let i = 0; i < count; i++) {
    const [high, low] = entry(i)
    view.setUint32(i * 8, high)
    view.setUint32(i * 8 + 4, low)
  }
  return new Uint8Array(view.buffer)
}
