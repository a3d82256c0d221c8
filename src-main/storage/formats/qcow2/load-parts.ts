/** Reads an image's tables into memory. */
import type { BlockInfo } from '../../../../src-shared/threads/block-port.ts'
import type { BlockDevice } from '../../block-device.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { RequestOrder } from '../../request-order.ts'
import { COPIED, entryOffset } from './entry.ts'
import { corrupt, headerBytes, readQcow2Header, type Qcow2Header } from './header.ts'
import { HeaderSector } from './header-sector.ts'
import type { ImageParts, WritingParts } from './image-parts.ts'
import { Mapping } from './mapping.ts'
import { MetadataPlaces } from './metadata-places.ts'
import { Refcounts } from './refcounts.ts'
import { readSnapshots, type SnapshotTable } from './snapshots.ts'
import { TrustedSync } from '../../file/trusted-sync.ts'
import { WriteBack } from './write-back.ts'

/** Bytes: more than the header of most images needs. */
const FIRST_READ = 64 * 1024

/**
 * The header, and the cluster that it was read from.
 * @throws AppError `corrupt`, `unsupported`, or the file's reason
 */
export async function loadHeader(file: ByteFile): Promise<{ header: Qcow2Header; head: Uint8Array<ArrayBuffer> }> {
  let head = new Uint8Array(FIRST_READ)
  await file.read(0, head)
  const needed = headerBytes(head, file.path)
  if (needed > head.length) {
    head = new Uint8Array(needed)
    await file.read(0, head)
  }
  return { header: readQcow2Header(head, file.path), head }
}

/**
 * @param writable the header says nothing that speaks against it
 * @throws AppError `corrupt`, or the file's reason
 */
export async function loadParts(
  file: ByteFile,
  header: Qcow2Header,
  head: Uint8Array,
  writable: boolean,
): Promise<{ parts: ImageParts; snapshots: SnapshotTable }> {
  const snapshots = await readSnapshots(file, header)
  const l1 = new Uint8Array(header.l1Entries * 8)
  await file.read(header.l1Offset, l1)
  const info: BlockInfo = { size: header.size, readOnly: !writable, format: 'qcow2' }
  const common = { file, header, info, backing: null as BlockDevice | null, order: new RequestOrder() }
  if (!writable) return { parts: { ...common, mapping: new Mapping(file, header, l1, null, null), writing: null }, snapshots }

  const table = await readRefcountTable(file, header)
  const places = metadataPlaces(file.path, header, new DataView(l1.buffer), table, snapshots)
  const durable = new TrustedSync(file)
  const headerSector = new HeaderSector(file, durable, head, header.version)
  const refcounts = new Refcounts(file, header, table, places)
  const mapping = new Mapping(file, header, l1, refcounts, places)
  const writeBack = new WriteBack(file, durable, headerSector, mapping, refcounts, header.lazyRefcounts)
  const writing: WritingParts = { refcounts, places, headerSector, writeBack }
  return { parts: { ...common, mapping, writing }, snapshots }
}

async function readRefcountTable(file: ByteFile, header: Qcow2Header): Promise<Float64Array<ArrayBuffer>> {
  if (header.refcountTableOffset === 0 || header.refcountTableClusters === 0) throw corrupt(file.path, 'it has no refcount table')
  const bytes = new Uint8Array(header.refcountTableClusters * header.clusterSize)
  await file.read(header.refcountTableOffset, bytes)
  const entries = new DataView(bytes.buffer)
  return Float64Array.from({ length: bytes.length / 8 }, (_, i) => refcountBlockOffset(entries, i))
}

/** Bits 9 to 63 of entry `i` of the refcount table; may not be a safe integer. */
export function refcountBlockOffset(entries: DataView, i: number): number {
  return entries.getUint32(i * 8) * 2 ** 32 + ((entries.getUint32(i * 8 + 4) & 0xfffffe00) >>> 0)
}

/** @throws AppError `corrupt`: two tables that are written in place lie at the same place */
function metadataPlaces(path: string, header: Qcow2Header, l1: DataView, table: Float64Array, snapshots: SnapshotTable): MetadataPlaces {
  const size = header.clusterSize
  const own: number[] = [0]
  const shared: number[] = []
  const add = (list: number[], offset: number, bytes: number): void => {
    const first = Math.floor(offset / size)
    for (let cluster = first; cluster < Math.ceil((offset + bytes) / size); cluster++) list.push(cluster)
  }
  add(own, header.l1Offset, l1.byteLength)
  add(own, header.refcountTableOffset, header.refcountTableClusters * size)
  if (snapshots.bytes > 0) add(own, header.snapshotsOffset, snapshots.bytes)
  for (const { l1Offset, l1Entries } of snapshots.snapshots) add(shared, l1Offset, l1Entries * 8)
  for (const offset of table) if (offset !== 0) add(own, offset, 1)
  for (let at = 0; at < l1.byteLength; at += 8) {
    const offset = entryOffset(l1.getUint32(at), l1.getUint32(at + 4))
    if (offset !== 0) add((l1.getUint32(at) & COPIED) !== 0 ? own : shared, offset, 1)
  }
  const overlap = new MetadataPlaces(Float64Array.from(own)).overlap()
  if (overlap !== null) throw corrupt(path, `two of its tables lie at ${overlap * size} of the file`)
  return new MetadataPlaces(Float64Array.from(own.concat(shared)))
}
