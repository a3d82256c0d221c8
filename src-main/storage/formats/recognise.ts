/** Tells a format by a file's first and last bytes. For images from elsewhere only: a guest can write any header into its own raw disk. */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import type { ByteFile } from '../file/byte-file.ts'
import { FORMATS } from './formats.ts'

/** Bytes in which every format that begins with a mark has it. */
const HEAD = 4096
/** Bytes of a fixed VHD's footer. */
const TAIL = 512

/** @returns the format whose mark the file has; null: it has none, and may be raw */
export async function recognised(file: ByteFile): Promise<DiskFormat | null> {
  const head = new Uint8Array(Math.min(HEAD, file.size))
  const tail = new Uint8Array(Math.min(TAIL, file.size))
  await file.read(0, head)
  await file.read(file.size - tail.length, tail)
  for (const [format, driver] of Object.entries(FORMATS)) if (driver?.recognises?.(head, tail)) return format as DiskFormat
  return null
}

/** @throws AppError `corrupt` where the file has no format's mark: it may be a raw disk, but nobody said so */
export async function recognise(file: ByteFile): Promise<DiskFormat> {
  const format = await recognised(file)
  if (format === null)
    throw new AppError(
      'corrupt',
      `“${file.path}” has the mark of no disk image’s format. If it is a raw disk, the image that rests on it has to say so.`,
      { subject: file.path },
    )
  return format
}
