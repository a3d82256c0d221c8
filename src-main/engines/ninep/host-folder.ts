/**
 * A folder of this computer as a tree of files for a guest. Its paths go through places.ts, so that nothing outside the folder is reached. Devices,
 * pipes and sockets in it are shown and never opened. The guest sees everything as its own root's; what it makes gets this computer's user
 * and umask, and no set-id bits.
 */
import { constants, type BigIntStats, type Dir } from 'node:fs'
import {
  chmod,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  opendir,
  readlink,
  rename,
  rmdir,
  statfs,
  unlink,
  utimes,
  type FileHandle,
} from 'node:fs/promises'
import { Turns } from '../../../src-shared/base/turns.ts'
import { Refusal } from './errno.ts'
import {
  MODE,
  type Attributes,
  type Change,
  type FileTree,
  type FolderEntry,
  type FolderReader,
  type OpenFile,
  type OpenWish,
  type Path,
  type Space,
} from './file-tree.ts'
import { nameProblem } from './names.ts'
import { openPlaces, type Place, type Places, type Target } from './places.ts'

/** Entries of a folder that are looked at together. */
const BATCH = 64

/**
 * @param platform whose rules for names and paths hold
 * @throws the system's error where the folder cannot be opened
 */
export async function openHostFolder(folder: string, platform: NodeJS.Platform = process.platform): Promise<FileTree> {
  const places = await openPlaces(folder, platform)
  using root = await places.target([])
  return new HostFolder(places, root.stats.dev, platform)
}

class HostFolder implements FileTree {
  #places: Places
  /** The device that the folder itself is on. */
  #device: bigint
  #platform: NodeJS.Platform

  constructor(places: Places, device: bigint, platform: NodeJS.Platform) {
    this.#places = places
    this.#device = device
    this.#platform = platform
  }

  async attributes(path: Path): Promise<Attributes> {
    return this.#in(path, async (entry) => this.#attributesOf(await lstat(entry, { bigint: true })))
  }

  async open(path: Path, wish: OpenWish): Promise<OpenFile> {
    using target = await this.#places.target(this.#checked(path))
    const file = await openFile(target, flagsOf(wish))
    try {
      if (wish.truncate) await file.truncate(0)
    } catch (error) {
      await file.close()
      throw error
    }
    return this.#openFile(file)
  }

  async create(path: Path, mode: number, wish: OpenWish): Promise<OpenFile> {
    const flags = flagsOf(wish) | constants.O_CREAT | constants.O_EXCL
    return this.#in(path, async (entry) => this.#openFile(await open(entry, flags, mode & MODE.permissions)))
  }

  async list(path: Path): Promise<FolderReader> {
    const place = await this.#places.folder(this.#checked(path))
    try {
      // As they are on disk: some may be no UTF-8, which Node would mend into names that do not exist.
      const folder = await opendir(place.self, { bufferSize: BATCH, encoding: 'buffer' as BufferEncoding })
      return new HostFolderReader(folder, place, (stats) => this.#attributesOf(stats))
    } catch (error) {
      place[Symbol.dispose]()
      throw error
    }
  }

  async readLink(path: Path): Promise<string> {
    return this.#in(path, (entry) => readlink(entry))
  }

  async makeFolder(path: Path, mode: number): Promise<void> {
    await this.#in(path, (entry) => mkdir(entry, mode & MODE.permissions))
  }

  async link(from: Path, to: Path): Promise<void> {
    await this.#in(from, async (old) => {
      // macOS follows a link here, and links to folders are for nobody.
      if (!(await lstat(old)).isFile()) throw new Refusal('EPERM')
      await this.#in(to, (entry) => link(old, entry))
    })
  }

  async rename(from: Path, to: Path): Promise<void> {
    await this.#in(from, (old) => this.#in(to, (entry) => rename(old, entry)))
  }

  async remove(path: Path, what: 'file' | 'folder'): Promise<void> {
    await this.#in(path, (entry) => (what === 'folder' ? rmdir(entry) : unlink(entry)))
  }

  async change(path: Path, { mode, bytes, accessed, modified }: Change): Promise<void> {
    if (bytes !== undefined || mode !== undefined) {
      using target = await this.#places.target(this.#checked(path))
      if (bytes !== undefined) {
        const file = await openFile(target, constants.O_WRONLY)
        await file.truncate(bytes).finally(() => file.close())
      }
      if (mode !== undefined) await chmod(target.self, mode & MODE.permissions)
    }
    if (accessed === undefined && modified === undefined) return
    await this.#in(path, async (entry) => {
      const { atimeMs, mtimeMs } = await lstat(entry)
      await (path.length === 0 ? utimes : lutimes)(entry, accessed ?? atimeMs / 1000, modified ?? mtimeMs / 1000)
    })
  }

  async space(): Promise<Space> {
    using root = await this.#places.folder([])
    const { bsize, blocks, bfree, bavail, files, ffree } = await statfs(root.self, { bigint: true })
    return { blockBytes: bsize, blocks, freeBlocks: bfree, availableBlocks: bavail, files, freeFiles: ffree }
  }

  close(): void {
    this.#places.close()
  }

  /** @param work gets a path of the thing itself, for calls that do not follow links */
  async #in<T>(path: Path, work: (entry: string) => Promise<T>): Promise<T> {
    const name = this.#checked(path).at(-1)
    using folder = await this.#places.folder(path.slice(0, -1))
    return await work(name === undefined ? folder.self : folder.of(name))
  }

  #checked(path: Path): Path {
    for (const name of path) {
      const problem = nameProblem(name, this.#platform)
      if (problem !== null) throw new Refusal(problem)
    }
    return path
  }

  #openFile(file: FileHandle): OpenFile {
    return {
      read: async (into, offset) => (await file.read(into, 0, into.length, offset)).bytesRead,
      write: async (bytes, offset) => (await file.write(bytes, 0, bytes.length, offset)).bytesWritten,
      truncate: (bytes) => file.truncate(bytes),
      sync: () => file.sync(),
      attributes: async () => this.#attributesOf(await file.stat({ bigint: true })),
      close: () => file.close(),
    }
  }

  #attributesOf(stats: BigIntStats): Attributes {
    const { ino, dev, nlink, size, blksize, blocks, atimeNs, mtimeNs, ctimeNs } = stats
    return {
      mode: Number(stats.mode) & (MODE.type | MODE.permissions),
      // Files of another file system below the folder may have the same numbers as ours.
      id: dev === this.#device ? ino : BigInt.asUintN(64, ino ^ ((dev + 1n) << 40n)),
      ...{ links: nlink, bytes: size, blockBytes: blksize || 4096n, blocks: blocks ?? (size + 511n) / 512n },
      ...{ accessed: atimeNs, modified: mtimeNs, changed: ctimeNs },
    }
  }
}

function flagsOf({ read, write, append }: OpenWish): number {
  const access = write ? (read ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY
  return access | (append ? constants.O_APPEND : 0)
}

/** Opens a file that is one. */
async function openFile({ self, stats, flags: more }: Target, flags: number): Promise<FileHandle> {
  refuseOthers(stats)
  // Should a pipe have taken its place where that can happen (places.ts), O_NONBLOCK keeps this from waiting for its other end.
  const file = await open(self, flags | more | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0))
  try {
    const now = await file.stat({ bigint: true })
    refuseOthers(now)
    if (now.ino !== stats.ino || now.dev !== stats.dev) throw new Refusal('ESTALE')
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** Devices, pipes and sockets do things when they are opened. */
function refuseOthers(stats: BigIntStats): void {
  if (stats.isDirectory()) throw new Refusal('EISDIR')
  if (!stats.isFile()) throw new Refusal('EACCES')
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

class HostFolderReader implements FolderReader {
  #folder: Dir
  #place: Place
  #attributesOf: (stats: BigIntStats) => Attributes
  #ready: FolderEntry[] = []
  /** Of calls: a place must not be closed while it is used, as its number would soon mean another. */
  #turns = new Turns()

  constructor(folder: Dir, place: Place, attributesOf: (stats: BigIntStats) => Attributes) {
    this.#folder = folder
    this.#place = place
    this.#attributesOf = attributesOf
  }

  next(): Promise<FolderEntry | null> {
    return this.#turns.run(() => this.#next())
  }

  close(): Promise<void> {
    return this.#turns.run(async () => {
      this.#place[Symbol.dispose]()
      await this.#folder.close()
    })
  }

  async #next(): Promise<FolderEntry | null> {
    while (this.#ready.length === 0) {
      const names: Uint8Array[] = []
      while (names.length < BATCH) {
        const entry = await this.#folder.read()
        if (!entry) break
        names.push(entry.name as unknown as Uint8Array)
      }
      if (names.length === 0) return null
      this.#ready = (await Promise.all(names.map((name) => this.#look(name)))).filter((entry) => entry !== null)
    }
    return this.#ready.shift()!
  }

  /** Null for what is gone meanwhile, and for names that the protocol cannot say. */
  async #look(name: Uint8Array): Promise<FolderEntry | null> {
    try {
      const stats = await lstat(this.#place.of(decoder.decode(name)), { bigint: true })
      return { name, attributes: this.#attributesOf(stats) }
    } catch {
      return null
    }
  }
}
