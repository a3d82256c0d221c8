/** Finds everything in an image that refers to clusters of its file. Works with one table at a time in memory. */
import type { ByteFile } from '../../../file/byte-file.ts'
import { compressedPlace, entryKind, entryOffset, KIND } from '../entry.ts'
import type { Qcow2Header } from '../header.ts'
import { refcountBlockOffset } from '../load-parts.ts'
import type { SnapshotTable } from '../snapshots.ts'

/** Bytes of a table that are read at once, where the table is longer than a cluster. */
const CHUNK = 64 * 1024

export interface CheckedImage {
  file: ByteFile
  header: Qcow2Header
  snapshots: SnapshotTable
  signal: AbortSignal | undefined
}

export interface ReferenceVisitor {
  /** `bytes` at `offset` of the file are in use once (more). */
  use(offset: number, bytes: number): void
  /** An entry points to where nothing can be. */
  wrong(sentence: string): void
}

/** @param counts whether the tables of reference counts are in use themselves */
export async function visitReferences(image: CheckedImage, counts: boolean, visitor: ReferenceVisitor): Promise<void> {
  const { header, snapshots } = image
  visitor.use(0, header.clusterSize)
  if (counts && header.refcountTableOffset !== 0) {
    visitor.use(header.refcountTableOffset, header.refcountTableClusters * header.clusterSize)
    for await (const { offset } of refcountBlocks(image)) usePlace(image, offset, visitor)
  }
  await visitMapping(image, header.l1Offset, header.l1Entries, visitor)
  for (const { l1Offset, l1Entries } of snapshots.snapshots) await visitMapping(image, l1Offset, l1Entries, visitor)
  if (snapshots.bytes > 0) visitor.use(header.snapshotsOffset, snapshots.bytes)
  await visitBitmaps(image, visitor)
}

/** The entries of the refcount table that are not empty. */
export async function* refcountBlocks(image: CheckedImage): AsyncGenerator<{ index: number; offset: number }> {
  const { header } = image
  for await (const { view, first } of chunks(image, header.refcountTableOffset, header.refcountTableClusters * header.clusterSize))
    for (let i = 0; i < view.byteLength / 8; i++) {
      const offset = refcountBlockOffset(view, i)
      if (offset !== 0) yield { index: first / 8 + i, offset }
    }
}

export interface L2Table {
  l1Index: number
  /** The halves of the L1 entry. */
  high: number
  low: number
  offset: number
  view: DataView<ArrayBuffer>
}

/** The L2 tables of an L1 table that lie where a table can lie. */
export async function* l2Tables(
  image: CheckedImage,
  l1Offset: number,
  l1Entries: number,
  wrong: (offset: number) => void,
): AsyncGenerator<L2Table> {
  for await (const { view, first } of chunks(image, l1Offset, l1Entries * 8))
    for (let i = 0; i < view.byteLength / 8; i++) {
      const high = view.getUint32(i * 8)
      const low = view.getUint32(i * 8 + 4)
      const offset = entryOffset(high, low)
      if (offset === 0) continue
      if (!placeable(image, offset)) {
        wrong(offset)
        continue
      }
      image.signal?.throwIfAborted()
      const bytes = new Uint8Array(image.header.clusterSize)
      await image.file.read(offset, bytes)
      yield { l1Index: first / 8 + i, high, low, offset, view: new DataView(bytes.buffer) }
    }
}

async function visitMapping(image: CheckedImage, l1Offset: number, l1Entries: number, visitor: ReferenceVisitor): Promise<void> {
  const { clusterSize, clusterBits, version } = image.header
  if (l1Entries > 0) visitor.use(l1Offset, l1Entries * 8)
  const unplaced = (offset: number): void => usePlace(image, offset, visitor)
  for await (const { view, offset: table } of l2Tables(image, l1Offset, l1Entries, unplaced)) {
    visitor.use(table, clusterSize)
    for (let at = 0; at < clusterSize; at += 8) {
      const high = view.getUint32(at)
      const low = view.getUint32(at + 4)
      if (high === 0 && low === 0) continue
      const kind = entryKind(high, low)
      if (kind === KIND.compressed) {
        const { offset, length } = compressedPlace(high, low, clusterBits)
        visitor.use(offset, length)
      } else if (kind === KIND.data || kind === KIND.zeroAllocated) usePlace(image, entryOffset(high, low), visitor)
      if ((kind === KIND.zero || kind === KIND.zeroAllocated) && version === 2)
        visitor.wrong(`The L2 table at ${table} marks a cluster as zeroes, which version 2 does not have.`)
    }
  }
}

async function visitBitmaps(image: CheckedImage, visitor: ReferenceVisitor): Promise<void> {
  const { bitmaps } = image.header
  if (!bitmaps) return
  visitor.use(bitmaps.offset, bitmaps.bytes)
  // An entry is at most 24 + 65,535 bytes long, without extra data, which is not used so far (qcow2.rst, "Bitmap directory").
  let at = 0
  for (let i = 0; i < bitmaps.count && at + 24 <= bitmaps.bytes; i++) {
    const fields = new DataView(new ArrayBuffer(24))
    await image.file.read(bitmaps.offset + at, new Uint8Array(fields.buffer))
    const table = fields.getBigUint64(0)
    const entries = fields.getUint32(8)
    at += Math.ceil((24 + fields.getUint16(18) + fields.getUint32(20)) / 8) * 8
    if (table > BigInt(Number.MAX_SAFE_INTEGER) || entries * 8 > image.file.size) {
      visitor.wrong(`Bitmap ${i + 1} has an impossible table.`)
      continue
    }
    if (entries > 0) visitor.use(Number(table), entries * 8)
    for await (const { view } of chunks(image, Number(table), entries * 8))
      for (let entry = 0; entry < view.byteLength; entry += 8) {
        const offset = entryOffset(view.getUint32(entry), view.getUint32(entry + 4))
        if (offset !== 0) usePlace(image, offset, visitor)
      }
  }
}

/** A cluster that an entry names. */
function usePlace(image: CheckedImage, offset: number, visitor: ReferenceVisitor): void {
  if (offset % image.header.clusterSize !== 0) visitor.wrong(`Something is said to lie at ${offset} of the file, where no cluster begins.`)
  visitor.use(offset, image.header.clusterSize)
}

function placeable({ file, header }: CheckedImage, offset: number): boolean {
  return offset % header.clusterSize === 0 && offset < file.size
}

async function* chunks(
  image: CheckedImage,
  offset: number,
  length: number,
): AsyncGenerator<{ view: DataView<ArrayBuffer>; first: number }> {
  // What lies past the file's end is empty.
  const end = Math.min(length, Math.max(0, image.file.size - offset))
  for (let first = 0; first < end; first += CHUNK) {
    image.signal?.throwIfAborted()
    const bytes = new Uint8Array(Math.min(CHUNK, Math.ceil((end - first) / 8) * 8, length - first))
    await image.file.read(offset + first, bytes)
    yield { view: new DataView(bytes.buffer), first }
  }
}
