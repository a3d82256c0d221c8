/**
 * Reads grains of a compressed extent ("Virtual Disk Format 5.0", "Stream-Optimized Compressed"): a marker with the grain's first sector and the number of
 * bytes, then those bytes, a zlib stream (RFC 1950). A few grains are kept as they were inflated: reads are smaller than grains and follow each other.
 */
import { inflate } from 'node:zlib'
import type { ByteFile } from '../../file/byte-file.ts'
import type { PartialBlocks } from '../blocks/block-disk.ts'
import { damaged } from '../blocks/faults.ts'
import { view } from './sparse-header.ts'

const MARKER_SIZE = 12
/** Bytes of inflated grains that are kept. */
const KEPT_BYTES = 4 * 1024 * 1024

/** @param grainSize bytes */
export function compressedGrains(file: ByteFile, grainSize: number): PartialBlocks {
  const kept = new Map<number, Promise<Uint8Array>>()
  const load = async (index: number, place: number): Promise<Uint8Array> => {
    const fault = (what: string): Error => damaged(file.path, `grain ${index} ${what}`)
    const marker = new Uint8Array(MARKER_SIZE)
    await file.read(place, marker)
    const size = view(marker).getUint32(8, true)
    if (view(marker).getBigUint64(0, true) !== BigInt(index) * BigInt(grainSize / 512)) throw fault('is said to be where another one is')
    // What does not compress grows, by less than a thousandth and a few bytes.
    if (size === 0 || size > grainSize * 2 || place + MARKER_SIZE + size > file.size)
      throw fault(`is said to have ${size} bytes compressed`)
    const bytes = new Uint8Array(size)
    await file.read(place + MARKER_SIZE, bytes)
    return new Promise((resolve, reject) =>
      inflate(bytes, { maxOutputLength: grainSize }, (error, grain) => (error ? reject(fault('cannot be inflated')) : resolve(grain))),
    )
  }
  return {
    isComplete: () => false,
    complete: (index) => Promise.reject(damaged(file.path, `grain ${index} is compressed`)),
    async read(index, place, within, into) {
      let grain = kept.get(index)
      kept.delete(index)
      grain ??= load(index, place)
      kept.set(index, grain)
      if (kept.size * grainSize > KEPT_BYTES) kept.delete(kept.keys().next().value!)
      const bytes = await grain.catch((error: unknown) => {
        kept.delete(index)
        throw error
      })
      // The last grain may be shorter.
      const there = bytes.subarray(within, within + into.length)
      into.set(there)
      into.fill(0, there.length)
    },
  }
}
