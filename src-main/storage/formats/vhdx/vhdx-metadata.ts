/** The metadata region of a VHDX: [MS-VHDX] 2.6. */
import { damaged, unsupported } from '../blocks/faults.ts'
import { guid, text, view } from './vhdx-header.ts'

const MiB = 1024 * 1024
/** Bytes: the table, before the items (2.6.1). */
export const METADATA_TABLE_SIZE = 64 * 1024
const MOST_ENTRIES = 2047
/** Bytes of one item. */
const LARGEST_ITEM = MiB
const LARGEST_DISK = 64n * 1024n ** 4n
/** Pairs of a parent locator: five are defined. */
const MOST_LOCATOR_PAIRS = 64

const FILE_PARAMETERS = 'caa16737-fa36-4d43-b3b6-33f0aa44e76b'
const DISK_SIZE = '2fa54224-cd1b-4876-b211-5dbed83bf4b8'
const LOGICAL_SECTOR = '8141bf1d-a96f-4709-ba47-f233a8faab5f'
const PARENT_LOCATOR = 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c'
/** Known, and of no use here: the SCSI identity, and the physical sector size. */
const OTHERS = ['beca12ab-b2e6-4523-93ef-c309e000c746', 'cda348c7-445d-4471-9cc9-e9885251c556']

export interface VhdxMetadata {
  blockSize: number
  fixed: boolean
  hasParent: boolean
  /** Bytes. */
  size: number
  logicalSector: 512 | 4096
}

export interface MetadataItems {
  /** Reads an item, by its offset in the region. */
  read(at: number, length: number): Promise<Uint8Array>
}

interface Item {
  at: number
  length: number
}

/**
 * @param table the region's first 64 KiB; @param length of the region
 * @throws AppError `corrupt`, `unsupported` (an item that must be understood and is not known)
 */
function parseTable(table: Uint8Array, length: number, path: string): Map<string, Item> {
  if (text(table, 0, 8) !== 'metadata') throw damaged(path, 'its metadata has no table')
  const fields = view(table)
  const count = fields.getUint16(10, true)
  if (count > MOST_ENTRIES) throw damaged(path, `its metadata has ${count} items`)
  const items = new Map<string, Item>()
  for (let index = 1; index <= count; index++) {
    const entry = index * 32
    const id = guid(table, entry)
    const item = { at: fields.getUint32(entry + 16, true), length: fields.getUint32(entry + 20, true) }
    const known = [FILE_PARAMETERS, DISK_SIZE, LOGICAL_SECTOR, PARENT_LOCATOR, ...OTHERS].includes(id)
    if (!known && fields.getUint32(entry + 24, true) & 4) throw unsupported(path, `it needs a feature that is not known here (item ${id}).`)
    if (!known) continue
    if (item.length > LARGEST_ITEM || (item.length > 0 && (item.at < METADATA_TABLE_SIZE || item.at + item.length > length)))
      throw damaged(path, 'an item of its metadata is at an impossible place')
    if (items.has(id)) throw damaged(path, 'an item of its metadata is there twice')
    items.set(id, item)
  }
  return items
}

/** @throws AppError `corrupt`, `unsupported` */
export async function parseMetadata(table: Uint8Array, length: number, source: MetadataItems, path: string) {
  const items = parseTable(table, length, path)
  const item = async (id: string, least: number, what: string): Promise<DataView> => {
    const found = items.get(id)
    if (!found || found.length < least) throw damaged(path, `its metadata does not say ${what}`)
    return view(await source.read(found.at, found.length))
  }
  const parameters = await item(FILE_PARAMETERS, 8, 'how large its blocks are')
  const blockSize = parameters.getUint32(0, true)
  if (blockSize < MiB || blockSize > 256 * MiB || (blockSize & (blockSize - 1)) !== 0)
    throw damaged(path, `its blocks have ${blockSize} bytes`)
  const logicalSector = (await item(LOGICAL_SECTOR, 4, 'how large its sectors are')).getUint32(0, true)
  if (logicalSector !== 512 && logicalSector !== 4096) throw damaged(path, `its sectors have ${logicalSector} bytes`)
  const size = (await item(DISK_SIZE, 8, 'how large its disk is')).getBigUint64(0, true)
  if (size === 0n || size > LARGEST_DISK || size % BigInt(logicalSector) !== 0n) throw damaged(path, `its disk cannot have ${size} bytes`)
  const flags = parameters.getUint32(4, true)
  const metadata: VhdxMetadata = { blockSize, fixed: (flags & 1) !== 0, hasParent: (flags & 2) !== 0, size: Number(size), logicalSector }
  return {
    metadata,
    /** What the locator of a differencing disk says of its parent's path; empty where it says nothing. */
    async parentPath(): Promise<string> {
      const found = items.get(PARENT_LOCATOR)
      return found ? parentPath(await source.read(found.at, found.length)) : ''
    },
  }
}

/** 2.6.2.6: keys and values, UTF-16, little endian. */
function parentPath(locator: Uint8Array): string {
  if (locator.length < 20) return ''
  const fields = view(locator)
  const decoder = new TextDecoder('utf-16le')
  const pairs = new Map<string, string>()
  for (let index = 0; index < Math.min(fields.getUint16(18, true), MOST_LOCATOR_PAIRS); index++) {
    const at = 20 + index * 12
    if (at + 12 > locator.length) break
    const part = (from: number, length: number) => decoder.decode(locator.subarray(from, from + length))
    const key = part(fields.getUint32(at, true), fields.getUint16(at + 8, true))
    pairs.set(key, part(fields.getUint32(at + 4, true), fields.getUint16(at + 10, true)))
  }
  return pairs.get('relative_path') ?? pairs.get('absolute_win32_path') ?? pairs.get('volume_path') ?? ''
}
