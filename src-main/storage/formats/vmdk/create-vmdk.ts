/** New VMDKs that are read and written: one sparse file ("Virtual Disk Format 5.0", createType monolithicSparse). */
import type { ByteFile } from '../../file/byte-file.ts'
import { checkedSize } from '../blocks/faults.ts'
import { buildDescriptor } from './descriptor.ts'
import { buildSparseHeader, NEW_GRAIN, SECTOR, TABLE_ENTRIES, tables } from './sparse-header.ts'

/** Bytes: the place of a grain is a sector's number of 32 bits, and the tables need some of them. */
const LARGEST_DISK = 2 * 1024 ** 4 - 1024 ** 3
/** Sectors kept for the descriptor, as VMware keeps them: programs write into it in place. */
const DESCRIPTOR_SECTORS = 20
/** Sectors of a grain table. */
const TABLE_SECTORS = (TABLE_ENTRIES * 4) / SECTOR

/**
 * Writes an image without data into an empty file, durably. The file stays open and the caller's.
 * @param choice.size bytes, a multiple of 512
 * @throws AppError `invalid-input` (the size), or what the file says
 */
export async function createVmdk(file: ByteFile, choice: { size: number }): Promise<void> {
  const size = checkedSize(choice.size, LARGEST_DISK, 'VMDK')
  const capacity = size / SECTOR
  const count = tables({ capacity, grain: NEW_GRAIN, tableEntries: TABLE_ENTRIES })
  const directorySectors = Math.ceil((count * 4) / SECTOR)
  const redundantAt = 1 + DESCRIPTOR_SECTORS
  const directoryAt = redundantAt + directorySectors + count * TABLE_SECTORS
  const overhead = Math.ceil((directoryAt + directorySectors + count * TABLE_SECTORS) / NEW_GRAIN) * NEW_GRAIN
  // The grain tables are empty: holes.
  await file.truncate(overhead * SECTOR)
  for (const at of [redundantAt, directoryAt]) {
    const directory = new Uint8Array(count * 4)
    const fields = new DataView(directory.buffer)
    for (let index = 0; index < count; index++) fields.setUint32(index * 4, at + directorySectors + index * TABLE_SECTORS, true)
    await file.write(at * SECTOR, directory)
  }
  await file.write(SECTOR, buildDescriptor('monolithicSparse', size, file.path))
  await file.sync()
  // The header last: without it, a half written file is no VMDK.
  await file.write(
    0,
    buildSparseHeader({ compressed: false, capacity, descriptorSize: DESCRIPTOR_SECTORS, redundantAt, directoryAt, overhead }),
  )
  await file.sync()
}
