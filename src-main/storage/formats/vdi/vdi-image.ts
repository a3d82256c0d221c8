/**
 * VDI, VirtualBox's own format: dynamic and fixed images, read and written. Theory of operation: a header, a block map of 32-bit entries that number
 * the blocks of the data area, and the data area. Blocks are numbered without gaps; the header counts them, and who writes takes the count as
 * the next number (VDICore.h, VDIHEADER1PLUS.cBlocksAllocated). So the count is on disk before an entry uses it (see block-disk.ts): were the
 * entry first, another program would, after a crash in between, give the same block away again.
 */
import type { BlockDevice } from '../../block-device.ts'
import type { DiskImage, OpenImageOptions } from '../../disk-image.ts'
import { formatBytes } from '../../../../src-shared/base/units.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { belowAt } from '../blocks/below-at.ts'
import { blockDisk, UNALLOCATED, ZERO, type BlockGrowth } from '../blocks/block-disk.ts'
import { EntryTable } from '../blocks/entry-table.ts'
import { checkedSize, damaged, unsupported } from '../blocks/faults.ts'
import { ALLOCATED_AT, buildVdiHeader, HEADER_SIZE, MOST_BLOCKS, parseVdiHeader, vdiUuid, type VdiHeader } from './vdi-header.ts'

/** Entries (VDICore.h): never allocated; discarded, which reads as zeroes. Smaller ones number a block. */
const ENTRY_UNALLOCATED = 0xffffffff
const ENTRY_ZERO = 0xfffffffe
/** Entries of a page of the block map. */
const PAGE_ENTRIES = 16_384
/** Bytes: VirtualBox's own block size. */
const NEW_BLOCK_SIZE = 1024 * 1024

/** What is known of an image before its blocks are looked at. */
export interface VdiParts {
  header: VdiHeader
  /** Of the image. */
  uuid: string
  table: EntryTable
  /** As blockDisk wants it. */
  place(entry: number, index: number): number
}

/** @throws AppError `corrupt`, `unsupported` (an undo disk, an older version) */
export async function loadVdi(file: ByteFile): Promise<VdiParts> {
  const head = new Uint8Array(HEADER_SIZE)
  await file.read(0, head)
  const header = parseVdiHeader(head, file.path)
  if (header.mapAt + header.blocks * 4 > file.size) throw damaged(file.path, 'its block map reaches past the end of the file')
  const table = new EntryTable(file, {
    count: header.blocks,
    pageEntries: PAGE_ENTRIES,
    entryBytes: 4,
    copies: (page) => [header.mapAt + page * PAGE_ENTRIES * 4],
    absent: ENTRY_UNALLOCATED,
    decode: (page, at) => page.getUint32(at, true),
    encode: (page, at, entry) => page.setUint32(at, entry, true),
  })
  return {
    header,
    uuid: vdiUuid(head),
    table,
    place(entry, index) {
      if (entry === ENTRY_UNALLOCATED) return UNALLOCATED
      if (entry === ENTRY_ZERO) return ZERO
      const at = header.dataAt + entry * (header.blockSize + header.blockExtra) + header.blockExtra
      if (entry >= header.blocks || (file.readOnly && at >= file.size))
        throw damaged(file.path, `entry ${index} of its block map points to block ${entry}, which is not there`)
      return at
    },
  }
}

/**
 * @param file owned by the image from now on; left open when this throws
 * @throws AppError `corrupt`, `unsupported` (an older version, or one that rests on another which nobody names)
 */
export async function openVdi(file: ByteFile, options: OpenImageOptions): Promise<DiskImage> {
  const parts = await loadVdi(file)
  const { header, uuid, table, place } = parts
  const parent = header.parent === null ? null : await parentOf(file, header.parent, options)
  const disk = blockDisk({
    file,
    below: parent && belowAt(parent),
    ...(parent ? { closeBelow: () => parent.close() } : {}),
    info: { size: header.size, readOnly: file.readOnly, format: 'vdi' },
    blockSize: header.blockSize,
    table,
    place,
    growth: file.readOnly ? null : await vdiGrowth(file, parts),
    details: [
      { label: 'Kind', value: header.parent !== null ? 'Differencing' : header.fixed ? 'Fixed' : 'Dynamic' },
      { label: 'Block size', value: formatBytes(header.blockSize) },
    ],
  })
  return { ...disk, identity: uuid, ...(header.parent === null ? {} : { parentIdentity: header.parent }) }
}

async function parentOf(file: ByteFile, uuid: string, { openParent }: OpenImageOptions): Promise<BlockDevice | null> {
  if (openParent) return openParent(uuid)
  throw unsupported(
    file.path,
    `it is a differencing disk (a snapshot or linked clone) and needs its parent, the VDI with UUID ${uuid}. Import the machine by its .vbox file, or make a copy without parent in VirtualBox (VBoxManage clonemedium) and use that.`,
  )
}

/**
 * Looks through the whole block map, for the numbers that are free: a crash may have left some behind that the header counts.
 * @throws AppError `corrupt`: two entries have one block, so that a write to one would change the other
 */
async function vdiGrowth(file: ByteFile, { header, table, place }: VdiParts): Promise<BlockGrowth> {
  const used = new Uint8Array(Math.ceil(header.blocks / 8))
  const isUsed = (entry: number): boolean => (used[entry >> 3]! & (1 << (entry & 7))) !== 0
  let next = 0
  for (let index = 0; index < header.blocks; index++) {
    const entry = table.peek(index) ?? (await table.get(index))
    if (entry >= ENTRY_ZERO) continue
    if (place(entry, index) >= file.size) throw damaged(file.path, `entry ${index} of its block map points past the end of the file`)
    if (isUsed(entry)) throw damaged(file.path, `two parts of its disk have the same block (${entry})`)
    used[entry >> 3]! |= 1 << (entry & 7)
    next = Math.max(next, entry + 1)
  }
  let gap = 0
  let counted = header.allocated
  const end = (): number => header.dataAt + next * (header.blockSize + header.blockExtra)
  const growth: BlockGrowth = {
    zeroEntry: ENTRY_ZERO,
    pristineFrom: Math.max(file.size, end()),
    allocate(): number {
      while (gap < next && isUsed(gap)) gap++
      if (gap < next) return gap++
      if (next === header.blocks) throw new AppError('no-space', `The disk image “${file.path}” has no block left.`)
      gap++
      return next++
    },
    async prepare(): Promise<void> {
      if (file.size < end()) await file.truncate(end())
      const count = next
      if (counted === count) return
      await file.write(ALLOCATED_AT, countField(count))
      counted = count
    },
  }
  if (counted !== next) {
    await growth.prepare()
    await file.sync()
  }
  return growth
}

/** The header's count of blocks. */
export function countField(count: number): Uint8Array<ArrayBuffer> {
  const field = new Uint8Array(4)
  new DataView(field.buffer).setUint32(0, count, true)
  return field
}

/**
 * Writes a dynamic image without data into an empty file, durably. The file stays open and the caller's.
 * @param choice.size bytes, a multiple of 512
 * @throws AppError `invalid-input` (the size), or what the file says
 */
export async function createVdi(file: ByteFile, choice: { size: number }): Promise<void> {
  const size = checkedSize(choice.size, MOST_BLOCKS * NEW_BLOCK_SIZE, 'VDI')
  const blocks = Math.ceil(size / NEW_BLOCK_SIZE)
  const dataAt = Math.ceil((HEADER_SIZE + blocks * 4) / NEW_BLOCK_SIZE) * NEW_BLOCK_SIZE
  const map = new Uint8Array(Math.min(blocks, 65_536) * 4).fill(0xff)
  for (let entry = 0; entry < blocks; entry += map.length / 4)
    await file.write(HEADER_SIZE + entry * 4, map.subarray(0, Math.min(map.length, (blocks - entry) * 4)))
  await file.truncate(dataAt)
  await file.sync()
  // The header last: without it, a half written file is no VDI.
  await file.write(
    0,
    buildVdiHeader({
      fixed: false,
      parent: null,
      size,
      blockSize: NEW_BLOCK_SIZE,
      blockExtra: 0,
      blocks,
      allocated: 0,
      mapAt: HEADER_SIZE,
      dataAt,
    }),
  )
  await file.sync()
}
