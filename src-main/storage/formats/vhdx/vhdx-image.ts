/** VHDX, of Hyper-V since 2012, read ([MS-VHDX]): dynamic and fixed disks, sectors of 512 and 4096 bytes, with what the log has not yet brought into place. */
import { formatBytes } from '../../../../src-shared/base/units.ts'
import type { DiskImage, OpenImageOptions } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { blockDisk, UNALLOCATED, ZERO } from '../blocks/block-disk.ts'
import { EntryTable } from '../blocks/entry-table.ts'
import { damaged, unsupported } from '../blocks/faults.ts'
import {
  currentHeader,
  HEADER_SIZE,
  HEADERS_AT,
  isVhdx,
  parseRegions,
  REGION_TABLE_SIZE,
  REGION_TABLES_AT,
  type Region,
} from './vhdx-header.ts'
import { METADATA_TABLE_SIZE, parseMetadata, type VhdxMetadata } from './vhdx-metadata.ts'
import { replayed } from './vhdx-log.ts'

const MiB = 1024 * 1024
/** States of a payload block (2.5.1.1). 5 was `unmapped` in files of the format's first draft. */
const NOT_PRESENT = 0
const UNDEFINED = 1
const ZEROES = 2
const UNMAPPED = 3
const UNMAPPED_OF_DRAFT = 5
const FULLY_PRESENT = 6

/**
 * @param file open for reading only; owned by the image from now on, left open when this throws
 * @throws AppError `corrupt`, `unsupported` (to be written, a differencing disk, unknown features)
 */
export async function openVhdx(file: ByteFile, _options: OpenImageOptions): Promise<DiskImage> {
  const { path } = file
  if (!file.readOnly)
    throw unsupported(path, 'a VHDX is read here, not written. Convert it to qcow2 and use that, or open it for reading only.')
  const part = async (at: number, length: number, from = file): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = new Uint8Array(length)
    await from.read(at, bytes)
    return bytes
  }
  if (!isVhdx(await part(0, 8))) throw damaged(path, 'it has no VHDX signature')
  const header = currentHeader(await Promise.all(HEADERS_AT.map((at) => part(at, HEADER_SIZE))), path)
  const whole = await replayed(file, header)
  const regions = parseRegions(await Promise.all(REGION_TABLES_AT.map((at) => part(at, REGION_TABLE_SIZE, whole))), path)
  for (const { at, length } of [regions.bat, regions.metadata])
    if (at < MiB || length < METADATA_TABLE_SIZE || at + length > whole.size) throw damaged(path, 'a region lies outside of the file')
  const { at, length } = regions.metadata
  const items = { read: (offset: number, size: number) => part(at + offset, size, whole) }
  const { metadata, parentPath } = await parseMetadata(await part(at, METADATA_TABLE_SIZE, whole), length, items, path)
  if (metadata.hasParent)
    throw unsupported(
      path,
      `it is a differencing disk and needs its parent “${await parentPath()}”. Merge it into its parent in Hyper-V (Edit Disk) and use the result.`,
    )
  return disk(whole, regions.bat, metadata, whole !== file)
}

function disk(file: ByteFile, bat: Region, metadata: VhdxMetadata, fromLog: boolean): DiskImage {
  const { blockSize, size } = metadata
  const count = Math.ceil(size / blockSize)
  // Between the entries of blocks lie those of sector bitmaps, one after each chunk (2.5).
  const chunk = (2 ** 23 * metadata.logicalSector) / blockSize
  if ((count + Math.floor((count - 1) / chunk)) * 8 > bat.length) throw damaged(file.path, 'its block table is too short for its disk')
  return blockDisk({
    file,
    info: { size, readOnly: true, format: 'vhdx' },
    blockSize,
    table: new EntryTable(file, {
      count,
      pageEntries: chunk,
      entryBytes: 8,
      copies: (page) => [bat.at + page * (chunk + 1) * 8],
      absent: NOT_PRESENT,
      // The state, and above it the offset in MiB; together they fit 47 bits.
      decode(page, at) {
        const low = page.getUint32(at, true)
        return (page.getUint32(at + 4, true) * 4096 + (low >>> 20)) * 8 + (low & 7)
      },
    }),
    place(entry, index) {
      switch (entry % 8) {
        case NOT_PRESENT:
        case UNDEFINED:
        case UNMAPPED:
        case UNMAPPED_OF_DRAFT:
          return UNALLOCATED
        case ZEROES:
          return ZERO
        case FULLY_PRESENT: {
          const at = Math.floor(entry / 8) * MiB
          if (at < MiB || at + Math.min(blockSize, size - index * blockSize) > file.size)
            throw damaged(file.path, `block ${index} is said to be at ${at}, outside of the file`)
          return at
        }
        default:
          throw damaged(file.path, `block ${index} is in state ${entry % 8}, which it cannot be in`)
      }
    },
    details: [
      { label: 'Kind', value: metadata.fixed ? 'Fixed' : 'Dynamic' },
      { label: 'Block size', value: formatBytes(blockSize) },
      { label: 'Logical sectors', value: formatBytes(metadata.logicalSector) },
      ...(fromLog ? [{ label: 'Log', value: 'Changes not yet in place, taken from the log' }] : []),
    ],
  })
}
