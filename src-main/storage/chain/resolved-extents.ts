import type { BlockDevice, Extent } from '../block-device.ts'
import type { DiskImage } from '../disk-image.ts'

/** The image with extents that never say `unallocated`: they tell what its backing has there. */
export function resolvedExtents(image: DiskImage, backing: BlockDevice | null): DiskImage {
  const extent = async (offset: number, length: number): Promise<Extent> => {
    const own = await image.extent(offset, length)
    if (own.state !== 'unallocated') return own
    if (backing === null || offset >= backing.info.size) return { length: own.length, state: 'zero' }
    const below = await backing.extent(offset, Math.min(own.length, backing.info.size - offset))
    return { length: below.length, state: below.state === 'data' ? 'data' : 'zero' }
  }
  const { resize, setBacking, clusterSize, packed, otherFiles } = image
  return {
    get info() {
      return image.info
    },
    get details() {
      return image.details
    },
    backing: image.backing,
    read: (offset, into) => image.read(offset, into),
    write: (offset, bytes) => image.write(offset, bytes),
    writeZeroes: (offset, length) => image.writeZeroes(offset, length),
    discard: (offset, length) => image.discard(offset, length),
    flush: () => image.flush(),
    extent,
    ...(resize ? { resize: (size) => resize.call(image, size) } : {}),
    ...(setBacking ? { setBacking: (to) => setBacking.call(image, to) } : {}),
    ...(clusterSize === undefined ? {} : { clusterSize }),
    ...(packed ? { packed } : {}),
    ...(otherFiles ? { otherFiles } : {}),
    close: () => image.close(),
  }
}
