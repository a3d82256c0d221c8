/**
 * The files of a FAT file system of 12, 16 or 32 bits (Microsoft, "FAT: General Overview of On-Disk Format", 1.03), with the long names of VFAT. Theory of
 * operation: the boot sector says where the table of clusters and the root folder are; how many clusters there are says how wide the table's entries are.
 * A folder is a chain of clusters with entries of 32 bytes; a long name stands in entries before the file's own, the last part first.
 */
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { FoundFiles, MAX_DEPTH, MAX_PATH, WorkLimit, type FileList } from '../file-list.ts'
import type { Volume } from '../volume.ts'

const ENTRY = 32
const ATTRIBUTE = { label: 0x08, folder: 0x10, longName: 0x0f } as const
/** Clusters of one folder: VFAT allows 2 MiB of entries. */
const MAX_FOLDER_BYTES = 2 * 1024 * 1024
const LAST_PART = 0x40
/** Where a part of a long name has its characters. */
const NAME_PLACES = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]

interface Layout {
  bits: 12 | 16 | 32
  clusterSize: number
  clusters: number
  /** Bytes of the volume. */
  table: number
  data: number
  /** Of FAT12 and FAT16. */
  root: { at: number; size: number }
  /** Of FAT32. */
  rootCluster: number
}

/**
 * @returns null: the volume has no such file system
 * @throws AppError `corrupt`, `unsupported`, `cancelled`, or as the disk
 */
export async function listFat(volume: Volume, signal: AbortSignal): Promise<FileList | null> {
  if (volume.size < 512) return null
  const layout = parseBoot(await volume.read(0, 512), volume.size)
  if (!layout) return null
  const reader = new FatReader(volume, layout, signal)
  const files = await reader.list()
  return { kind: 'fat', label: reader.label, files, note: reader.damaged ? 'Some of its folders are damaged and are left out.' : null }
}

function parseBoot(view: DataView<ArrayBuffer>, size: number): Layout | null {
  const jump = view.getUint8(0)
  if (view.getUint16(510) !== 0x55aa || (jump !== 0xeb && jump !== 0xe9)) return null
  const sector = view.getUint16(11, true)
  const perCluster = view.getUint8(13)
  const reserved = view.getUint16(14, true)
  const tables = view.getUint8(16)
  const rootEntries = view.getUint16(17, true)
  const sectors = view.getUint16(19, true) || view.getUint32(32, true)
  const tableSectors = view.getUint16(22, true) || view.getUint32(36, true)
  const isPower = (value: number): boolean => value > 0 && (value & (value - 1)) === 0
  if (!isPower(sector) || sector < 512 || sector > 4096 || !isPower(perCluster)) return null
  if (reserved === 0 || tables === 0 || tables > 4 || tableSectors === 0 || sectors === 0) return null
  const root = { at: (reserved + tables * tableSectors) * sector, size: rootEntries * ENTRY }
  const data = root.at + Math.ceil(root.size / sector) * sector
  const clusterSize = sector * perCluster
  const clusters = Math.floor((Math.min(sectors * sector, size) - data) / clusterSize)
  if (clusters < 1) return null
  const bits = clusters < 4085 ? 12 : clusters < 65525 ? 16 : 32
  // The table has to have an entry for each.
  if (tableSectors * sector * 8 < (clusters + 2) * bits) return null
  if ((bits === 32) !== (rootEntries === 0)) return null
  return { bits, clusterSize, clusters, table: reserved * sector, data, root, rootCluster: bits === 32 ? view.getUint32(44, true) : 0 }
}

interface Found {
  name: string
  attributes: number
  cluster: number
  size: number
  stamp: string
}

class FatReader {
  #volume: Volume
  #layout: Layout
  #limit: WorkLimit
  label = ''
  damaged = false

  constructor(volume: Volume, layout: Layout, signal: AbortSignal) {
    this.#volume = volume
    this.#layout = layout
    this.#limit = new WorkLimit(signal)
  }

  async list(): Promise<FileList['files']> {
    const found = new FoundFiles()
    const { bits, root, rootCluster } = this.#layout
    const seen = new Set([rootCluster])
    const folders: { path: string; depth: number; cluster: number | null }[] = [{ path: '', depth: 0, cluster: null }]
    for (let folder = folders.pop(); folder; folder = folders.pop()) {
      if (folder.depth > MAX_DEPTH) throw new AppError('unsupported', 'The folders of the FAT file system are too deep.')
      const parts =
        folder.cluster === null && bits !== 32 ? [await this.#bytes(root.at, root.size)] : await this.#chain(folder.cluster ?? rootCluster)
      for (const { name, attributes, cluster, size, stamp } of this.#entries(parts)) {
        const path = `${folder.path}/${name}`
        if (path.length > MAX_PATH) throw new AppError('unsupported', 'The FAT file system has paths that are too long.')
        if ((attributes & ATTRIBUTE.folder) === 0) found.add(path, { size, stamp })
        else if (!seen.has(cluster)) {
          seen.add(cluster)
          folders.push({ path, depth: folder.depth + 1, cluster })
        }
      }
    }
    return found.files
  }

  /** The clusters of a folder, one after the other. */
  async #chain(first: number): Promise<DataView<ArrayBuffer>[]> {
    const { clusters, clusterSize, data } = this.#layout
    const parts: DataView<ArrayBuffer>[] = []
    for (let cluster = first; ;) {
      if (cluster < 2 || cluster >= clusters + 2) {
        this.damaged = true
        return parts
      }
      this.#limit.step()
      parts.push(await this.#bytes(data + (cluster - 2) * clusterSize, clusterSize))
      const next = await this.#next(cluster)
      if (next === null) return parts
      if (parts.length * clusterSize >= MAX_FOLDER_BYTES) {
        this.damaged = true
        return parts
      }
      cluster = next
    }
  }

  /** Null: the last one. */
  async #next(cluster: number): Promise<number | null> {
    const { bits, table } = this.#layout
    if (bits === 32) {
      const value = (await this.#bytes(table + cluster * 4, 4)).getUint32(0, true) & 0x0fffffff
      return value >= 0x0ffffff8 ? null : value
    }
    if (bits === 16) {
      const value = (await this.#bytes(table + cluster * 2, 2)).getUint16(0, true)
      return value >= 0xfff8 ? null : value
    }
    const pair = (await this.#bytes(table + Math.floor(cluster * 1.5), 2)).getUint16(0, true)
    const value = cluster % 2 === 0 ? pair & 0xfff : pair >> 4
    return value >= 0xff8 ? null : value
  }

  *#entries(parts: readonly DataView<ArrayBuffer>[]): Generator<Found> {
    let long: string[] = []
    let left = 0
    for (const view of parts)
      for (let at = 0; at + ENTRY <= view.byteLength; at += ENTRY) {
        const first = view.getUint8(at)
        if (first === 0) return
        const attributes = view.getUint8(at + 11)
        if (first === 0xe5) {
          long = []
          left = 0
          continue
        }
        if ((attributes & 0x3f) === ATTRIBUTE.longName) {
          const order = first & 0x1f
          if ((first & LAST_PART) !== 0) {
            long = []
            left = order
          }
          if (order !== left || order === 0) left = -1
          else {
            long.unshift(longPart(view, at))
            left--
          }
          continue
        }
        const short = shortName(view, at)
        const name = left === 0 && long.length > 0 ? long.join('') : short
        long = []
        left = 0
        if ((attributes & ATTRIBUTE.label) !== 0) this.label ||= short
        else if (name !== '.' && name !== '..' && name !== '' && !name.includes('/')) {
          const cluster = view.getUint16(at + 20, true) * 65536 + view.getUint16(at + 26, true)
          const stamp = `${cluster}/${view.getUint32(at + 22, true)}`
          yield { name, attributes, cluster, size: view.getUint32(at + 28, true), stamp }
        }
      }
  }

  async #bytes(offset: number, length: number): Promise<DataView<ArrayBuffer>> {
    if (offset + length > this.#volume.size) throw new AppError('corrupt', 'The FAT file system points to places where nothing can be.')
    return this.#volume.read(offset, length)
  }
}

/** Thirteen characters, less what is behind the end. */
function longPart(view: DataView, at: number): string {
  const codes: number[] = []
  for (const place of NAME_PLACES) {
    const code = view.getUint16(at + place, true)
    if (code === 0 || code === 0xffff) break
    codes.push(code)
  }
  return String.fromCharCode(...codes)
}

/** "FILE.TXT", in lower case where the entry says so (bits 3 and 4 of byte 12, as Windows NT writes it). */
function shortName(view: DataView, at: number): string {
  const bytes = new Uint8Array(view.buffer.slice(view.byteOffset + at, view.byteOffset + at + 11))
  // 0xe5 marks what was deleted: a name that begins with it is written so.
  if (bytes[0] === 0x05) bytes[0] = 0xe5
  const text = (from: number, to: number): string => String.fromCharCode(...bytes.subarray(from, to)).trimEnd()
  const flags = view.getUint8(at + 12)
  const stem = (flags & 0x08) !== 0 ? text(0, 8).toLowerCase() : text(0, 8)
  const ending = (flags & 0x10) !== 0 ? text(8, 11).toLowerCase() : text(8, 11)
  return ending === '' ? stem : `${stem}.${ending}`
}
