/** An image that a person chose, with what was not said of it found out. */
import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
import { isNetworkAddress } from '../../../src-shared/model/network-disk.ts'
import { openLocked } from '../file/open-locked.ts'
import { recognised } from '../formats/recognise.ts'

export interface ChosenImage {
  path: string
  /** null: told by the file's mark, raw without one. */
  format: DiskFormat | null
  /** Absolute: where the files may lie that it rests on, beside its own folder. */
  folders: readonly string[]
}

export interface KnownImage {
  /** Links followed; or an address of a disk on the network. */
  path: string
  format: DiskFormat
  folders: readonly string[]
}

/** @throws AppError as openImage */
export async function known({ path, format, folders }: ChosenImage): Promise<KnownImage> {
  if (isNetworkAddress(path)) return { path, format: format ?? 'raw', folders: [] }
  try {
    const real = await realpath(path)
    return { path: real, format: format ?? (await formatOf(real)), folders: [dirname(real), ...folders] }
  } catch (error) {
    throw asAppError(error, `Opening the disk image “${path}”`)
  }
}

/** A path of an image that is a file. @throws AppError `unsupported` for a disk on the network, which has no file here to work on */
export async function knownFile(choice: ChosenImage): Promise<KnownImage> {
  if (isNetworkAddress(choice.path))
    throw new AppError(
      'unsupported',
      `“${choice.path}” is a disk on the network: this is its server’s work. Convert it into a file here first.`,
      {
        subject: choice.path,
      },
    )
  return known(choice)
}

async function formatOf(path: string): Promise<DiskFormat> {
  const { file } = await openLocked(path, true)
  try {
    return (await recognised(file)) ?? 'raw'
  } finally {
    await file.close()
  }
}
