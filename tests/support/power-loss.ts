/**
 * Power that fails at every write. A workload runs once on a file that keeps a journal of what was written and when it was synced; from that come the
 * files that a crash after any prefix of the journal can leave: what was synced is there, of every later write all, nothing, or some sectors.
 */
import { expect } from 'vitest'
import type { BlockDevice } from '../../src-main/storage/block-device.ts'
import type { ByteFile } from '../../src-main/storage/file/byte-file.ts'
import { expectSame } from './disk-model.ts'
import { memoryFile, type MemoryFile } from './memory-file.ts'
import { readBytes } from './read-bytes.ts'
import { noise, seeded } from './seeded.ts'

/** What a disk writes whole or not at all. */
const SECTOR = 512

type Change = { kind: 'write'; offset: number; bytes: Uint8Array } | { kind: 'truncate'; size: number }

/** The device was asked to write (or to discard: then zeroes). */
export interface Asked {
  kind: 'asked'
  offset: number
  bytes: Uint8Array
}

export type Entry =
  | Change
  /** These changes, which had been made when it was asked for, are on disk. */
  | { kind: 'sync'; covers: ReadonlySet<Change> }
  /** The device answered a flush; what it had when it was asked, and what it had not answered then. */
  | { kind: 'flushed'; disk: Uint8Array; open: Asked[] }
  | Asked

/** A file that keeps a journal. @param pause how long each change takes */
export function journalled(content: Uint8Array, journal: Entry[], pause: () => Promise<void> = () => Promise.resolve()): MemoryFile {
  const file = memoryFile(content)
  let made = new Set<Change>()
  const change = async (entry: Change, make: () => Promise<void>): Promise<void> => {
    journal.push(entry)
    await make()
    await pause()
    made.add(entry)
  }
  return {
    ...file,
    get size() {
      return file.size
    },
    write: (offset, bytes) => change({ kind: 'write', offset, bytes: bytes.slice() }, () => file.write(offset, bytes)),
    zero: (offset, length) => change({ kind: 'write', offset, bytes: new Uint8Array(length) }, () => file.zero(offset, length)),
    discard: (offset, length) => change({ kind: 'write', offset, bytes: new Uint8Array(length) }, () => file.zero(offset, length)),
    truncate: (size) => change({ kind: 'truncate', size }, () => file.truncate(size)),
    async sync() {
      const covers = made
      made = new Set()
      await pause()
      journal.push({ kind: 'sync', covers })
    },
  }
}

export interface Crash {
  file: MemoryFile
  /** What the disk had at the last flush, and what was asked for since. */
  flushed: Uint8Array
  asked: readonly Asked[]
}

/**
 * What a crash after any change can leave: what was synced is there, of every later write all, nothing, or some sectors.
 * @param flushed what the disk has at first; @param times crashes after each change
 */
export async function* crashes(
  image: Uint8Array,
  journal: readonly Entry[],
  flushed: Uint8Array,
  random: (below: number) => number,
  times = 1,
): AsyncGenerator<Crash> {
  const synced = memoryFile(image)
  let pending: Change[] = []
  let asked: Asked[] = []
  for (const entry of journal) {
    if (entry.kind === 'flushed') {
      flushed = entry.disk
      asked = [...entry.open]
    } else if (entry.kind === 'asked') asked.push(entry)
    else if (entry.kind === 'sync') {
      for (const old of pending) if (entry.covers.has(old)) await apply(synced, old, null)
      pending = pending.filter((old) => !entry.covers.has(old))
    } else pending.push(entry)
    for (let time = 0; time < (entry.kind === 'asked' ? 0 : times); time++) {
      const file = memoryFile(synced.bytes())
      for (const old of pending) await apply(file, old, random)
      yield { file, flushed, asked }
    }
  }
}

async function apply(file: MemoryFile, entry: Change, random: ((below: number) => number) | null): Promise<void> {
  if (entry.kind === 'truncate') {
    if (!random || random(2)) await file.truncate(entry.size)
  } else {
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
  /** Looks at a file as the crash left it, opened again, written and closed. */
  check?(file: MemoryFile): Promise<void>
}

/** After every crash the image opens, and has what was flushed, changed only by what was asked for later. */
export async function survivePowerLoss(options: PowerLossOptions): Promise<void> {
  const random = seeded(options.seed)
  const journal: Entry[] = []
  const device = await options.open(journalled(options.image, journal))
  const disk = await readBytes(device, 0, device.info.size)
  const before = disk.slice()
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
      journal.push({ kind: 'flushed', disk: disk.slice(), open: [] })
    }
  }
  await device.close()

  for await (const { file, flushed, asked } of crashes(options.image, journal, before, random)) {
    const reopened = await options.open(file)
    const found = await readBytes(reopened, 0, flushed.length)
    expectOldOrNew(found, flushed, asked)
    // It goes on being used: no new block may lie over one that is there.
    const at = random(found.length - 3000)
    const bytes = noise(random, 3000)
    await reopened.write(at, bytes)
    found.set(bytes, at)
    await reopened.close()
    const again = await options.open(file)
    expectSame(await readBytes(again, 0, found.length), found, 0)
    await again.close()
    await options.check?.(file)
  }
}

/** Every byte is as it was flushed, or as somebody asked for since. */
export function expectOldOrNew(found: Uint8Array, flushed: Uint8Array, asked: readonly Asked[]): void {
  for (let at = 0; at < found.length; at++) {
    if (found[at] === flushed[at]) continue
    const newer = asked.some(({ offset, bytes }) => at >= offset && at < offset + bytes.length && bytes[at - offset] === found[at])
    if (!newer) expect(found[at], `byte ${at}`).toBe(flushed[at])
  }
}
