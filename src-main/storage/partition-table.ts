/**
 * What a disk's partition table says of its end, for disks that become smaller. Sources: the classical MBR (as in the UEFI specification 2.10, section 5.2)
 * with its chain of extended boot records; the GUID partition table (section 5.3), whose second copy is in the disk's last sectors and moves with them.
 * What a guest wrote there is hostile: everything read is bounded, and a table that makes no sense is said to.
 */
import { crc32 } from 'node:zlib'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { BlockDevice } from './block-device.ts'
import { ENTRIES, ENTRY, entryAt, EXTENDED, hasMark, PROTECTIVE, readSector, SECTOR } from './partition-record.ts'

/** Logical partitions that are followed. */
const MAX_LOGICAL = 128
const GPT_MARK = 'EFI PART'
const GPT_HEADER = 92
/** Bytes of a GPT's entries: 128 of 128 bytes are usual. */
const MAX_GPT_ENTRIES = 1024 * 1024

export interface PartitionTable {
  kind: 'mbr' | 'gpt'
  /** Byte after the last partition's last; null: there is none. */
  last: { end: number; number: number } | null
  /** Bytes that a disk of this table needs at least. */
  least: number
  gpt: Gpt | null
}

interface Gpt {
  header: Buffer
  entries: Buffer
}

/** @returns null for a disk without a table; throws AppError `corrupt` for a damaged one */
export async function partitionTable(disk: BlockDevice): Promise<PartitionTable | null> {
  if (disk.info.size < 2 * SECTOR) return null
  const first = await readSector(disk, 0)
  if (!hasMark(first)) return null
  const entries = [0, 1, 2, 3].map((at) => ({ at, ...entryAt(first, at) })).filter(({ type, sectors }) => type !== 0 && sectors > 0)
  // A file system without partitions has the mark as well, and other bytes where the entries would be.
  if (!plausible(first)) return null
  if (entries.some(({ type }) => type === PROTECTIVE)) return gptTable(disk)
  let last: PartitionTable['last'] = null
  const note = (end: number, number: number): void => {
    if (!last || end * SECTOR > last.end) last = { end: end * SECTOR, number }
  }
  for (const { at, type, start, sectors } of entries) {
    note(start + sectors, at + 1)
    if (!EXTENDED.includes(type)) continue
    for (let next = start, number = 5; number < 5 + MAX_LOGICAL; number++) {
      if ((next + 1) * SECTOR > disk.info.size) break
      const record = await readSector(disk, next)
      if (!hasMark(record)) break
      const logical = entryAt(record, 0)
      if (logical.sectors > 0) note(next + logical.start + logical.sectors, number)
      const link = entryAt(record, 1)
      if (link.sectors === 0 || start + link.start <= next) break
      next = start + link.start
    }
  }
  const found = last as PartitionTable['last']
  return { kind: 'mbr', last: found, least: found?.end ?? SECTOR, gpt: null }
}

/**
 * Puts a GPT's second copy where the end of the disk is going to be, and says so in the first. At every moment the first one is whole.
 * @param size bytes, at least the table's `least`
 */
export async function moveSecondTable(disk: BlockDevice, { header, entries }: Gpt, size: number): Promise<void> {
  const lastSector = Math.floor(size / SECTOR) - 1
  const entrySectors = Math.ceil(entries.length / SECTOR)
  const primary = Buffer.from(header)
  primary.writeBigUInt64LE(BigInt(lastSector), 32)
  primary.writeBigUInt64LE(BigInt(lastSector - entrySectors - 1), 48)
  const second = Buffer.from(primary)
  second.writeBigUInt64LE(BigInt(lastSector), 24)
  second.writeBigUInt64LE(1n, 32)
  second.writeBigUInt64LE(BigInt(lastSector - entrySectors), 72)
  await disk.write((lastSector - entrySectors) * SECTOR, padded(entries, entrySectors * SECTOR))
  await disk.write(lastSector * SECTOR, padded(sealed(second), SECTOR))
  await disk.flush()
  await disk.write(SECTOR, padded(sealed(primary), SECTOR))
  await disk.flush()
}

async function gptTable(disk: BlockDevice): Promise<PartitionTable> {
  const head = await readSector(disk, 1)
  const damaged = (): AppError =>
    new AppError('corrupt', 'The disk’s GUID partition table is damaged. Mend it in the guest first, then make the disk smaller.')
  const length = head.readUInt32LE(12)
  if (head.toString('latin1', 0, 8) !== GPT_MARK || length < GPT_HEADER || length > SECTOR) throw damaged()
  const header = head.subarray(0, length)
  if (!sealed(Buffer.from(header)).equals(header)) throw damaged()
  const [at, count, bytes] = [Number(header.readBigUInt64LE(72)), header.readUInt32LE(80), header.readUInt32LE(84)]
  if (bytes < 128 || bytes % 8 !== 0 || count * bytes > MAX_GPT_ENTRIES || at < 2 || at * SECTOR + count * bytes > disk.info.size)
    throw damaged()
  const entries = Buffer.alloc(count * bytes)
  await disk.read(at * SECTOR, entries)
  if (crc32(entries) !== header.readUInt32LE(88)) throw damaged()
  let last: PartitionTable['last'] = null
  for (let number = 0; number < count; number++) {
    const entry = entries.subarray(number * bytes, (number + 1) * bytes)
    if (entry.subarray(0, 16).every((byte) => byte === 0)) continue
    const end = (Number(entry.readBigUInt64LE(40)) + 1) * SECTOR
    if (!last || end > last.end) last = { end, number: number + 1 }
  }
  const second = (Math.ceil(entries.length / SECTOR) + 1) * SECTOR
  return { kind: 'gpt', last, least: (last?.end ?? Number(header.readBigUInt64LE(40)) * SECTOR) + second, gpt: { header, entries } }
}

/** With the checksum that belongs to it. */
function sealed(header: Buffer): Buffer {
  header.writeUInt32LE(0, 16)
  header.writeUInt32LE(crc32(header), 16)
  return header
}

function padded(bytes: Buffer, length: number): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(length - bytes.length)])
}

/** The entries' first bytes are 0x80 or 0. */
function plausible(first: Buffer): boolean {
  return [0, 1, 2, 3].every((at) => (first[ENTRIES + at * ENTRY]! & 0x7f) === 0)
}
