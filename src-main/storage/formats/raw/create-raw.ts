import type { ByteFile } from '../../file/byte-file.ts'

/** A raw disk is a file of that size, all of it a hole. */
export async function createRaw(file: ByteFile, { size }: { size: number }): Promise<void> {
  await file.truncate(size)
}
