/**
 * The bitmaps that lie before the blocks of a dynamic VHD (specification 1.0, "Block Allocation Table and Data Blocks"): a sector whose bit is not set
 * was never written: it is zeroes, or what lies below a differencing disk. The bit of a block's first sector is the highest of the first byte. Most blocks have all of them set; those that were
 * seen so are remembered, one bit each.
 */
import type { ByteFile } from '../../file/byte-file.ts'
import type { Below, PartialBlocks } from '../blocks/block-disk.ts'

const SECTOR = 512

/** @param below of a differencing disk, which is only read */
export function sectorBitmaps(file: ByteFile, blocks: number, blockSize: number, bitmapSize: number, below: Below | null): PartialBlocks {
  const complete = new Uint8Array(Math.ceil(blocks / 8))
  const sectors = blockSize / SECTOR
  /** null: all set. */
  const load = async (index: number, place: number): Promise<Uint8Array<ArrayBuffer> | null> => {
    const bitmap = new Uint8Array(sectors / 8)
    await file.read(place - bitmapSize, bitmap)
    if (!bitmap.every((byte) => byte === 0xff)) return bitmap
    complete[index >> 3]! |= 1 << (index & 7)
    return null
  }
  return {
    isComplete: (index) => (complete[index >> 3]! & (1 << (index & 7))) !== 0,
    async read(index, place, within, into) {
      const bitmap = await load(index, place)
      await file.read(place + within, into)
      if (!bitmap) return
      for (const { from, to } of missing(bitmap, Math.floor(within / SECTOR), Math.ceil((within + into.length) / SECTOR))) {
        const start = Math.max(0, from * SECTOR - within)
        const part = into.subarray(start, Math.min(into.length, to * SECTOR - within))
        if (below) await below(index * blockSize + within + start, part)
        else part.fill(0)
      }
    },
    async complete(index, place) {
      const bitmap = await load(index, place)
      if (!bitmap) return
      for (const { from, to } of missing(bitmap, 0, sectors)) await file.zero(place + from * SECTOR, (to - from) * SECTOR)
      // Before the bits that make these sectors valid.
      await file.sync()
      await file.write(place - bitmapSize, bitmap.fill(0xff))
      complete[index >> 3]! |= 1 << (index & 7)
    },
  }
}

/** Runs of sectors, of `first` up to before `end`, whose bit is not set. */
function* missing(bitmap: Uint8Array, first: number, end: number) {
  const isSet = (sector: number): boolean => (bitmap[sector >> 3]! & (0x80 >> (sector & 7))) !== 0
  for (let from = first; from < end; from++) {
    if (isSet(from)) continue
    let to = from + 1
    while (to < end && !isSet(to)) to++
    yield { from, to }
    from = to
  }
}
