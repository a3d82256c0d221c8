import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import type { NewImage } from '../formats.ts'

/** A raw disk is a file of that size, all of it a hole. */
export async function createRaw(file: ByteFile, { size, backing, clusterSize }: NewImage): Promise<void> {
  if (backing) throw new AppError('invalid-input', 'A raw disk rests on no other image. Choose qcow2.')
  if (clusterSize !== undefined) throw new AppError('invalid-input', 'A raw disk has no clusters. Leave their size away, or choose qcow2.')
  await file.truncate(size)
}
