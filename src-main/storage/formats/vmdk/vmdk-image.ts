/**
 * VMDK, of VMware's hosted programs: one sparse file, a descriptor with sparse or flat extents beside it, or a compressed stream ("Virtual Disk Format
 * 5.0"). Theory of operation: the descriptor (a file of its own, or inside of the one extent) says which extents follow each other, and the parent's
 * name and content ID. Who changes a disk gives it a new content ID first, so that a layer above it is found to be stale.
 */
import { basename } from 'node:path'
import { formatBytes } from '../../../../src-shared/base/units.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockDevice } from '../../block-device.ts'
import type { DiskImage, NamedBacking, OpenImageOptions } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import type { Below } from '../blocks/block-disk.ts'
import { belowAt } from '../blocks/below-at.ts'
import { damaged, unsupported } from '../blocks/faults.ts'
import { fileWindow } from '../blocks/file-window.ts'
import { joinedDisk } from '../blocks/joined-disk.ts'
import { requestGuard } from '../../request-guard.ts'
import { rawDevice } from '../raw/raw-device.ts'
import {
  isDescriptor,
  LARGEST_DESCRIPTOR,
  newContentId,
  NO_PARENT,
  parseDescriptor,
  type VmdkDescriptor,
  type VmdkExtent,
} from './descriptor.ts'
import { readSparseHeader, sparseExtent } from './sparse-extent.ts'
import { COWD_MAGIC, isSparse, SECTOR, view, type SparseHeader } from './sparse-header.ts'

/** Bytes of grain tables in memory, for all extents of a disk. */
const CACHE_BYTES = 4 * 1024 * 1024
const LEAST_CACHE_BYTES = 16 * 1024

export interface OpenVmdkOptions extends OpenImageOptions {
  /**
   * Opens an extent, for writing where the image itself is open for that. The name has no path; what it is a link to is the opener's to judge. The image
   * owns (and closes) the file.
   * @throws AppError what is wrong with it
   */
  openExtent(name: string): Promise<ByteFile>
}

export interface VmdkImage extends DiskImage {
  /** Eight hexadecimal digits, as it was opened: what a layer above has noted as its parent's. */
  readonly contentId: string
}

export function isVmdk(head: Uint8Array): boolean {
  return isSparse(head) || isDescriptor(head)
}

/**
 * @param file owned by the image from now on; left open when this throws
 * @throws AppError `corrupt`; `unsupported`: a part of a disk, compressed and to be written, of ESX alone, a parent that changed
 */
export async function openVmdk(file: ByteFile, options: OpenVmdkOptions): Promise<VmdkImage> {
  const { path } = file
  const magic = new Uint8Array(4)
  await file.read(0, magic)
  if (view(magic).getUint32(0, true) === COWD_MAGIC)
    throw unsupported(path, 'it is a sparse extent of an old ESX. Export the machine there as OVF, and import that.')
  const header = isSparse(magic) ? await readSparseHeader(file) : null
  const { descriptor, descriptorAt } = await readDescriptor(file, header)
  // What was opened besides the file, to be closed if the rest fails.
  const opened: { close(): Promise<void> }[] = []
  try {
    const backing = namedParent(descriptor, path)
    const parent = backing && (await options.openBacking(backing))
    if (parent) {
      opened.push(parent)
      checkParent(parent, descriptor, path)
    }
    const cacheBytes = Math.max(LEAST_CACHE_BYTES, Math.floor(CACHE_BYTES / descriptor.extents.length))
    const devices: BlockDevice[] = []
    let start = 0
    if (!header) checkFiles(descriptor, path)
    for (const extent of descriptor.extents) {
      const below = parent && belowAt(parent, start)
      const device = header
        ? await sparseExtent(file, header, { sectors: extent.sectors, readOnly: file.readOnly, below, cacheBytes })
        : await openExtent(file, extent, options, below, cacheBytes)
      devices.push(device)
      opened.push(device)
      start += extent.sectors * SECTOR
      if (!Number.isSafeInteger(start)) throw damaged(path, 'its extents are too large together')
    }
    const readOnly = file.readOnly || devices.some((device) => device.info.readOnly)
    const joined = joinedDisk(devices, { size: start, readOnly, format: 'vmdk' }, path)
    const grain = header?.grain
    const details = [
      { label: 'Kind', value: descriptor.createType },
      ...(grain ? [{ label: 'Grain size', value: formatBytes(grain * SECTOR) }] : []),
      ...(descriptor.extents.length > 1 ? [{ label: 'Extents', value: String(descriptor.extents.length) }] : []),
    ]
    return vmdkImage(joined, file, { descriptor, descriptorAt, backing, details, parent, ownsFile: !header })
  } catch (error) {
    for (const other of opened) await other.close().catch(() => {})
    throw error
  }
}

async function readDescriptor(file: ByteFile, header: SparseHeader | null): Promise<{ descriptor: VmdkDescriptor; descriptorAt: number }> {
  if (!header) {
    if (file.size > LARGEST_DESCRIPTOR) throw damaged(file.path, 'it is neither a VMDK with data nor a descriptor')
    const bytes = new Uint8Array(file.size)
    await file.read(0, bytes)
    if (!isDescriptor(bytes)) throw damaged(file.path, 'it is neither a VMDK with data nor a descriptor')
    const descriptor = parseDescriptor(bytes, file.path)
    return { descriptor, descriptorAt: 0 }
  }
  if (header.descriptorSize === 0 || header.descriptorAt === 0)
    throw unsupported(file.path, 'it is one part of a disk. Choose the small .vmdk file beside it that lists all parts.')
  if (header.descriptorSize > LARGEST_DESCRIPTOR || header.descriptorAt + header.descriptorSize > file.size)
    throw damaged(file.path, 'its descriptor is at an impossible place')
  const bytes = new Uint8Array(header.descriptorSize)
  await file.read(header.descriptorAt, bytes)
  const descriptor = parseDescriptor(bytes, file.path)
  // Its name for itself may be an old one.
  if (descriptor.extents.length !== 1 || descriptor.extents[0]!.kind !== 'sparse')
    throw damaged(file.path, 'its descriptor names other extents than the one that it is in')
  return { descriptor, descriptorAt: header.descriptorAt }
}

/** A descriptor in its own disk could be rewritten by the guest; one file as two sparse extents would have two writers. */
function checkFiles(descriptor: VmdkDescriptor, path: string): void {
  const names = new Set<string>()
  for (const { kind, file } of descriptor.extents) {
    if (kind === 'zero') continue
    if (file === basename(path)) throw damaged(path, 'its descriptor names itself as an extent')
    if (kind === 'sparse' && names.has(file)) throw damaged(path, `its descriptor names the extent “${file}” twice`)
    names.add(file)
  }
}

function namedParent(descriptor: VmdkDescriptor, path: string): NamedBacking | null {
  if (descriptor.parentContentId === NO_PARENT) return null
  if (descriptor.parentHint === '') throw damaged(path, 'it needs a parent and does not name it')
  return { path: descriptor.parentHint, format: 'vmdk' }
}

function checkParent(parent: BlockDevice, descriptor: VmdkDescriptor, path: string): void {
  const { contentId } = parent as Partial<VmdkImage>
  if (contentId !== undefined && contentId !== descriptor.parentContentId)
    throw unsupported(
      path,
      `its parent “${descriptor.parentHint}” was changed since (its content ID is ${contentId}, not ${descriptor.parentContentId}). Restore the parent as it was.`,
    )
}

async function openExtent(
  image: ByteFile,
  extent: VmdkExtent,
  options: OpenVmdkOptions,
  below: Below | null,
  cacheBytes: number,
): Promise<BlockDevice> {
  const readOnly = image.readOnly || extent.access === 'RDONLY'
  if (extent.kind === 'zero') return zeroExtent(extent.sectors * SECTOR, image.path)
  const file = await options.openExtent(extent.file)
  try {
    if (extent.kind === 'sparse') {
      const header = await readSparseHeader(file)
      return await sparseExtent(file, header, { sectors: extent.sectors, readOnly: readOnly || file.readOnly, below, cacheBytes })
    }
    const size = extent.sectors * SECTOR
    if (extent.offset + size > file.size)
      throw damaged(file.path, `it is shorter than the ${extent.offset + size} bytes that its descriptor says`)
    return rawDevice(fileWindow(readOnly ? { ...file, readOnly, size: file.size } : file, extent.offset, size))
  } catch (error) {
    await file.close()
    throw error
  }
}

/** An extent without file: reads as zeroes, takes no writes. */
function zeroExtent(size: number, path: string): BlockDevice {
  const refuse = (): Promise<never> =>
    Promise.reject(new AppError('denied', `A part of the disk “${path}” has no file to be written into.`))
  return {
    info: { size, readOnly: true, format: 'vmdk' },
    read: async (_offset, into) => void into.fill(0),
    write: refuse,
    writeZeroes: refuse,
    discard: refuse,
    flush: async () => {},
    extent: async (_offset, length) => ({ length, state: 'zero' }),
    close: async () => {},
  }
}

interface VmdkParts {
  descriptor: VmdkDescriptor
  descriptorAt: number
  backing: NamedBacking | null
  details: DiskImage['details']
  parent: BlockDevice | null
  /** The descriptor's file is apart from the extents, which close their own. */
  ownsFile: boolean
}

function vmdkImage(disk: BlockDevice, file: ByteFile, parts: VmdkParts): VmdkImage {
  const { descriptor, descriptorAt, parent } = parts
  let renewed: Promise<void> | null = disk.info.readOnly || descriptor.contentIdAt === null ? Promise.resolve() : null
  let closing: Promise<void> | null = null
  /** Before the first change, durably: a layer above must never take changed bytes for its parent's. */
  const renew = (): Promise<void> =>
    (renewed ??= (async () => {
      await file.write(descriptorAt + descriptor.contentIdAt!, new TextEncoder().encode(newContentId()))
      await file.sync()
    })().catch((error: unknown) => {
      renewed = null
      throw error
    }))
  const guard = requestGuard(disk.info, file.path)
  return {
    ...disk,
    backing: parts.backing,
    details: parts.details,
    ...(parts.ownsFile ? { otherFiles: descriptor.extents.flatMap((extent) => (extent.kind === 'zero' ? [] : [extent.file])) } : {}),
    contentId: descriptor.contentId,
    identity: descriptor.contentId,
    ...(parts.backing ? { parentIdentity: descriptor.parentContentId } : {}),
    async write(offset, bytes) {
      guard.writing(offset, bytes.length)
      await renew()
      await disk.write(offset, bytes)
    },
    async writeZeroes(offset, length) {
      guard.writing(offset, length)
      await renew()
      await disk.writeZeroes(offset, length)
    },
    async discard(offset, length) {
      guard.writing(offset, length)
      await renew()
      await disk.discard(offset, length)
    },
    close() {
      guard.end()
      closing ??= (async () => {
        const results = await Promise.allSettled([disk.close(), parts.ownsFile ? file.close() : null, parent?.close()])
        const failed = results.find((result) => result.status === 'rejected')
        if (failed) throw failed.reason
      })()
      return closing
    },
  }
}
