/** Larger and smaller disks. */
import { formatBytes } from '../../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { DiskImage } from '../disk-image.ts'
import { openImage } from '../open-image.ts'
import { moveSecondTable, partitionTable } from '../partition-table.ts'
import { knownFile, type ChosenImage } from './chosen-image.ts'
import { checkedSize } from './create-image.ts'

/**
 * @param size bytes; rounded up to whole sectors
 * @param shrink whether what a smaller disk cuts off may be lost
 * @returns bytes of the disk
 * @throws AppError `invalid-input`: smaller without `shrink`; `unsupported`: the format cannot; or as openImage
 */
export async function resizeImage(choice: ChosenImage, size: number, shrink: boolean): Promise<{ size: number }> {
  const bytes = checkedSize(size)
  try {
    const image = await openImage({ ...(await knownFile(choice)), readOnly: false })
    try {
      if (!image.resize)
        throw new AppError(
          'unsupported',
          `The size of “${choice.path}” cannot be changed: images of the format ${image.info.format} keep theirs. Convert it to qcow2 first.`,
        )
      if (bytes < image.info.size) await prepareSmaller(image, bytes, shrink, choice.path)
      if (bytes !== image.info.size) await image.resize(bytes)
      return { size: bytes }
    } finally {
      await image.close()
    }
  } catch (error) {
    throw asAppError(error, `Resizing “${choice.path}”`)
  }
}

/**
 * Nothing of a partition is ever cut off, whatever is said: the table would speak of what is not there.
 * @throws AppError `invalid-input` at `size`
 */
async function prepareSmaller(image: DiskImage, size: number, shrink: boolean, path: string): Promise<void> {
  const table = await partitionTable(image)
  if (table && table.least > size) {
    const { last, least, kind } = table
    const what = last ? `its partition ${last.number} ends at ${formatBytes(last.end)}` : 'its partition table needs room'
    const more = kind === 'gpt' ? `, and its partition table needs some room behind: it can have ${formatBytes(least)} at least` : ''
    throw AppError.invalid([
      { path: 'size', message: `“${path}” cannot have ${formatBytes(size)}: ${what}${more}. Shrink that partition in the guest first.` },
    ])
  }
  if (!shrink) throw await wouldLose(image, size, path)
  if (table?.gpt) await moveSecondTable(image, table.gpt, size)
}

async function wouldLose(image: DiskImage, size: number, path: string): Promise<AppError> {
  let data = 0
  for (let at = size; at < image.info.size;) {
    const { length, state } = await image.extent(at, image.info.size - at)
    if (state === 'data') data += length
    at += length
  }
  const loss = data === 0 ? 'What would be cut off holds no data.' : `${formatBytes(data)} of data would be cut off.`
  return AppError.invalid([
    {
      path: 'size',
      message: `“${path}” has ${formatBytes(image.info.size)}, and would have ${formatBytes(size)}. ${loss} Shrink the guest’s partitions first; then say that the disk is to shrink.`,
    },
  ])
}
