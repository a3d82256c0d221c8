/** What is known of disk images: for `coppice disk info` and the window. */
import type { DiskFormat } from './disk-format.ts'

export interface ImageFileInfo {
  /** Absolute, links followed; or an address on the network. */
  path: string
  format: DiskFormat
  /** Bytes of the disk. */
  size: number
  /** Bytes of the file, and how many of them take room on this computer's disk. Null of a disk on the network. */
  fileBytes: number | null
  storedBytes: number | null
  /** What the format says of itself, for people, in the order to show. */
  details: readonly { label: string; value: string }[]
  /** The file that it rests on, as the image names it. */
  backing: string | null
}

export interface ImageInfo extends ImageFileInfo {
  /** The files that it rests on, the newest first. */
  layers: ImageFileInfo[]
  /** Why what it rests on could not be followed to its end, as a sentence. */
  problem: string | null
}

/** What an image takes, looked at without a lock. */
export interface ImageMeasure {
  /** Bytes of the disk. */
  size: number
  /** Bytes that the file takes on this computer's disk. */
  storedBytes: number
  /** The same of all files below it. */
  belowBytes: number
  /** Its size can be changed. */
  resizable: boolean
}

/** What a look through all metadata of an image found. */
export interface ImageCheck {
  /** What would give wrong data. */
  corruptions: number
  /** Clusters that nothing uses: room that is lost, and no data. */
  leaks: number
  /** What of the two was mended. */
  repairedCorruptions: number
  repairedLeaks: number
  /** What was found, for people: the first hundred. */
  findings: readonly string[]
}
