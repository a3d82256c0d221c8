/**
 * A disk as a compressed stream, for export ("Virtual Disk Format 5.0", "Stream-Optimized Compressed"): what OVF and OVA carry. Theory of operation: header
 * and descriptor; then every grain that is not all zeroes, deflated, after a marker that says which it is; after the grains of a grain table that
 * table; at the end the directory, a footer (the header again, now knowing where the directory is) and an end-of-stream marker. Nothing written is
 * ever changed, so the sink may be a pipe. Grains are deflated several at a time, on the threads of zlib, and written in order.
 */
import { deflate } from 'node:zlib'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockDevice } from '../../block-device.ts'
import type { DiskImage } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { checkedSize } from '../blocks/faults.ts'
import { buildDescriptor } from './descriptor.ts'
import { buildSparseHeader, MOST_TABLES, NEW_GRAIN, SECTOR, TABLE_ENTRIES, tables } from './sparse-header.ts'

const GRAIN_SIZE = NEW_GRAIN * SECTOR
/** Bytes of the disk that one grain table has: what is read and deflated at once is a part of it. */
const TABLE_SPAN = TABLE_ENTRIES * GRAIN_SIZE
/** Bytes read at once. */
const BATCH = 16 * GRAIN_SIZE
/** Sectors of header and descriptor, before the first grain. */
const OVERHEAD = NEW_GRAIN
const DESCRIPTOR_SECTORS = 20
/** Bytes before a grain's data: its first sector, and the data's length. */
const MARKER_SIZE = 12
/** Types of the markers of metadata. */
const END_OF_STREAM = 0
const GRAIN_TABLE = 1
const GRAIN_DIRECTORY = 2
const FOOTER = 3

export interface StreamSink {
  /** Takes the next bytes; resolves when it wants more. They do not change afterwards. */
  write(bytes: Uint8Array): Promise<void>
}

export interface StreamOptions {
  /** The name that the file will have, which its descriptor says. */
  name: string
  signal?: AbortSignal
  /** Bytes of the disk that are done; after each 32 MiB, and once at the end. */
  onProgress(done: number, total: number): void
}

/** @throws AppError `invalid-input` (a disk larger than the format), `cancelled`, or what source and sink throw */
export async function writeStreamOptimized(
  source: BlockDevice & Partial<Pick<DiskImage, 'backing'>>,
  sink: StreamSink,
  options: StreamOptions,
): Promise<void> {
  const size = checkedSize(source.info.size, MOST_TABLES * TABLE_SPAN, 'VMDK')
  const capacity = size / SECTOR
  const header = { compressed: true, capacity, descriptorSize: DESCRIPTOR_SECTORS, redundantAt: 0, directoryAt: null, overhead: OVERHEAD }
  let sector = 0
  /** Whole sectors, always. */
  const put = async (bytes: Uint8Array): Promise<void> => {
    await sink.write(bytes)
    sector += bytes.length / SECTOR
  }
  const putMetadata = async (type: number, content: Uint8Array): Promise<number> => {
    await put(marker(content.length / SECTOR, type))
    const at = sector
    if (content.length > 0) await put(content)
    return at
  }
  const start = new Uint8Array(OVERHEAD * SECTOR)
  start.set(buildSparseHeader(header))
  start.set(buildDescriptor('streamOptimized', size, options.name).subarray(0, DESCRIPTOR_SECTORS * SECTOR), SECTOR)
  await put(start)

  const directory = padded(tables({ capacity, grain: NEW_GRAIN, tableEntries: TABLE_ENTRIES }) * 4)
  const directoryFields = new DataView(directory.buffer)
  for (let offset = 0; offset < size; offset += TABLE_SPAN) {
    const table = new Uint8Array(TABLE_ENTRIES * 4)
    const fields = new DataView(table.buffer)
    let isEmpty = true
    for await (const { index, bytes } of grains(source, offset, Math.min(size, offset + TABLE_SPAN), options.signal)) {
      fields.setUint32((index % TABLE_ENTRIES) * 4, checkedSector(sector), true)
      isEmpty = false
      await put(bytes)
    }
    if (!isEmpty) directoryFields.setUint32((offset / TABLE_SPAN) * 4, checkedSector(await putMetadata(GRAIN_TABLE, table)), true)
    options.onProgress(Math.min(size, offset + TABLE_SPAN), size)
  }
  const directoryAt = await putMetadata(GRAIN_DIRECTORY, directory)
  await putMetadata(FOOTER, buildSparseHeader({ ...header, directoryAt }))
  await putMetadata(END_OF_STREAM, new Uint8Array(0))
}

/**
 * As `writeStreamOptimized`, into an empty file whose path says the name.
 * @param progress bytes that are done; what it throws ends the work
 */
export async function packVmdk(file: ByteFile, source: BlockDevice, progress: (done: number) => void): Promise<void> {
  let end = 0
  const sink: StreamSink = {
    async write(bytes) {
      await file.write(end, bytes)
      end += bytes.length
    },
  }
  await writeStreamOptimized(source, sink, { name: file.path, onProgress: progress })
}

/** The grains of a part of the disk that are not zeroes, in order, each with its marker, deflated and in whole sectors. */
async function* grains(
  source: BlockDevice & Partial<Pick<DiskImage, 'backing'>>,
  from: number,
  to: number,
  signal: AbortSignal | undefined,
) {
  // What a layer does not say shows what is below it. Where nothing is known to be below, it is read.
  const unallocatedIsZero = source.backing === null
  for (let at = from; at < to;) {
    if (signal?.aborted) throw AppError.cancelled()
    const { state, length } = await source.extent(at, to - at)
    if (state === 'zero' || (state === 'unallocated' && unallocatedIsZero)) {
      const skipped = at + length === to ? to : Math.floor((at + length) / GRAIN_SIZE) * GRAIN_SIZE
      if (skipped > at) {
        at = skipped
        continue
      }
    }
    const bytes = new Uint8Array(Math.min(BATCH, to - at))
    await source.read(at, bytes)
    const pending: Promise<{ index: number; bytes: Uint8Array }>[] = []
    for (let within = 0; within < bytes.length; within += GRAIN_SIZE) {
      const grain = bytes.subarray(within, within + GRAIN_SIZE)
      if (!isZero(grain)) pending.push(deflated((at + within) / GRAIN_SIZE, grain))
    }
    yield* await Promise.all(pending)
    at += bytes.length
  }
}

/** The last grain of a disk is filled up: every one inflates to 64 KiB. */
function deflated(index: number, grain: Uint8Array): Promise<{ index: number; bytes: Uint8Array }> {
  let whole = grain
  if (grain.length < GRAIN_SIZE) {
    whole = new Uint8Array(GRAIN_SIZE)
    whole.set(grain)
  }
  return new Promise((resolve, reject) =>
    deflate(whole, (error, data) => {
      if (error) {
        reject(new AppError('internal', 'A part of the disk could not be compressed.', {}, error))
        return
      }
      const bytes = padded(MARKER_SIZE + data.length)
      const fields = new DataView(bytes.buffer)
      fields.setBigUint64(0, BigInt(index * NEW_GRAIN), true)
      fields.setUint32(8, data.length, true)
      bytes.set(data, MARKER_SIZE)
      resolve({ index, bytes })
    }),
  )
}

function marker(sectors: number, type: number): Uint8Array {
  const bytes = new Uint8Array(SECTOR)
  const fields = new DataView(bytes.buffer)
  fields.setBigUint64(0, BigInt(sectors), true)
  fields.setUint32(MARKER_SIZE, type, true)
  return bytes
}

function padded(length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Math.ceil(length / SECTOR) * SECTOR)
}

function isZero(bytes: Uint8Array): boolean {
  // Buffer.compare is a memcmp: much quicker than a loop.
  return Buffer.compare(bytes, ZEROES.subarray(0, bytes.length)) === 0
}

const ZEROES = new Uint8Array(GRAIN_SIZE)

/** Places of grains are sectors' numbers of 32 bits: a stream of at most 2 TiB. */
function checkedSector(sector: number): number {
  if (sector > 0xffff_ffff) throw new AppError('invalid-input', 'The disk has more data than a compressed VMDK can hold (2 TiB).')
  return sector
}
