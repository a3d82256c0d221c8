/**
 * The partitions of a disk: a master boot record with extended partitions (as PCs have had it since DOS 3.3), or a GPT (UEFI specification 2.10, 5.3). A
 * disk without either is one volume as a whole.
 */
import type { BlockDevice } from '../block-device.ts'
import { entryAt, EXTENDED, hasMark, PROTECTIVE, readSector, SECTOR, type RecordEntry } from '../partition-record.ts'

export interface Partition {
  /** As systems number it; 0: the disk as a whole. */
  number: number
  /** Bytes of the disk. */
  start: number
  size: number
}

type Disk = Pick<BlockDevice, 'info' | 'read'>

/** Logical partitions that are followed. */
const MAX_LOGICAL = 60
/** Entries of a GPT that are looked at; tools make 128. */
const MAX_GPT_ENTRIES = 256

/** Those that lie within the disk, in the order of their numbers. Never fails but as the disk does. */
export async function findPartitions(disk: Disk): Promise<Partition[]> {
  const { size } = disk.info
  const whole = { number: 0, start: 0, size }
  if (size < 2 * SECTOR) return [whole]
  const first = await readSector(disk, 0)
  if (!hasMark(first)) return [whole]
  const entries = [0, 1, 2, 3].map((at) => entryAt(first, at))
  const found = entries.some(({ type }) => type === PROTECTIVE) ? await gpt(disk) : await mbr(disk, entries)
  const within = found.filter(({ start, size: length }) => length > 0 && start > 0 && start + length <= size)
  // A boot sector of FAT ends as a master boot record does.
  return within.length > 0 ? within : [whole]
}

async function mbr(disk: Disk, entries: readonly RecordEntry[]): Promise<Partition[]> {
  const partitions: Partition[] = []
  entries.forEach(({ type, start, sectors }, i) => {
    if (type !== 0 && !EXTENDED.includes(type)) partitions.push({ number: i + 1, start: start * SECTOR, size: sectors * SECTOR })
  })
  const extended = entries.find(({ type }) => EXTENDED.includes(type))
  if (!extended) return partitions
  let at: number | null = extended.start
  for (let number = 5; at !== null && number < 5 + MAX_LOGICAL; number++) {
    if ((at + 1) * SECTOR > disk.info.size) break
    const table = await readSector(disk, at)
    if (!hasMark(table)) break
    const [own, next] = [entryAt(table, 0), entryAt(table, 1)]
    if (own.type !== 0) partitions.push({ number, start: (at + own.start) * SECTOR, size: own.sectors * SECTOR })
    at = EXTENDED.includes(next.type) && next.start > 0 ? extended.start + next.start : null
  }
  return partitions
}

async function gpt(disk: Disk): Promise<Partition[]> {
  const header = await readSector(disk, 1)
  // "EFI PART"
  if (header.readBigUInt64BE(0) !== 0x4546492050415254n) return []
  const [table, count, length] = [Number(header.readBigUInt64LE(72)), header.readUInt32LE(80), header.readUInt32LE(84)]
  if (length < 128 || length > 4096 || !Number.isSafeInteger(table)) return []
  const shown = Math.min(count, MAX_GPT_ENTRIES)
  if (table * SECTOR + shown * length > disk.info.size) return []
  const bytes = new Uint8Array(shown * length)
  await disk.read(table * SECTOR, bytes)
  const view = new DataView(bytes.buffer)
  const partitions: Partition[] = []
  for (let i = 0; i < shown; i++) {
    const at = i * length
    if (view.getBigUint64(at) === 0n && view.getBigUint64(at + 8) === 0n) continue
    const [start, last] = [Number(view.getBigUint64(at + 32, true)), Number(view.getBigUint64(at + 40, true))]
    partitions.push({ number: i + 1, start: start * SECTOR, size: (last - start + 1) * SECTOR })
  }
  return partitions
}
