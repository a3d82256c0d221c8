/**
 * VHD, of Virtual PC, Hyper-V and Azure: fixed and dynamic disks, read and written (Microsoft, "Virtual Hard Disk Image Format Specification", version
 * 1.0). Theory of operation: a fixed disk is the raw disk followed by a footer. A dynamic one is a copy of the footer, a header, a table of blocks, the
 * blocks in any order (each after its sector bitmap), and the footer. A new block takes the footer's place, and the footer moves
 * behind it; should that fail half way, the copy at the beginning stands in, and the next who opens the file for writing puts it right.
 */
import { formatBytes } from '../../../../src-shared/base/units.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import type { BlockDevice } from '../../block-device.ts'
import type { DiskImage, OpenImageOptions } from '../../disk-image.ts'
import type { ByteFile } from '../../file/byte-file.ts'
import { belowAt } from '../blocks/below-at.ts'
import { blockDisk, UNALLOCATED, type BlockGrowth } from '../blocks/block-disk.ts'
import { EntryTable } from '../blocks/entry-table.ts'
import { checkedSize, damaged, unsupported } from '../blocks/faults.ts'
import { fileWindow } from '../blocks/file-window.ts'
import { rawDevice } from '../raw/raw-device.ts'
import { sectorBitmaps } from './sector-bitmaps.ts'
import {
  buildDynamicHeader,
  buildFooter,
  DYNAMIC_HEADER_SIZE,
  FOOTER_SIZE,
  LARGEST_DISK,
  parseDynamicHeader,
  parseFooter,
  type DynamicHeader,
  type VhdFooter,
} from './vhd-footer.ts'

const SECTOR = 512
const ENTRY_UNALLOCATED = 0xffffffff
/** Entries of a page of the block table. */
const PAGE_ENTRIES = 16_384
/** Bytes: the block size of every program of Microsoft's. */
const NEW_BLOCK_SIZE = 2 * 1024 * 1024
/** Virtual PC before 2004 left out the footer's last byte. */
const OLD_FOOTER_SIZE = 511

/**
 * @param file owned by the image from now on; left open when this throws
 * @throws AppError `corrupt`, `unsupported` (a differencing disk to be written, or whose parent nobody names)
 */
export async function openVhd(file: ByteFile, options: OpenImageOptions): Promise<DiskImage> {
  const found = await readFooter(file)
  const dynamic = await loadDynamic(file, found)
  const parent = dynamic && (await parentOf(file, dynamic, options))
  return dynamic ? dynamicDisk(file, dynamic, parent) : fixedDisk(file, found)
}

/** @returns null for a disk that is whole, and for one that is to be opened without its parent */
async function parentOf(file: ByteFile, { header, footer }: DynamicParts, { openParent }: OpenImageOptions): Promise<BlockDevice | null> {
  if (footer.kind !== 'differencing') return null
  if (openParent && file.readOnly) return openParent(header.parentId)
  throw unsupported(
    file.path,
    `it is a differencing disk and needs its parent “${header.parentName}”. Import the machine by its .vbox file; or merge it into its parent in Hyper-V (Edit Disk), or convert it, and use the result.`,
  )
}

export interface FoundFooter {
  bytes: Uint8Array<ArrayBuffer>
  footer: VhdFooter
  /** null: there is none at the end, this is the copy. */
  atEnd: number | null
}

/** The footer at the end, or where that is damaged its copy at the beginning. */
export async function readFooter(file: ByteFile): Promise<FoundFooter> {
  for (const length of [FOOTER_SIZE, OLD_FOOTER_SIZE]) {
    const at = file.size - length
    if (at < 0) continue
    const bytes = new Uint8Array(FOOTER_SIZE)
    await file.read(at, bytes)
    const footer = parseFooter(bytes, file.path)
    if (footer) return { bytes, footer, atEnd: at }
  }
  const bytes = new Uint8Array(FOOTER_SIZE)
  await file.read(0, bytes)
  const footer = parseFooter(bytes, file.path)
  if (!footer || footer.kind === 'fixed') throw damaged(file.path, 'neither its end nor its beginning has a VHD footer that is whole')
  return { bytes, footer, atEnd: null }
}

function fixedDisk(file: ByteFile, { footer, atEnd }: FoundFooter): DiskImage {
  if (atEnd === null || footer.size > atEnd) throw damaged(file.path, 'its file is shorter than its disk')
  return {
    ...rawDevice(fileWindow(file, 0, footer.size)),
    info: { size: footer.size, readOnly: file.readOnly, format: 'vhd' },
    backing: null,
    identity: footer.id,
    details: [
      { label: 'Kind', value: 'Fixed' },
      { label: 'Made by', value: footer.creator.trim() },
    ],
  }
}

/** What is known of a dynamic disk before its blocks are looked at. */
export interface DynamicParts {
  header: DynamicHeader
  footer: VhdFooter
  footerBytes: Uint8Array<ArrayBuffer>
  /** Where the footer at the end is; null: it is not whole. */
  footerAt: number | null
  table: EntryTable
  /** As blockDisk wants it. */
  place(entry: number, index: number): number
}

/**
 * @returns null for a fixed disk
 * @throws AppError `corrupt`
 */
export async function loadDynamic(file: ByteFile, { bytes, footer, atEnd }: FoundFooter): Promise<DynamicParts | null> {
  if (footer.kind === 'fixed') return null
  const head = new Uint8Array(DYNAMIC_HEADER_SIZE)
  await file.read(footer.headerAt, head)
  const header = parseDynamicHeader(head, footer, file.path)
  const { tableAt, blocks, blockSize, bitmapSize } = header
  if (tableAt + blocks * 4 > file.size) throw damaged(file.path, 'its block table reaches past the end of the file')
  const table = new EntryTable(file, {
    count: blocks,
    pageEntries: PAGE_ENTRIES,
    entryBytes: 4,
    copies: (page) => [tableAt + page * PAGE_ENTRIES * 4],
    absent: ENTRY_UNALLOCATED,
    decode: (page, at) => page.getUint32(at),
    encode: (page, at, entry) => page.setUint32(at, entry),
  })
  const place = (entry: number, index: number): number => {
    if (entry === ENTRY_UNALLOCATED) return UNALLOCATED
    const at = entry * SECTOR
    if (at < FOOTER_SIZE || (file.readOnly && at + bitmapSize + blockSize > file.size))
      throw damaged(file.path, `block ${index} is said to be at ${at}, where none can be`)
    return at + bitmapSize
  }
  return { header, footer, footerBytes: bytes, footerAt: atEnd, table, place }
}

async function dynamicDisk(file: ByteFile, parts: DynamicParts, parent: BlockDevice | null): Promise<DiskImage> {
  const { header, footer, table, place } = parts
  const { blocks, blockSize, bitmapSize } = header
  const below = parent && belowAt(parent)
  const disk = blockDisk({
    file,
    below,
    ...(parent ? { closeBelow: () => parent.close() } : {}),
    info: { size: footer.size, readOnly: file.readOnly, format: 'vhd' },
    blockSize,
    table,
    place,
    partial: sectorBitmaps(file, blocks, blockSize, bitmapSize, below),
    growth: file.readOnly ? null : await vhdGrowth(file, parts),
    details: [
      { label: 'Kind', value: footer.kind === 'differencing' ? 'Differencing' : 'Dynamic' },
      { label: 'Block size', value: formatBytes(blockSize) },
      { label: 'Made by', value: footer.creator.trim() },
    ],
  })
  return { ...disk, identity: footer.id, ...(footer.kind === 'differencing' ? { parentIdentity: header.parentId } : {}) }
}

/** Bytes: after header, table and footer's copy. */
export function firstBlock({ tableAt, blocks }: DynamicHeader, footer: VhdFooter): number {
  return Math.ceil(Math.max(tableAt + blocks * 4, footer.headerAt + DYNAMIC_HEADER_SIZE, FOOTER_SIZE) / SECTOR) * SECTOR
}

/**
 * Looks through the whole table for the end of the blocks; puts the footer right where it is not there.
 * @throws AppError `corrupt`: blocks lie over each other, so that a write to one would change another
 */
async function vhdGrowth(file: ByteFile, { header, footer, footerBytes, footerAt: found, table }: DynamicParts): Promise<BlockGrowth> {
  const { blocks, blockSize, bitmapSize } = header
  const room = bitmapSize + blockSize
  const entries = new Uint32Array(blocks)
  let used = 0
  for (let index = 0; index < blocks; index++) {
    const entry = table.peek(index) ?? (await table.get(index))
    if (entry === ENTRY_UNALLOCATED) continue
    if (entry * SECTOR + room > file.size) throw damaged(file.path, `block ${index} reaches past the end of the file`)
    entries[used++] = entry
  }
  const sorted = entries.subarray(0, used).sort()
  let end = firstBlock(header, footer)
  for (const entry of sorted) {
    if (entry * SECTOR < end) throw damaged(file.path, 'some of its blocks lie over each other')
    end = entry * SECTOR + room
  }
  let footerAt = found !== null && found % SECTOR === 0 && found >= end ? found : null
  const growth: BlockGrowth = {
    zeroEntry: null,
    pristineFrom: 0,
    allocate(): number {
      if (end / SECTOR >= ENTRY_UNALLOCATED) throw new AppError('no-space', `The disk image “${file.path}” has no room for another block.`)
      const entry = end / SECTOR
      end += room
      return entry
    },
    begin: (at) => file.write(at - bitmapSize, new Uint8Array(bitmapSize).fill(0xff)),
    async prepare() {
      const to = end
      if (footerAt === to) return
      await file.write(to, footerBytes)
      footerAt = to
    },
  }
  if (footerAt !== null) end = footerAt
  else {
    // What a crash left after the last block is nobody's.
    if (file.size > end + FOOTER_SIZE) await file.truncate(end + FOOTER_SIZE)
    await growth.prepare()
    await file.sync()
  }
  growth.pristineFrom = file.size
  return growth
}

/**
 * Writes an image without data into an empty file, durably. The file stays open and the caller's.
 * @param choice.size bytes, a multiple of 512; @param choice.kind `dynamic` unless it says so
 * @throws AppError `invalid-input` (the size), or what the file says
 */
export async function createVhd(file: ByteFile, choice: { size: number; kind?: 'fixed' | 'dynamic' }): Promise<void> {
  const size = checkedSize(choice.size, LARGEST_DISK, 'VHD')
  const kind = choice.kind ?? 'dynamic'
  const footer = buildFooter(kind, size)
  if (kind === 'fixed') {
    await file.truncate(size)
    await file.write(size, footer)
    await file.sync()
    return
  }
  const blocks = Math.ceil(size / NEW_BLOCK_SIZE)
  const tableAt = FOOTER_SIZE + DYNAMIC_HEADER_SIZE
  const table = new Uint8Array(Math.ceil((blocks * 4) / SECTOR) * SECTOR).fill(0xff)
  await file.write(FOOTER_SIZE, buildDynamicHeader(tableAt, blocks, NEW_BLOCK_SIZE))
  await file.write(tableAt, table)
  await file.write(tableAt + table.length, footer)
  await file.sync()
  // The copy last: without it, a half written file is no VHD.
  await file.write(0, footer)
  await file.sync()
}
