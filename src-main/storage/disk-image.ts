import type { DiskFormat } from '../../src-shared/model/disk-format.ts'
import type { BlockDevice } from './block-device.ts'

export type { ImageCheck } from '../../src-shared/model/image-info.ts'

/** A file that an image names as the older layer below it, as it is written there: not resolved, not trusted. */
export interface NamedBacking {
  path: string
  /** null: the image does not say. */
  format: DiskFormat | null
}

/** An image of a disk: the device, and what its format says of itself. */
export interface DiskImage extends BlockDevice {
  readonly backing: NamedBacking | null
  /** For people, in the order to show: `{ label: 'Cluster size', value: '64 KiB' }`. */
  readonly details: readonly { label: string; value: string }[]
  /** Bytes: the size of the disk changes, durable when it resolves. What a smaller disk cuts off is gone. Absent where the format (or this image of it) cannot. */
  resize?(size: number): Promise<void>
  /** Changes what the image rests on, or (null) that it rests on anything: only the name, durable when it resolves. Absent where the format cannot. */
  setBacking?(backing: NamedBacking | null): Promise<void>
  /** Bytes that the image stores as a whole. Absent for raw, which has no such. */
  readonly clusterSize?: number
  /** Stores whole clusters packed. Absent where the format (or this image of it) cannot. */
  readonly packed?: {
    /** Bytes that are packed together. */
    clusterSize: number
    /** @param offset a multiple of the cluster size that was not written before; @param cluster a whole one, or what the disk has left at its end */
    write(offset: number, cluster: Uint8Array): Promise<void>
  }
  /** Names, in the image's folder, of further files that hold its data. Absent: it is one file. */
  readonly otherFiles?: readonly string[]
  /** What images above it note of it, to find it or to see that it is the one that they rested on. Absent where the format has no such. */
  readonly identity?: string
  /** What it has noted so of the image that it rests on. */
  readonly parentIdentity?: string
  /** What would be lost if the disk were written anew into another file, as a sentence; null or absent: nothing. */
  readonly rewriteLoses?: string | null
}

export interface OpenImageOptions {
  /**
   * Asked once while an image that names a backing opens; the image owns (and closes) what it gets. null opens the layer alone: what it lacks reads as zeroes.
   * @throws AppError what is wrong with the backing
   */
  openBacking(named: NamedBacking): Promise<BlockDevice | null>
  /**
   * The same for an image that does not name a file, but has its parent's identity alone. Absent: nobody knows which file that is, and the image is refused.
   */
  openParent?(identity: string): Promise<BlockDevice | null>
}
