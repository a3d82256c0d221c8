/**
 * The partitions of a disk: a master boot record with extended partitions (as PCs have had it since DOS 3.3), or a GPT (UEFI specification 2.10, 5.3). A
 * disk without either is one volume as a whole.
 */
import type { BlockDevice } from '../block-device.ts'

export interface Partition {
  /** As systems number it; 0: the disk as a whole. */
  number: number
  /** Bytes of the disk. */
  start: number
  size: number
}

type Disk = Pick<BlockDevice, 'info' | 'read'>

const SECTOR = 512
const MBR_ENTRIES = 446
const EXTENDED: readonly number[] = [0x05, 0x0f, 0x85]
const PROTECTIVE = 0xee
/** Logical partitions that are followed. */
const MAX_LOGICAL = 60
/** Entries of a GPT that are looked at; tools make 128. */
const MAX_GPT_ENTRIES = 256

/** Those that lie within the disk, in the order of their numbers. Never fails but as the disk does. */
export async function findPartitions(disk: Disk): Promise<Partition[]> {
  const { size } = disk.info
  const whole = { number: 0, start: 0, size }
  if (size < 2 * SECTOR) return [whole]
  const first = await sector(disk, 0)
  if (first.getUint16(510) !== 0x55aa) return [whole]
  const entries = mbrEntries(first)
  const found = entries.some(({ type }) => type === PROTECTIVE) ? await gpt(disk) : await mbr(disk, entries)
  const within = found.filter(({ start, size: length }) => length > 0 && start > 0 && start + length <= size)
  // A boot sector of FAT ends as a master boot record does.
  return within.length > 0 ? within : [whole]
}

interface MbrEntry {
  type: number
  /** Sectors. */
  start: number
  length: number
}

function mbrEntries(view: DataView): MbrEntry[] {
  return [0, 1, 2, 3].map((i) => {
    const at = MBR_ENTRIES + 16 * i
    return { type: view.getUint8(at + 4), start: view.getUint32(at + 8, true), length: view.getUint32(at + 12, true) }
  })
}

async function mbr(disk: Disk, entries: readonly MbrEntry[]): Promise<Partition[]> {
  const partitions: Partition[] = []
  entries.forEach(({ type, start, length }, i) => {
    if (type !== 0 && !EXTENDED.includes(type)) partitions.push({ number: i + 1, start: start * SECTOR, size: length * SECTOR })
  })
  const extended = entries.find(({ type }) => EXTENDED.includes(type))
  if (!extended) return partitions
  let at: number | null = extended.start
  for (let number = 5; at !== null && number < 5 + MAX_LOGICAL; number++) {
    if ((at + 1) * SECTOR > disk.info.size) break
    const table = await sector(disk, at)
    if (table.getUint16(510) !== 0x55aa) break
    const [own, next] = mbrEntries(table) as [MbrEntry, MbrEntry]
    if (own.type !== 0) partitions.push({ number, start: (at + own.start) * SECTOR, size: own.length * SECTOR })
    at = EXTENDED.includes(next.type) && next.start > 0 ? extended.start + next.start : null
  }
  return partitions
}

async function gpt(disk: Disk): Promise<Partition[]> {
  const header = await sector(disk, 1)
  // "EFI PART"
  if (header.getBigUint64(0) !== 0x4546492050415254n) return []
  const [table, count, length] = [Number(header.getBigUint64(72, true)), header.getUint32(80, true), header.getUint32(84, true)]
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

async function sector(disk: Disk, number: number): Promise<DataView<ArrayBuffer>> {
  const bytes = new Uint8Array(SECTOR)
  await disk.read(number * SECTOR, bytes)
  return new DataView(bytes.buffer)
}
