/** Other sizes of a disk. The caller sees to it that no request is under way. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ClusterEraser } from './cluster-eraser.ts'
import { l1EntriesFor } from './header.ts'
import type { ImageParts, WritingParts } from './image-parts.ts'
import { MAX_L1_BYTES } from './limits.ts'

/**
 * The disk grows: what appears is zeroes, though the backing may have bytes there and tables may have entries left from a disk that was larger (or
 * from a snapshot's memory, which lies past the disk's end). All that is on disk before the header says the new size.
 */
export async function grow(parts: ImageParts, writing: WritingParts, eraser: ClusterEraser, size: number): Promise<void> {
  const { header, info, mapping } = parts
  const entries = l1EntriesFor(size, header.clusterSize)
  if (entries > MAX_L1_BYTES / 8)
    throw new AppError('invalid-input', `A disk of ${size} bytes is too large for clusters of ${header.clusterSize} bytes.`)
  if (entries > mapping.l1Entries) await growL1(parts, writing, entries)
  const wholeClusters = (bytes: number): number => Math.ceil(bytes / header.clusterSize) * header.clusterSize
  const oldEnd = wholeClusters(info.size)
  const newEnd = wholeClusters(size)
  const backingEnd = !header.backing ? 0 : wholeClusters(parts.backing ? Math.min(size, parts.backing.info.size) : size)
  const shownEnd = Math.max(oldEnd, backingEnd)
  await eraser.writeZeroes(info.size, oldEnd - info.size)
  await eraser.eraseClusters(oldEnd, shownEnd - oldEnd, 'zero')
  await eraser.eraseClusters(shownEnd, newEnd - shownEnd, 'unmap')
  await writing.writeBack.flush()
  await writing.headerSector.setSize(size)
  info.size = size
}

/** The disk shrinks: the header says so first, so that a crash leaves all of the old disk or the new one with room that it no longer needs. */
export async function shrink(parts: ImageParts, writing: WritingParts, eraser: ClusterEraser, size: number): Promise<void> {
  const { header, info, mapping } = parts
  const newEnd = Math.ceil(size / header.clusterSize) * header.clusterSize
  // All that the tables can map: also what a snapshot’s memory left behind the disk.
  const mapped = Math.min(mapping.l1Entries * mapping.perTable * header.clusterSize, 2 ** 53 - header.clusterSize)
  await writing.writeBack.flush()
  await writing.headerSector.setSize(size)
  info.size = size
  await eraser.eraseClusters(newEnd, mapped - newEnd, 'unmap')
  await writing.writeBack.flush()
  mapping.dropTables(newEnd / header.clusterSize, mapped / header.clusterSize)
  await writing.writeBack.flush()
  await writing.refcounts.cutEnd()
}

/** A longer L1 table is written elsewhere and counted; when that is on disk, the header names it. */
async function growL1(parts: ImageParts, writing: WritingParts, entries: number): Promise<void> {
  const { file, header, mapping } = parts
  const { refcounts, places, writeBack, headerSector } = writing
  const clusters = (count: number): number => Math.ceil((count * 8) / header.clusterSize)
  await writeBack.flush()
  const longer = mapping.longerL1(entries)
  const { offset } = await refcounts.allocateSpan(clusters(entries))
  try {
    await file.write(offset, longer)
    await writeBack.flush()
  } catch (error) {
    await refcounts.release(offset, clusters(entries))
    throw error
  }
  const old = { offset: mapping.l1Offset, clusters: clusters(mapping.l1Entries) }
  await headerSector.moveL1(offset, entries)
  mapping.replaceL1(longer, offset)
  places.add(offset / header.clusterSize, clusters(entries))
  if (old.clusters === 0) return
  places.remove(old.offset / header.clusterSize, old.clusters)
  refcounts.drop(old.offset, old.clusters * header.clusterSize)
}
