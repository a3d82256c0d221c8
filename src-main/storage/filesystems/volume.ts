/** A part of a disk, read in small pieces: what file systems are looked through by. */
import { KiB } from '../../../src-shared/base/units.ts'
import type { BlockDevice } from '../block-device.ts'

/** Bytes that are read at once, and kept. */
const PAGE = 64 * KiB
/** Pages that are kept: 16 MiB. */
const MAX_PAGES = 256

export interface Volume {
  /** Bytes. */
  readonly size: number
  /** @throws RangeError past its end; AppError as the disk */
  read(offset: number, length: number): Promise<DataView<ArrayBuffer>>
}

/** @param start bytes of the disk; @param size bytes; both within the disk */
export function volumeOf(disk: Pick<BlockDevice, 'read'>, start: number, size: number): Volume {
  const pages = new Map<number, Promise<Uint8Array<ArrayBuffer>>>()
  const page = (number: number): Promise<Uint8Array<ArrayBuffer>> => {
    const known = pages.get(number)
    if (known) {
      pages.delete(number)
      pages.set(number, known)
      return known
    }
    const bytes = new Uint8Array(Math.min(PAGE, size - number * PAGE))
    const reading = disk.read(start + number * PAGE, bytes).then(() => bytes)
    // A failure is the reader's, who waits for it.
    reading.catch(() => pages.delete(number))
    pages.set(number, reading)
    for (const oldest of pages.keys()) {
      if (pages.size <= MAX_PAGES) break
      pages.delete(oldest)
    }
    return reading
  }
  return {
    size,
    async read(offset, length) {
      if (!Number.isSafeInteger(offset) || offset < 0 || length < 0 || offset + length > size) throw new RangeError('Past the end.')
      const into = new Uint8Array(length)
      for (let done = 0; done < length;) {
        const at = offset + done
        const from = await page(Math.floor(at / PAGE))
        const part = from.subarray(at % PAGE, Math.min(from.length, (at % PAGE) + length - done))
        into.set(part, done)
        done += part.length
      }
      return new DataView(into.buffer)
    },
  }
}
