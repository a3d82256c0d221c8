/** The files of a volume, whichever of the known file systems it has. */
import type { FileList } from './file-list.ts'
import { listExt } from './ext/list-ext.ts'
import { listFat } from './fat/list-fat.ts'
import type { Volume } from './volume.ts'

/**
 * @returns null: none that is known
 * @throws AppError `corrupt`, `unsupported`, `cancelled`, or as the disk
 */
export async function listFiles(volume: Volume, signal: AbortSignal): Promise<FileList | null> {
  return (await listExt(volume, signal)) ?? (await listFat(volume, signal))
}
