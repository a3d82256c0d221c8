/** Looks through the grain tables of a VMDK in one file. What is wrong with them cannot be mended: nobody knows whose a grain is. */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ImageCheck } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { checkBlocks, mayRepair, type CheckOptions } from '../blocks/check-blocks.ts'
import { Findings } from '../qcow2/check/findings.ts'
import { loadGrains, readSparseHeader } from './sparse-extent.ts'
import { isSparse, SECTOR } from './sparse-header.ts'

/**
 * @param file of an image that nobody else uses meanwhile
 * @throws AppError `unsupported`: a disk in several files, each of which is looked through by its own name; `corrupt`: the header is beyond use;
 *   `denied`, `cancelled`
 */
export async function checkVmdk(file: ByteFile, options: CheckOptions): Promise<ImageCheck> {
  mayRepair(file, options.repair)
  const magic = new Uint8Array(4)
  await file.read(0, magic)
  if (!isSparse(magic))
    throw new AppError('unsupported', `The disk of “${file.path}” is in several files. Check those, one by one.`, { subject: file.path })
  const header = await readSparseHeader(file)
  const { table, place } = await loadGrains(file, header)
  const found = new Findings()
  const room = header.compressed ? SECTOR : header.grain * SECTOR
  const last = Math.ceil(header.capacity / header.grain) - 1
  // Of the last grain, only what the disk has must be there; of a compressed one, its marker.
  const needed = (index: number): number =>
    header.compressed ? SECTOR : (index === last ? header.capacity - last * header.grain : header.grain) * SECTOR
  await checkBlocks({ file, table, place, room, before: 0, needed }, found, options)
  return { corruptions: found.corruptions, leaks: 0, repairedCorruptions: 0, repairedLeaks: 0, findings: found.sentences }
}
