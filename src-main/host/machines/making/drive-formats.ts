/**
 * Which format the images of disks have. It is found out once, when an image becomes a machine's disk, and declared from then on: later a guest could
 * have written another format's mark into a raw disk, to be given files of this computer.
 */
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { formatOfName, type DiskFormat } from '../../../../src-shared/model/disk-format.ts'
import type { ImageInfo } from '../../../../src-shared/model/image-info.ts'
import type { Drive } from '../../../../src-shared/model/machine.ts'
import { isNetworkAddress, parseNetworkDisk } from '../../../../src-shared/model/network-disk.ts'
import { storageThread } from '../../../../src-shared/threads/storage-thread.ts'
import { resolveInBundle } from '../../library/bundle.ts'
import type { SharedThread } from '../../threads/shared-thread.ts'

/** Formats that Coppice's own engine reads and does not write. */
const READ_ONLY: readonly DiskFormat[] = ['vhdx']

/** @param path absolute */
export function inspectDisk(path: string, storage: SharedThread): Promise<ImageInfo> {
  return storage.use((thread) => thread.rpc.service(storageThread).inspect({ path, format: null, folders: [] }))
}

/**
 * The drives, with the formats of those disks whose images are new.
 * @param before as they were; a disk whose image stays keeps its format
 * @param bundle the machine's folder
 * @throws AppError `invalid-input` at `drives.N.path` for images that no engine could use
 */
export async function withFormats(
  drives: readonly Drive[],
  before: readonly Drive[],
  bundle: string,
  storage: SharedThread,
): Promise<Drive[]> {
  return Promise.all(
    drives.map(async (drive, at) => {
      if (drive.kind !== 'disk' || drive.path === null) return drive
      const old = before.find(({ path, kind }) => path === drive.path && kind === 'disk')
      if (old) return { ...drive, format: old.format }
      if (isNetworkAddress(drive.path)) return { ...drive, format: networkFormat(drive.path) }
      const refuse = (message: string): AppError => AppError.invalid([{ path: `drives.${at}.path`, message }])
      const { path } = drive
      const inspect = async (): Promise<ImageInfo> => inspectDisk(await resolveInBundle(bundle, path), storage)
      const info = await inspect().catch((error: unknown) => {
        const { code, message } = asAppError(error)
        // What is wrong with the file itself is the planner's to say.
        if (code === 'corrupt' || code === 'unsupported' || code === 'busy') throw refuse(message)
        return null
      })
      if (!info) return drive
      if (info.problem !== null) throw refuse(info.problem)
      const refused = drive.readOnly ? null : notWritable(info)
      if (refused !== null) throw refuse(refused)
      return { ...drive, format: info.format }
    }),
  )
}

/** A disk on the network is raw, but for a file on an NFS server, whose name says what it is: its server may not answer now, or to us. */
export function networkFormat(path: string): DiskFormat {
  const address = parseNetworkDisk(path)
  return (typeof address !== 'string' && address.kind === 'nfs' ? formatOfName(address.path) : null) ?? 'raw'
}

/** Why a disk cannot be written to, as a sentence; null where it can. */
export function notWritable({ path, format }: Pick<ImageInfo, 'path' | 'format'>): string | null {
  if (!READ_ONLY.includes(format)) return null
  return `“${path}” is an image of the format ${format}, which Coppice only reads. Convert it to qcow2, copy it into the machine, or make the disk read-only.`
}
