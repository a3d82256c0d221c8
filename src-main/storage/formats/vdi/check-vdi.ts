/** Looks through a VDI's block map, and sets the header's count of blocks right. */
import type { ImageCheck } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { checkBlocks, mayRepair, type CheckOptions } from '../blocks/check-blocks.ts'
import { Findings } from '../qcow2/check/findings.ts'
import { ALLOCATED_AT } from './vdi-header.ts'
import { countField, loadVdi } from './vdi-image.ts'

/**
 * Two entries that have one block cannot be mended: nobody knows whose it is.
 * @param file of an image that nobody else uses meanwhile
 * @throws AppError `denied`: to be repaired, but open for reading only; `corrupt`: the header is beyond use; `unsupported`, `cancelled`
 */
export async function checkVdi(file: ByteFile, options: CheckOptions): Promise<ImageCheck> {
  mayRepair(file, options.repair)
  const { header, table, place } = await loadVdi(file)
  const found = new Findings()
  const room = header.blockSize + header.blockExtra
  const needed = (index: number): number => Math.min(header.blockSize, header.size - index * header.blockSize)
  const { used, end } = await checkBlocks({ file, table, place, room, before: header.blockExtra, needed }, found, options)
  const numbers = Math.max(0, Math.ceil((end - header.dataAt) / room))
  const isSound = found.corruptions === 0
  const miscounted = header.allocated < numbers
  if (miscounted)
    found.corruption(`The header counts ${header.allocated} blocks, the map has ${numbers}: a new one would lie over an old one.`)
  // Numbers that were given away and are nobody's: a crash leaves them. Those between others are given away again.
  const unused = Math.max(header.allocated, numbers) - used
  if (unused > 0) found.leaking(unused, `Blocks that are counted and not used: ${unused}.`)
  // Entries that point nowhere may stand for blocks that are there: then the count is only raised.
  const repaired = options.repair && (miscounted || (isSound && header.allocated > numbers))
  if (repaired) {
    await file.write(ALLOCATED_AT, countField(numbers))
    await file.sync()
  }
  return {
    corruptions: found.corruptions,
    leaks: found.leaks,
    repairedCorruptions: repaired && miscounted ? 1 : 0,
    repairedLeaks: repaired && !miscounted ? header.allocated - numbers : 0,
    findings: found.sentences,
  }
}
