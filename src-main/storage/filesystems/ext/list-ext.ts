/**
 * The files of an ext2, ext3 or ext4 file system (Linux, Documentation/filesystems/ext4: "Group Descriptors", "Inode Table", "Extent Tree", "Directory
 * Entries"). Theory of operation: from the root, folder after folder; of each folder the blocks are found by its inode's extents or block map, and
 * read as lists of entries: the index that large folders have looks as such a list to those who do not know it. Each file's inode gives its size and times.
 * What the journal still has is read instead of what lies in its place.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { FoundFiles, MAX_DEPTH, MAX_PATH, WorkLimit, type FileList } from '../file-list.ts'
import type { Volume } from '../volume.ts'
import { replayed, type LoggedBlock } from './journal.ts'
import { parseSuperblock, SUPERBLOCK, type Superblock } from './superblock.ts'

const ROOT = 2
const FLAG = { extents: 0x80000, inline: 0x10000000 } as const
const EXTENT_MAGIC = 0xf30a
const MAX_EXTENT_DEPTH = 5
/** An extent of more blocks has room, and no data yet. */
const WRITTEN_EXTENT = 32768
/** Bytes of one folder, and of a journal. */
const MAX_FOLDER = 512 * 1024 * 1024
const MAX_JOURNAL = 2 * 1024 ** 3
const FOLDER_MODE = 0x4000
const MODE_MASK = 0xf000
const DIRECT = 12

interface Inode {
  mode: number
  size: number
  flags: number
  /** Changes with every write and every replacement. */
  stamp: string
  /** i_block. */
  map: DataView<ArrayBuffer>
}

/**
 * @returns null: the volume has no such file system
 * @throws AppError `corrupt`, `unsupported`, `cancelled`, or as the disk
 */
export async function listExt(volume: Volume, signal: AbortSignal): Promise<FileList | null> {
  if (volume.size < SUPERBLOCK.offset + SUPERBLOCK.length) return null
  const superblock = parseSuperblock(await volume.read(SUPERBLOCK.offset, SUPERBLOCK.length))
  if (!superblock) return null
  const reader = new ExtReader(volume, superblock, signal)
  try {
    if (superblock.journal !== 0) await reader.replayJournal()
    const files = await reader.list()
    return {
      kind: 'ext',
      label: superblock.label,
      files,
      note: reader.damaged ? 'Some of its folders are damaged and are left out.' : null,
    }
  } catch (error) {
    if (error instanceof RangeError)
      throw new AppError('corrupt', 'The ext file system points to places where nothing can be.', undefined, error)
    throw error
  }
}

class ExtReader {
  #volume: Volume
  #super: Superblock
  #limit: WorkLimit
  #logged = new Map<number, LoggedBlock>()
  /** A folder was left out. */
  damaged = false

  constructor(volume: Volume, superblock: Superblock, signal: AbortSignal) {
    this.#volume = volume
    this.#super = superblock
    this.#limit = new WorkLimit(signal)
  }

  async replayJournal(): Promise<void> {
    const inode = await this.#inode(this.#super.journal)
    const log = inode ? await this.#blocksOf(inode, Math.min(inode.size, MAX_JOURNAL)) : []
    this.#logged = await replayed(
      this.#volume,
      this.#super.blockSize,
      log.filter((block) => block !== 0),
      this.#limit,
    )
  }

  async list(): Promise<FileList['files']> {
    const found = new FoundFiles()
    const seen = new Set([ROOT])
    const root = await this.#inode(ROOT)
    if (!root || (root.mode & MODE_MASK) !== FOLDER_MODE) throw new AppError('corrupt', 'The root of the ext file system is no folder.')
    const folders: { inode: Inode; path: string; depth: number }[] = [{ inode: root, path: '', depth: 0 }]
    for (let folder = folders.pop(); folder; folder = folders.pop()) {
      if (folder.depth > MAX_DEPTH) throw new AppError('unsupported', 'The folders of the ext file system are too deep.')
      for (const { number, name } of await this.#entries(folder.inode)) {
        this.#limit.step()
        const path = `${folder.path}/${name}`
        if (path.length > MAX_PATH) throw new AppError('unsupported', 'The ext file system has paths that are too long.')
        const inode = await this.#inode(number)
        if (!inode || inode.mode === 0) this.damaged = true
        else if ((inode.mode & MODE_MASK) !== FOLDER_MODE) found.add(path, { size: inode.size, stamp: `${number}/${inode.stamp}` })
        else if (!seen.has(number)) {
          seen.add(number)
          folders.push({ inode, path, depth: folder.depth + 1 })
        }
      }
    }
    return found.files
  }

  async #entries(folder: Inode): Promise<{ number: number; name: string }[]> {
    const found: { number: number; name: string }[] = []
    if ((folder.flags & FLAG.inline) !== 0) {
      // The first entries lie in the inode itself, behind the parent's number; what does not fit there is an attribute, which is not looked for.
      this.#parseEntries(new DataView(folder.map.buffer, folder.map.byteOffset + 4, folder.map.byteLength - 4), found)
      if (folder.size > folder.map.byteLength) this.damaged = true
      return found
    }
    if (folder.size > MAX_FOLDER) throw new AppError('unsupported', 'The ext file system has a folder that is too large.')
    for (const block of await this.#blocksOf(folder, folder.size)) {
      this.#limit.step()
      if (block === 0 || block >= this.#super.blocks) this.damaged = true
      else this.#parseEntries(await this.#block(block), found)
    }
    return found
  }

  #parseEntries(view: DataView<ArrayBuffer>, found: { number: number; name: string }[]): void {
    for (let at = 0; at + 8 <= view.byteLength;) {
      const number = view.getUint32(at, true)
      const stored = view.getUint16(at + 4, true)
      // A block of 64 KiB as one entry.
      const length = stored === 0 || stored === 0xffff ? 65536 : stored
      const nameLength = view.getUint8(at + 6)
      if (length < 8 + nameLength || length % 4 !== 0 || at + length > view.byteLength) {
        this.damaged = true
        return
      }
      const name = decoder.decode(new Uint8Array(view.buffer, view.byteOffset + at + 8, nameLength))
      if (number !== 0 && name !== '' && name !== '.' && name !== '..' && !name.includes('/') && !name.includes('\0'))
        found.push({ number, name })
      at += length
    }
  }

  /** Null: there is no such inode. */
  async #inode(number: number): Promise<Inode | null> {
    const { inodes, inodesPerGroup, inodeSize, descriptorSize, blockSize, firstBlock } = this.#super
    if (number < 1 || number > inodes) return null
    const group = Math.floor((number - 1) / inodesPerGroup)
    const descriptorAt = group * descriptorSize
    const descriptors = await this.#block(firstBlock + 1 + Math.floor(descriptorAt / blockSize))
    const within = descriptorAt % blockSize
    const table =
      descriptors.getUint32(within + 0x08, true) + (descriptorSize >= 64 ? descriptors.getUint32(within + 0x28, true) * 2 ** 32 : 0)
    const at = ((number - 1) % inodesPerGroup) * inodeSize
    const block = table + Math.floor(at / blockSize)
    if (table === 0 || block >= this.#super.blocks) return null
    const view = await this.#block(block)
    const start = at % blockSize
    const u32 = (offset: number): number => view.getUint32(start + offset, true)
    // The nanoseconds are there where the inode says that it is so long.
    const extra = inodeSize >= 256 && view.getUint16(start + 0x80, true) >= 8
    return {
      mode: view.getUint16(start, true),
      size: u32(0x04) + u32(0x6c) * 2 ** 32,
      flags: u32(0x20),
      stamp: `${u32(0x0c)}.${extra ? u32(0x84) : 0}`,
      map: new DataView(view.buffer, view.byteOffset + start + 0x28, 60),
    }
  }

  /** A block of the file system, as it is after the journal. */
  async #block(number: number): Promise<DataView<ArrayBuffer>> {
    const { blockSize } = this.#super
    const logged = this.#logged.get(number)
    const view = await this.#volume.read((logged?.at ?? number) * blockSize, blockSize)
    if (logged?.escaped) view.setUint32(0, 0xc03b3998)
    return view
  }

  /** Blocks of the file system that hold a file's first `size` bytes, in order; 0: a hole. */
  async #blocksOf(inode: Inode, size: number): Promise<number[]> {
    const count = Math.ceil(size / this.#super.blockSize)
    const blocks = new Array<number>(count).fill(0)
    if ((inode.flags & FLAG.extents) !== 0) await this.#fromExtents(inode.map, MAX_EXTENT_DEPTH, blocks)
    else await this.#fromMap(inode.map, blocks)
    return blocks
  }

  async #fromExtents(view: DataView<ArrayBuffer>, deepest: number, blocks: number[]): Promise<void> {
    this.#limit.step()
    const [magic, entries, depth] = [view.getUint16(0, true), view.getUint16(2, true), view.getUint16(6, true)]
    if (magic !== EXTENT_MAGIC || depth > deepest || 12 + entries * 12 > view.byteLength) {
      this.damaged = true
      return
    }
    for (let at = 12; at < 12 + entries * 12; at += 12) {
      const first = view.getUint32(at, true)
      if (depth > 0) {
        const below = view.getUint32(at + 4, true) + view.getUint16(at + 8, true) * 2 ** 32
        if (below === 0 || below >= this.#super.blocks) this.damaged = true
        else await this.#fromExtents(await this.#block(below), depth - 1, blocks)
        continue
      }
      const stored = view.getUint16(at + 4, true)
      const start = view.getUint16(at + 6, true) * 2 ** 32 + view.getUint32(at + 8, true)
      if (stored > WRITTEN_EXTENT) continue
      for (let i = 0; i < stored && first + i < blocks.length; i++) blocks[first + i] = start + i
    }
  }

  /** Twelve blocks, and three trees of one, two and three levels ("Direct/Indirect Block Addressing"). */
  async #fromMap(view: DataView<ArrayBuffer>, blocks: number[]): Promise<void> {
    for (let i = 0; i < Math.min(DIRECT, blocks.length); i++) blocks[i] = view.getUint32(i * 4, true)
    let first = DIRECT
    const each = this.#super.blockSize / 4
    for (let level = 1; level <= 3 && first < blocks.length; level++) {
      await this.#indirect(view.getUint32((DIRECT + level - 1) * 4, true), level, first, blocks)
      first += each ** level
    }
  }

  async #indirect(block: number, level: number, first: number, blocks: number[]): Promise<void> {
    if (block === 0) return
    this.#limit.step()
    if (block >= this.#super.blocks) {
      this.damaged = true
      return
    }
    const view = await this.#block(block)
    const each = this.#super.blockSize / 4
    const span = each ** (level - 1)
    for (let i = 0; i < each && first + i * span < blocks.length; i++) {
      const below = view.getUint32(i * 4, true)
      if (level === 1) blocks[first + i] = below
      else await this.#indirect(below, level - 1, first + i * span, blocks)
    }
  }
}

const decoder = new TextDecoder()
