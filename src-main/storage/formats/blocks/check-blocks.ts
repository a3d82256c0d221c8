/** Looks through a whole table of blocks: whether every entry points to where a block can be, and no two to the same bytes. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import type { Findings } from '../qcow2/check/findings.ts'
import { unsupported } from './faults.ts'
import type { EntryTable } from './entry-table.ts'

/** Places that are noted: 4 bytes for each one that a file of this length can have, 1 GiB of memory that is touched only where blocks are. */
const MOST_SLOTS = 2 ** 28
/** Entries between two looks at the signal and reports of progress. */
const STEP = 65_536

export interface CheckOptions {
  repair: boolean
  signal?: AbortSignal
  onProgress?(done: number, total: number): void
}

export interface CheckedBlocks {
  file: ByteFile
  table: EntryTable
  /** As of the disk; where it throws `corrupt`, the entry is at fault. */
  place(entry: number, index: number): number
  /** Bytes in the file that a block has, from `before` in front of its place on. */
  room: number
  before: number
  /** Bytes of a block that must be in the file; the last one may need fewer. */
  needed(index: number): number
}

/**
 * @returns how many blocks the file has, and where the last one ends
 * @throws AppError `cancelled`, `unsupported` (a file too large for this), or the file's reason
 */
export async function checkBlocks(blocks: CheckedBlocks, found: Findings, options: CheckOptions): Promise<{ used: number; end: number }> {
  const { file, table, room, before } = blocks
  const slots = Math.ceil(file.size / room) + 1
  if (slots > MOST_SLOTS) throw unsupported(file.path, `its file has ${file.size} bytes, more than can be looked through.`)
  // In each stretch of one block's length at most one can begin. Where it does, in bytes from the stretch's start, and one more: 0 is none.
  const begins = new Uint32Array(slots)
  let used = 0
  let end = 0
  for (let index = 0; index < table.count; index++) {
    if (index % STEP === 0) {
      if (options.signal?.aborted) throw AppError.cancelled()
      options.onProgress?.(index, table.count)
    }
    const entry = table.peek(index) ?? (await table.get(index))
    const place = placeOf(blocks, entry, index)
    if (place === null || (place >= 0 && place + blocks.needed(index) > file.size)) {
      found.corruption(`Block ${index} is said to be where none can be.`)
      continue
    }
    if (place < 0) continue
    const start = place - before
    end = Math.max(end, start + room)
    const slot = Math.floor(start / room)
    const at = (start % room) + 1
    const next = begins[slot + 1] ?? 0
    const last = slot > 0 ? begins[slot - 1]! : 0
    if (begins[slot] !== 0 || (next !== 0 && next < at) || last > at) {
      found.corruption(`Block ${index} lies over another one.`)
      continue
    }
    begins[slot] = at
    used++
  }
  options.onProgress?.(table.count, table.count)
  return { used, end }
}

function placeOf({ place }: CheckedBlocks, entry: number, index: number): number | null {
  try {
    return place(entry, index)
  } catch (error) {
    if (error instanceof AppError && error.code === 'corrupt') return null
    throw error
  }
}

/** @throws AppError `denied` */
export function mayRepair(file: ByteFile, repair: boolean): void {
  if (repair && file.readOnly)
    throw new AppError('denied', `The disk image “${file.path}” is open for reading only.`, { subject: file.path })
}
