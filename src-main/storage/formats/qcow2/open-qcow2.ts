import type { ByteFile } from '../../file/byte-file.ts'
import type { OpenImageOptions } from '../../disk-image.ts'
import { checkQcow2 } from './check/check.ts'
import { beyondRepair, corrupt } from './header.ts'
import { loadHeader, loadParts } from './load-parts.ts'
import { Qcow2Device, type Qcow2Image } from './qcow2-image.ts'

/**
 * An image that was not closed properly and has lazy refcounts is counted anew first, unless it is opened for reading only.
 * @param file owned by the image from when this resolves
 * @throws AppError `corrupt` (also: marked as damaged, and to be written), `unsupported` with the names of what is not supported, what `openBacking`
 *   throws, or the file's reason
 */
export async function openQcow2(file: ByteFile, options: OpenImageOptions): Promise<Qcow2Image> {
  let loaded = await loadHeader(file)
  if (!file.readOnly && loaded.header.corrupt) throw corrupt(file.path, 'it is marked as damaged, so that it can only be read')
  if (!file.readOnly && loaded.header.dirty) {
    const { corruptions, repairedCorruptions } = await checkQcow2(file, { repair: true })
    if (corruptions > repairedCorruptions) throw beyondRepair(file.path, 'it was not closed properly, and its tables cannot be repaired')
    loaded = await loadHeader(file)
  }
  const { parts, snapshots } = await loadParts(file, loaded.header, loaded.head, !file.readOnly)
  if (loaded.header.backing) parts.backing = await options.openBacking(loaded.header.backing)
  return new Qcow2Device(parts, snapshots.snapshots)
}
