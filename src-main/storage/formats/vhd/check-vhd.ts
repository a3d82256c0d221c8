/** Looks through the block table of a dynamic VHD, and puts its footer right. A fixed one has nothing but the footer. */
import type { ImageCheck } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { checkBlocks, mayRepair, type CheckOptions } from '../blocks/check-blocks.ts'
import { Findings } from '../qcow2/check/findings.ts'
import { FOOTER_SIZE } from './vhd-footer.ts'
import { firstBlock, loadDynamic, readFooter } from './vhd-image.ts'

/**
 * Blocks that lie over each other cannot be mended: nobody knows whose the bytes are.
 * @param file of an image that nobody else uses meanwhile
 * @throws AppError `denied`: to be repaired, but open for reading only; `corrupt`: footers or header are beyond use; `unsupported`, `cancelled`
 */
export async function checkVhd(file: ByteFile, options: CheckOptions): Promise<ImageCheck> {
  mayRepair(file, options.repair)
  const found = new Findings()
  const parts = await loadDynamic(file, await readFooter(file))
  const result = { repairedCorruptions: 0, repairedLeaks: 0, findings: found.sentences }
  if (!parts) return { ...result, corruptions: 0, leaks: 0 }
  const { header, footer, footerBytes, footerAt, table, place } = parts
  const room = header.bitmapSize + header.blockSize
  const blocks = { file, table, place, room, before: header.bitmapSize, needed: () => header.blockSize }
  const { used, end } = await checkBlocks(blocks, found, options)
  const first = firstBlock(header, footer)
  const blocksAreSound = found.corruptions === 0
  const unused = Math.floor(((footerAt ?? file.size) - first) / room) - used
  if (unused > 0) found.leaking(unused, `Blocks that the file has room for and that are nobody’s: ${unused}.`)
  if (footerAt === null) found.corruption('The footer at the end is missing; its copy at the beginning stands in.')
  // Only behind blocks that are all where they can be is the rest of the file nobody's.
  if (options.repair && blocksAreSound && found.corruptions + found.leaks > 0) {
    const to = Math.max(first, end)
    const roomBehind = Math.floor(((footerAt ?? file.size) - to) / room)
    await file.write(to, footerBytes)
    await file.truncate(to + FOOTER_SIZE)
    await file.sync()
    result.repairedCorruptions = found.corruptions
    result.repairedLeaks = Math.min(found.leaks, roomBehind)
  }
  return { ...result, corruptions: found.corruptions, leaks: found.leaks }
}
