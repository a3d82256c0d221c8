/** Mutations of an image, for parsers that must never do anything but read it or say why not. */
import { expect } from 'vitest'
import type { BlockDevice } from '../../src-main/storage/block-device.ts'
import type { ByteFile } from '../../src-main/storage/file/byte-file.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { memoryFile } from './memory-file.ts'
import { seeded } from './seeded.ts'

/** Bytes read of a mutated disk, in parts spread over it. */
const PARTS = 6

/**
 * Opens `rounds` images that differ from `image` in a few bytes or their end, reads some of each and, where it opens for writing, writes and flushes: all it
 * may do is work or throw an AppError. Reads outside of what any size allows, hangs and huge allocations show as a failed or slow test.
 * @param rounds unless FUZZ_RUNS says otherwise, for longer runs by hand
 * @param ranges where bytes matter: [from, to) offsets in the file
 */
export async function surviveMutations(
  image: Uint8Array,
  ranges: readonly (readonly [number, number])[],
  rounds: number,
  open: (file: ByteFile) => Promise<BlockDevice>,
): Promise<void> {
  const total = fuzzRuns(rounds)
  const random = seeded(fuzzSeed(total))
  const values = [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff]
  let refused = 0
  for (let round = 0; round < total; round++) {
    let bytes = image.slice()
    for (let change = random(4); change >= 0; change--) {
      const [from, to] = ranges[random(ranges.length)]!
      const at = from + random(to - from)
      const length = random(3) === 0 ? 4 : 1
      for (let i = 0; i < length; i++) bytes[at + i] = random(2) ? values[random(values.length)]! : random(256)
    }
    if (random(10) === 0) bytes = bytes.slice(0, random(bytes.length))
    const readOnly = random(2) === 0
    try {
      const device = await open(boundedFile(memoryFile(bytes, 'hostile.img', readOnly)))
      const part = new Uint8Array(4096)
      for (let i = 0; i < PARTS; i++) {
        const length = Math.min(part.length, device.info.size)
        const offset = Math.floor((Math.max(0, device.info.size - length) * i) / (PARTS - 1))
        await device.read(offset, part.subarray(0, length))
        await device.extent(offset, length)
        if (!device.info.readOnly) await device.write(offset, part.subarray(0, length))
      }
      await device.close()
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'internal') throw error
      expect(error.message).toMatch(/^[A-Z“].*[.?]$/s)
      refused++
    }
  }
  // Otherwise the mutations hit nothing.
  expect(refused).toBeGreaterThan(0)
}

/** @param usual rounds where FUZZ_RUNS does not say how many */
export function fuzzRuns(usual: number): number {
  return Number(process.env['FUZZ_RUNS'] ?? usual)
}

/** @param usual seed where FUZZ_SEED does not say which: tests find the same in every run */
export function fuzzSeed(usual: number): number {
  return Number(process.env['FUZZ_SEED'] ?? usual)
}

/** Longest file that a mutated image may grow to in memory; as a full disk. */
const MOST_BYTES = 256 * 1024 * 1024

function boundedFile(file: ByteFile): ByteFile {
  const bounded = (end: number): void => {
    if (!Number.isSafeInteger(end) || end < 0) throw new Error(`An offset that is none: ${end}`)
    if (end > MOST_BYTES) throw new AppError('no-space', 'The disk is full.')
  }
  return {
    ...file,
    get size() {
      return file.size
    },
    async read(offset, into) {
      if (!Number.isSafeInteger(offset) || offset < 0) throw new Error(`An offset that is none: ${offset}`)
      await file.read(offset, into)
    },
    async write(offset, bytes) {
      bounded(offset + bytes.length)
      await file.write(offset, bytes)
    },
    async truncate(size) {
      bounded(size)
      await file.truncate(size)
    },
    async zero(offset, length) {
      bounded(offset + length)
      await file.zero(offset, length)
    },
  }
}
