/**
 * Power that fails at every write. A workload runs once on a file that keeps a journal of what was written and when it was synced; from that come the
 * files that a crash after any prefix of the journal can leave: what was synced is there, of every later write all, nothing, or some sectors.
 */
import { expect } from 'vitest'
import type { BlockDevice } from '../../src-main/storage/block-device.ts'
import type { ByteFile } from '../../src-main/storage/file/byte-file.ts'
import { memoryFile, type MemoryFile } from './memory-file.ts'
import { readBytes } from './read-bytes.ts'
import { noise, seeded } from './seeded.ts'

/** What a disk writes whole or not at all. */
const SECTOR = 512

type Entry =
  | { kind: 'write'; offset: number; bytes: Uint8Array }
  | { kind: 'truncate'; size: number }
  | { kind: 'sync' }
  /** The device answered a flush; what it then had. */
  | { kind: 'flushed'; disk: Uint8Array }
  /** The device was asked to write. */
  | { kind: 'asked'; offset: number; bytes: Uint8Array }

function journalled(content: Uint8Array, journal: Entry[]): MemoryFile {
  const file = memoryFile(content)
  return {
    ...file,
    get size() {
      return file.size
    },
    async write(offset, bytes) {
      journal.push({ kind: 'write', offset, bytes: bytes.slice() })
      await file.write(offset, bytes)
    },
    async zero(offset, length) {
      journal.push({ kind: 'write', offset, bytes: new Uint8Array(length) })
      await file.zero(offset, length)
    },
    async truncate(size) {
      journal.push({ kind: 'truncate', size })
      await file.truncate(size)
    },
    async sync() {
      journal.push({ kind: 'sync' })
    },
  }
}

async function apply(file: MemoryFile, entry: Entry, random: ((below: number) => number) | null): Promise<void> {
  if (entry.kind === 'truncate') {
    if (!random || random(2)) await file.truncate(entry.size)
  } else if (entry.kind === 'write') {
    const fate = random ? random(3) : 0
    if (fate === 0) await file.write(entry.offset, entry.bytes)
    if (fate !== 1) return
    for (let at = 0; at < entry.bytes.length;) {
      const end = Math.min(entry.bytes.length, at + SECTOR - ((entry.offset + at) % SECTOR))
      if (random!(2)) await file.write(entry.offset + at, entry.bytes.subarray(at, end))
      at = end
    }
  }
}

export interface PowerLossOptions {
  image: Uint8Array
  open(file: ByteFile): Promise<BlockDevice>
  seed: number
  /** Writes of the workload. */
  writes: number
  longest: number
  /** Looks at a file as the crash left it, opened again and closed. */
  check?(file: MemoryFile): Promise<void>
}

/** After every crash the image opens, and has what was flushed, changed only by what was asked for later. */
export async function survivePowerLoss(options: PowerLossOptions): Promise<void> {
  const random = seeded(options.seed)
  const journal: Entry[] = []
  const device = await options.open(journalled(options.image, journal))
  const disk = await readBytes(device, 0, device.info.size)
  journal.push({ kind: 'flushed', disk: disk.slice() })
  for (let count = 0; count < options.writes; count++) {
    const length = 1 + random(options.longest)
    const offset = random(disk.length - length)
    const bytes = random(5) === 0 ? new Uint8Array(length) : noise(random, length)
    journal.push({ kind: 'asked', offset, bytes })
    if (bytes.every((byte) => byte === 0)) await device.writeZeroes(offset, length)
    else await device.write(offset, bytes)
    disk.set(bytes, offset)
    if (random(3) === 0) {
      await device.flush()
      journal.push({ kind: 'flushed', disk: disk.slice() })
    }
  }
  await device.close()

  const synced = memoryFile(options.image)
  let pending: Entry[] = []
  let flushed: Uint8Array = disk
  let asked: Extract<Entry, { kind: 'asked' }>[] = []
  for (const entry of journal) {
    if (entry.kind === 'flushed') {
      flushed = entry.disk
      asked = []
    } else if (entry.kind === 'asked') asked.push(entry)
    else if (entry.kind === 'sync') {
      for (const old of pending) await apply(synced, old, null)
      pending = []
    } else pending.push(entry)
    const crashed = memoryFile(synced.bytes())
    for (const old of pending) await apply(crashed, old, random)
    const reopened = await options.open(crashed)
    const found = await readBytes(reopened, 0, flushed.length)
    await reopened.close()
    expectOldOrNew(found, flushed, asked)
    await options.check?.(crashed)
  }
}

function expectOldOrNew(found: Uint8Array, flushed: Uint8Array, asked: readonly { offset: number; bytes: Uint8Array }[]): void {
  for (let at = 0; at < found.length; at++) {
    if (found[at] === flushed[at]) continue
    const newer = asked.some(({ offset, bytes }) => at >= offset && at < offset + bytes.length && bytes[at - offset] === found[at])
    if (!newer) expect(found[at], `byte ${at}`).toBe(flushed[at])
  }
}
