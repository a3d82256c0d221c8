/** The list of internal snapshots (qcow2.rst, "Snapshots"). They are listed and kept, not made. */
import type { ByteFile } from '../../file/byte-file.ts'
import { beyondRepair, type Qcow2Header } from './header.ts'
import { MAX_L1_BYTES, MAX_SNAPSHOT_EXTRA_BYTES, MAX_SNAPSHOT_TABLE_BYTES } from './limits.ts'

export interface InternalSnapshot {
  id: string
  name: string
  /** When it was taken, ms since the epoch. */
  takenAt: number
  /** Bytes of the saved state of the running machine; 0: it was off. */
  stateBytes: number
  /** Bytes of the disk then; null: not said. */
  diskSize: number | null
  l1Offset: number
  l1Entries: number
}

export interface SnapshotTable {
  snapshots: InternalSnapshot[]
  /** Bytes of the table. */
  bytes: number
}

const FIXED_BYTES = 40

/** @throws AppError `corrupt`, or the file's reason */
export async function readSnapshots(file: ByteFile, header: Qcow2Header): Promise<SnapshotTable> {
  if (header.snapshotCount === 0) return { snapshots: [], bytes: 0 }
  // Its length is only known when it has been read.
  for (let length = 4096; length <= MAX_SNAPSHOT_TABLE_BYTES; length *= 8) {
    const bytes = new Uint8Array(length)
    await file.read(header.snapshotsOffset, bytes)
    const table = parseSnapshots(bytes, header, file.path)
    if (table) return table
  }
  throw beyondRepair(file.path, 'its list of snapshots is too long')
}

/** Pure. @returns null: it goes on past the end of `bytes` */
function parseSnapshots(bytes: Uint8Array, header: Pick<Qcow2Header, 'snapshotCount' | 'clusterSize'>, path: string): SnapshotTable | null {
  const fields = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const text = (at: number, length: number): string => new TextDecoder().decode(bytes.subarray(at, at + length))
  const snapshots: InternalSnapshot[] = []
  let at = 0
  for (let i = 0; i < header.snapshotCount; i++) {
    if (at + FIXED_BYTES > bytes.length) return null
    const l1Offset = fields.getBigUint64(at)
    const l1Entries = fields.getUint32(at + 8)
    const idLength = fields.getUint16(at + 12)
    const nameLength = fields.getUint16(at + 14)
    const extraLength = fields.getUint32(at + 36)
    if (extraLength > MAX_SNAPSHOT_EXTRA_BYTES)
      throw beyondRepair(path, `its snapshot ${i + 1} has too much extra data (${extraLength} bytes)`)
    if (l1Entries > MAX_L1_BYTES / 8) throw beyondRepair(path, `the L1 table of its snapshot ${i + 1} has too many entries (${l1Entries})`)
    if (l1Offset % BigInt(header.clusterSize) !== 0n || l1Offset > BigInt(Number.MAX_SAFE_INTEGER))
      throw beyondRepair(path, `the L1 table of its snapshot ${i + 1} is said to be at ${l1Offset}`)
    const names = at + FIXED_BYTES + extraLength
    if (names + idLength + nameLength > bytes.length) return null
    snapshots.push({
      id: text(names, idLength),
      name: text(names + idLength, nameLength),
      takenAt: fields.getUint32(at + 16) * 1000 + Math.floor(fields.getUint32(at + 20) / 1e6),
      stateBytes: extraLength >= 8 ? Number(fields.getBigUint64(at + 40)) : fields.getUint32(at + 32),
      diskSize: extraLength >= 16 ? Number(fields.getBigUint64(at + 48)) : null,
      l1Offset: Number(l1Offset),
      l1Entries,
    })
    at = Math.ceil((names + idLength + nameLength) / 8) * 8
  }
  return { snapshots, bytes: at }
}
