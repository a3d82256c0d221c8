/** A master boot record, and the records of logical partitions, which are built like it (UEFI specification 2.10, section 5.2). */
import type { BlockDevice } from './block-device.ts'

/** Bytes. Everything is counted in sectors of this size. */
export const SECTOR = 512
/** Types of the entry that covers a whole disk with a GUID partition table, and of those that hold logical partitions. */
export const PROTECTIVE = 0xee
export const EXTENDED: readonly number[] = [0x05, 0x0f, 0x85]
/** Where the four entries begin, and their bytes. */
export const ENTRIES = 446
export const ENTRY = 16

export interface RecordEntry {
  type: number
  /** Sectors. */
  start: number
  sectors: number
}

export async function readSector(disk: Pick<BlockDevice, 'read'>, number: number): Promise<Buffer<ArrayBuffer>> {
  const bytes = Buffer.alloc(SECTOR)
  await disk.read(number * SECTOR, bytes)
  return bytes
}

export function hasMark(record: Buffer): boolean {
  return record.readUInt16LE(510) === 0xaa55
}

/** @param at from 0 to 3 */
export function entryAt(record: Buffer, at: number): RecordEntry {
  const from = ENTRIES + at * ENTRY
  return { type: record[from + 4]!, start: record.readUInt32LE(from + 8), sectors: record.readUInt32LE(from + 12) }
}
