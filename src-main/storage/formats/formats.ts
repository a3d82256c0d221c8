/** What Coppice can do with each format of disk images. */
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { DiskImage, OpenImageOptions } from '../disk-image.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { rawDevice } from './raw/raw-device.ts'

export interface FormatDriver {
  /** The image owns the file from then on; when it cannot be opened the file stays the caller's. */
  open(file: ByteFile, options: OpenImageOptions): Promise<DiskImage>
  /** Whether a file's first bytes (and its last 512) say that it is one. Absent for raw, which nothing says. */
  recognises?(head: Uint8Array, tail: Uint8Array): boolean
}

export const FORMATS: Partial<Record<DiskFormat, FormatDriver>> = {
  raw: { open: async (file) => rawDevice(file) },
}
