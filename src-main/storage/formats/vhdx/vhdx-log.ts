/**
 * The log of a VHDX: [MS-VHDX] 2.3. Theory of operation: changes of metadata are written to a ring of 4 KiB sectors first, as entries of descriptors
 * ("these bytes at that offset", "zeroes from there") and the sectors they speak of. After a crash the active sequence has to be replayed: the entries
 * from the tail that the newest whole entry names, up to that entry, with sequence numbers that grow by one. Here it is replayed in memory: the file is
 * only read, and what the log says lies over it.
 */
import type { ByteFile } from '../../file/byte-file.ts'
import { damaged, unsupported } from '../blocks/faults.ts'
import { crc32c } from './crc32c.ts'
import { guid, NO_GUID, text, view, type VhdxHeader } from './vhdx-header.ts'

const MiB = 1024 * 1024
export const LOG_SECTOR = 4096
const ENTRY_HEADER_SIZE = 64
const DESCRIPTOR_SIZE = 32
/** Bytes of a log, all of which is kept in memory while an image with a log to replay is open. Hyper-V and QEMU make logs of 1 MiB. */
const LARGEST_LOG = 64 * MiB
/** Bytes of entries whose checksum is computed, in logs: entries of a hostile log could all be as long as the log. */
const MOST_WORK = 8
/** Runs of zeroes that are kept. */
const MOST_ZERO_RUNS = 4096

interface Entry {
  at: number
  length: number
  tail: number
  sequence: bigint
  descriptors: number
  flushedFileSize: bigint
  lastFileSize: bigint
}

/** What lies over the file. */
interface Patches {
  sectors: Map<number, Uint8Array>
  zeroes: { start: number; end: number }[]
  size: number
}

/**
 * @returns the file as it is after replay, which closes `file`; `file` itself where there is nothing to replay
 * @throws AppError `corrupt`: the log should be replayed and cannot; `unsupported`: it is larger than is allowed here
 */
export async function replayed(file: ByteFile, header: VhdxHeader): Promise<ByteFile> {
  if (header.logGuid === NO_GUID) return file
  const { logAt, logLength } = header
  if (logLength > LARGEST_LOG) throw unsupported(file.path, `its log has ${logLength} bytes; at most ${LARGEST_LOG} are replayed.`)
  if (logAt < MiB || logLength < MiB || logLength % MiB !== 0 || logAt + logLength > file.size)
    throw damaged(file.path, 'its log is at an impossible place')
  const ring = new Uint8Array(logLength)
  await file.read(logAt, ring)
  const sequence = activeSequence(ring, header.logGuid, file.path)
  if (sequence.length === 0) throw damaged(file.path, 'its log has no entry that is whole')
  const head = sequence.at(-1)!
  if (head.flushedFileSize > BigInt(file.size)) throw damaged(file.path, 'its file was cut off after its log was written')
  if (head.lastFileSize > BigInt(Number.MAX_SAFE_INTEGER))
    throw damaged(file.path, 'its log says that the file is larger than a file can be')
  const patches: Patches = { sectors: new Map(), zeroes: [], size: Math.max(file.size, Number(head.lastFileSize)) }
  for (const entry of sequence) apply(ring, entry, patches, file)
  return patchedFile(file, patches)
}

/** 2.3.2, 2.3.3: the newest sequence of whole entries, oldest first. */
function activeSequence(ring: Uint8Array, logGuid: string, path: string): Entry[] {
  let work = 0
  const whole = new Map<number, boolean>()
  const isWhole = (entry: Entry): boolean => {
    const known = whole.get(entry.at)
    if (known !== undefined) return known
    work += entry.length
    if (work > MOST_WORK * ring.length) throw damaged(path, 'its log has entries over each other')
    const bytes = fromRing(ring, entry.at, entry.length)
    const result = crc32c(bytes, 4) === view(bytes).getUint32(4, true)
    whole.set(entry.at, result)
    return result
  }
  const entries = new Map<number, Entry>()
  for (let at = 0; at < ring.length; at += LOG_SECTOR) {
    const entry = parseEntry(ring, at, logGuid)
    if (entry) entries.set(at, entry)
  }
  const newestFirst = [...entries.values()].sort((a, b) => (a.sequence < b.sequence ? 1 : -1))
  for (const head of newestFirst) {
    if (!isWhole(head)) continue
    const sequence: Entry[] = []
    for (let at = head.tail; sequence.length <= entries.size;) {
      const entry = entries.get(at)
      const before = sequence.at(-1)
      if (!entry || (before && entry.sequence !== before.sequence + 1n) || !isWhole(entry)) break
      sequence.push(entry)
      if (entry === head) return sequence
      at = (entry.at + entry.length) % ring.length
    }
  }
  return []
}

/** 2.3.1.1. @returns null where no entry of this log begins */
function parseEntry(ring: Uint8Array, at: number, logGuid: string): Entry | null {
  const fields = view(ring)
  if (text(ring, at, 4) !== 'loge' || guid(ring, at + 32) !== logGuid) return null
  const entry: Entry = {
    at,
    length: fields.getUint32(at + 8, true),
    tail: fields.getUint32(at + 12, true),
    sequence: fields.getBigUint64(at + 16, true),
    descriptors: fields.getUint32(at + 24, true),
    flushedFileSize: fields.getBigUint64(at + 48, true),
    lastFileSize: fields.getBigUint64(at + 56, true),
  }
  const possible =
    entry.sequence > 0n &&
    entry.length >= LOG_SECTOR &&
    entry.length <= ring.length &&
    entry.length % LOG_SECTOR === 0 &&
    entry.tail < ring.length &&
    entry.tail % LOG_SECTOR === 0 &&
    ENTRY_HEADER_SIZE + entry.descriptors * DESCRIPTOR_SIZE <= entry.length
  return possible ? entry : null
}

/** 2.3.1.2 to 2.3.1.4. */
function apply(ring: Uint8Array, entry: Entry, patches: Patches, file: ByteFile): void {
  const fault = (): Error => damaged(file.path, `entry ${entry.sequence} of its log is not what its checksum says`)
  const bytes = fromRing(ring, entry.at, entry.length)
  const fields = view(bytes)
  let data = Math.ceil((ENTRY_HEADER_SIZE + entry.descriptors * DESCRIPTOR_SIZE) / LOG_SECTOR) * LOG_SECTOR
  for (let index = 0; index < entry.descriptors; index++) {
    const at = ENTRY_HEADER_SIZE + index * DESCRIPTOR_SIZE
    const start = fields.getBigUint64(at + 16, true)
    if (fields.getBigUint64(at + 24, true) !== entry.sequence) throw fault()
    if (start % BigInt(LOG_SECTOR) !== 0n || start > BigInt(Number.MAX_SAFE_INTEGER)) throw fault()
    const kind = text(bytes, at, 4)
    if (kind === 'zero') {
      const length = fields.getBigUint64(at + 8, true)
      if (length % BigInt(LOG_SECTOR) !== 0n || start + length > BigInt(Number.MAX_SAFE_INTEGER)) throw fault()
      addZeroes(patches, Number(start), Number(start + length), file.path)
      continue
    }
    if (kind !== 'desc' || data + LOG_SECTOR > bytes.length) throw fault()
    const sequence = (BigInt(fields.getUint32(data + 4, true)) << 32n) | BigInt(fields.getUint32(data + 4092, true))
    if (text(bytes, data, 4) !== 'data' || sequence !== entry.sequence) throw fault()
    // The first 8 and the last 4 bytes of the sector are in its descriptor.
    const sector = bytes.slice(data, data + LOG_SECTOR)
    sector.set(bytes.subarray(at + 8, at + 16))
    sector.set(bytes.subarray(at + 4, at + 8), 4092)
    patches.sectors.set(Number(start) / LOG_SECTOR, sector)
    patches.size = Math.max(patches.size, Number(start) + LOG_SECTOR)
    data += LOG_SECTOR
  }
}

function addZeroes(patches: Patches, start: number, end: number, path: string): void {
  if (patches.zeroes.length === MOST_ZERO_RUNS) throw unsupported(path, `its log clears more than ${MOST_ZERO_RUNS} places.`)
  patches.zeroes.push({ start, end })
  for (const sector of patches.sectors.keys()) if (sector * LOG_SECTOR >= start && sector * LOG_SECTOR < end) patches.sectors.delete(sector)
}

/** Sectors lie over zeroes, which lie over the file. */
function patchedFile(file: ByteFile, patches: Patches): ByteFile {
  return {
    ...file,
    size: patches.size,
    async read(offset, into) {
      await file.read(offset, into)
      const end = offset + into.length
      for (const zero of patches.zeroes)
        if (zero.start < end && zero.end > offset) into.fill(0, Math.max(0, zero.start - offset), Math.min(zero.end, end) - offset)
      for (let sector = Math.floor(offset / LOG_SECTOR); sector * LOG_SECTOR < end; sector++) {
        const patch = patches.sectors.get(sector)
        if (!patch) continue
        const from = Math.max(0, offset - sector * LOG_SECTOR)
        const to = Math.min(LOG_SECTOR, end - sector * LOG_SECTOR)
        into.set(patch.subarray(from, to), sector * LOG_SECTOR + from - offset)
      }
    },
  }
}

function fromRing(ring: Uint8Array, at: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  const first = Math.min(length, ring.length - at)
  bytes.set(ring.subarray(at, at + first))
  bytes.set(ring.subarray(0, length - first), first)
  return bytes
}
