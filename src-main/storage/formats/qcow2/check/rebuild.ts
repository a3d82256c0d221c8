/**
 * New reference counts for everything in an image, whatever the old ones say. The new blocks and the new refcount table are written behind the end
 * of the file; when they are on disk, one write of the header's sector puts them into use. The room of the old ones is free then.
 */
import { beyondRepair } from '../header.ts'
import type { HeaderSector } from '../header-sector.ts'
import { MAX_REFCOUNT_TABLE_BYTES } from '../limits.ts'
import { refcountWidth } from '../refcount-width.ts'
import type { TrustedSync } from '../../../file/trusted-sync.ts'
import { countedWindows, perBlock } from './count.ts'
import type { CheckedImage } from './references.ts'

/** @throws AppError `corrupt`: a count does not fit, or there are too many */
export async function rebuildCounts(
  image: CheckedImage,
  windows: readonly number[],
  durable: TrustedSync,
  sector: HeaderSector,
): Promise<void> {
  const { file, header } = image
  const size = header.clusterSize
  const width = refcountWidth(header.refcountBits)
  const entries = perBlock(header)
  const end = Math.ceil(file.size / size) // clusters of the file as it is
  const lastFull = Math.floor(end / entries) // blocks below this index count nothing of what is appended
  const table = new Map<number, number>()
  let next = end
  const write = async (index: number, counts: Uint32Array): Promise<void> => {
    const block = new DataView(new ArrayBuffer(size))
    for (let i = 0; i < counts.length; i++) {
      if (counts[i]! > width.max)
        throw beyondRepair(file.path, `cluster ${index * entries + i} is referred to ${counts[i]} times, which cannot be counted`)
      if (counts[i] !== 0) width.set(block, i, counts[i]!)
    }
    table.set(index, next * size)
    await file.write(next++ * size, new Uint8Array(block.buffer))
  }

  let rest = new Uint32Array(0) // counts of the last block, as far as the file went
  for await (const { first, counts } of countedWindows(image, windows, false))
    for (let start = 0; start < counts.length; start += entries) {
      const index = (first + start) / entries
      const own = counts.slice(start, start + entries)
      if (index === lastFull) rest = own
      else if (own.some((count) => count > 0)) await write(index, own)
    }

  // The last blocks count themselves, the blocks before them, and the table.
  let total = next - end
  let tableClusters = 0
  for (let known = -1; known !== total;) {
    known = total
    const blocks = Math.floor((end + total - 1) / entries) - lastFull + 1
    tableClusters = Math.ceil(((lastFull + blocks) * 8) / size)
    total = next - end + blocks + tableClusters
    if (total < known) total = known
  }
  if (tableClusters * size > Math.max(MAX_REFCOUNT_TABLE_BYTES, size)) throw beyondRepair(file.path, 'it is too large to be counted')
  const blocks = Math.floor((end + total - 1) / entries) - lastFull + 1
  for (let index = lastFull; index < lastFull + blocks; index++) {
    const counts = new Uint32Array(entries)
    if (index === lastFull) counts.set(rest)
    for (let i = Math.max(0, end - index * entries); i < entries && index * entries + i < end + total; i++) counts[i] = 1
    await write(index, counts)
  }
  const bytes = new Uint8Array(tableClusters * size)
  for (const [index, offset] of table) new DataView(bytes.buffer).setBigUint64(index * 8, BigInt(offset))
  const tableOffset = next * size
  await file.write(tableOffset, bytes)
  await durable.sync()
  await sector.moveRefcountTable(tableOffset, tableClusters)
}
