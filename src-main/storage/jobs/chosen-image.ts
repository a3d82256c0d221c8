/** An image that a person chose, with what was not said of it found out. */
import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskFormat } from '../../../src-shared/model/disk-format.ts'
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
  /** Links followed. */
  path: string
  format: DiskFormat
  folders: readonly string[]
}

/** @throws AppError as openImage */
export async function known({ path, format, folders }: ChosenImage): Promise<KnownImage> {
  try {
    const real = await realpath(path)
    return { path: real, format: format ?? (await formatOf(real)), folders: [dirname(real), ...folders] }
  } catch (error) {
    throw asAppError(error, `Opening the disk image “${path}”`)
  }
}

async function formatOf(path: string): Promise<DiskFormat> {
  const { file } = await openLocked(path, true)
  try {
    return (await recognised(file)) ?? 'raw'
  } finally {
    await file.close()
  }
}
