/** What Coppice can do with each format of disk images. */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { ImageCheck } from '../../../src-shared/model/image-info.ts'
import type { BlockDevice } from '../block-device.ts'
import type { DiskImage, NamedBacking, OpenImageOptions } from '../disk-image.ts'
import { openBeside } from '../chain/open-beside.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { checkQcow2 } from './qcow2/check/check.ts'
import { createQcow2 } from './qcow2/create-qcow2.ts'
import { isQcow2 } from './qcow2/header.ts'
import { openQcow2 } from './qcow2/open-qcow2.ts'
import { createRaw } from './raw/create-raw.ts'
import { rawDevice } from './raw/raw-device.ts'
import { checkVdi } from './vdi/check-vdi.ts'
import { isVdi } from './vdi/vdi-header.ts'
import { createVdi, openVdi } from './vdi/vdi-image.ts'
import { checkVhd } from './vhd/check-vhd.ts'
import { isVhd } from './vhd/vhd-footer.ts'
import { createVhd, openVhd } from './vhd/vhd-image.ts'
import { isVhdx } from './vhdx/vhdx-header.ts'
import { openVhdx } from './vhdx/vhdx-image.ts'
import { checkVmdk } from './vmdk/check-vmdk.ts'
import { createVmdk } from './vmdk/create-vmdk.ts'
import { isVmdk, openVmdk } from './vmdk/vmdk-image.ts'
import { packVmdk } from './vmdk/write-stream-optimized.ts'

export interface NewImage {
  format: DiskFormat
  /** Bytes of the disk. */
  size: number
  /** What it rests on, as it is to be written into it. */
  backing: NamedBacking | null
  /** Bytes; the format's usual ones where it is absent. */
  clusterSize?: number
}

export interface FormatDriver {
  /** The image owns the file from then on; when it cannot be opened the file stays the caller's. */
  open(file: ByteFile, options: OpenImageOptions): Promise<DiskImage>
  /**
   * An image of zeroes (or of its backing) in an empty file; the caller syncs. Absent: Coppice only reads the format.
   * @throws AppError `invalid-input` for what the format cannot be
   */
  create?(file: ByteFile, image: NewImage): Promise<void>
  /** A whole disk into an empty file, packed. Absent where the format cannot, or packs clusters of an image that it opened (`DiskImage.packed`). */
  writePacked?(file: ByteFile, source: BlockDevice, progress: (done: number) => void): Promise<void>
  /**
   * Looks through all metadata of an image that may be too damaged to be opened; the file stays the caller's. Absent where the format has none that
   * could be wrong without being noticed when it is opened.
   */
  check?(
    file: ByteFile,
    options: { repair: boolean; signal: AbortSignal; onProgress(done: number, total: number): void },
  ): Promise<ImageCheck>
  /** Whether a file's first bytes (and its last 512) say that it is one. Absent for raw, which nothing says. */
  recognises?(head: Uint8Array, tail: Uint8Array): boolean
}

/** In the order in which a file's mark is looked for. */
export const FORMATS: Partial<Record<DiskFormat, FormatDriver>> = {
  qcow2: { open: openQcow2, create: createQcow2, check: checkQcow2, recognises: isQcow2 },
  vdi: { open: openVdi, create: (file, image) => createVdi(file, plain(image)), check: checkVdi, recognises: isVdi },
  vhdx: { open: openVhdx, recognises: isVhdx },
  vhd: { open: openVhd, create: (file, image) => createVhd(file, plain(image)), check: checkVhd, recognises: isVhd },
  vmdk: {
    open: (file, options) => openVmdk(file, { ...options, openExtent: (name) => openBeside(file.path, name, file.readOnly) }),
    create: (file, image) => createVmdk(file, plain(image)),
    writePacked: packVmdk,
    check: checkVmdk,
    recognises: isVmdk,
  },
  raw: { open: async (file) => rawDevice(file), create: (file, image) => createRaw(file, plain(image)) },
}

/** @throws AppError `invalid-input` for what only qcow2 images can be */
function plain({ format, size, backing, clusterSize }: NewImage): { size: number } {
  if (backing) throw new AppError('invalid-input', `A new image of the format ${format} rests on no other one. Choose qcow2.`)
  if (clusterSize !== undefined)
    throw new AppError('invalid-input', `Images of the format ${format} have no cluster size to choose. Leave it away, or choose qcow2.`)
  return { size }
}

/** @throws AppError `unsupported` */
export function writableFormat(format: DiskFormat): FormatDriver & Required<Pick<FormatDriver, 'create'>> {
  const driver = FORMATS[format]
  if (!driver?.create) throw new AppError('unsupported', `Coppice does not write images of the format ${format}. Choose qcow2.`)
  return { ...driver, create: driver.create }
}
