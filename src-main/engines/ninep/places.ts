/**
 * How a file below a shared folder is named to this computer's system so that nothing outside can be meant. Theory of operation: a path is
 * never given to the system whole, since a symbolic link on it would be followed. It is gone element by element, and no element may be a link.
 *
 * On Linux each folder on the way is opened as a place (O_PATH, which opens nothing, neither a device nor a pipe) in the one before, with
 * O_NOFOLLOW; `/proc/self/fd/N/NAME` then is what openat(2) calls NAME in N. Whoever renames or swaps things meanwhile changes what
 * is found, and never where: there is no moment in which a link could be followed.
 *
 * Elsewhere Node has no such calls. There each element is looked at before it is used, and files are opened with O_NOFOLLOW where the system
 * has it. Between the look and the use a folder could be swapped for a link. A guest cannot do that: it can make no links (server.ts). A
 * program of this computer could, which can read the folder's surroundings itself.
 */
import { closeSync, constants, fstat, open as openFile, type BigIntStats } from 'node:fs'
import { lstat, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Refusal } from './errno.ts'
import type { Path } from './file-tree.ts'

/** A folder, for as long as it is not disposed. */
export interface Place extends Disposable {
  /** A path of the folder itself. */
  readonly self: string
  /** A path of what has this name in it. Calls that do not follow a link at a path's end do not leave the folder by it. */
  of(name: string): string
}

/** A file, folder or other thing that is no link, for as long as it is not disposed. */
export interface Target extends Disposable {
  /** A path that leads to it and nothing else, also for calls that follow links. */
  readonly self: string
  readonly stats: BigIntStats
  /** To be added where it is opened. */
  readonly flags: number
}

export interface Places {
  folder(path: Path): Promise<Place>
  /** @throws Refusal ELOOP where it is a link */
  target(path: Path): Promise<Target>
  close(): void
}

/** Linux's O_PATH; Node has no name for it. */
const O_PATH = 0o10000000
/** Bare numbers, as closing a place never waits for a disk: a promise for it would cost more than all the rest. */
const open: (path: string, flags: number) => Promise<number> = promisify(openFile)
const stat: (file: number, options: { bigint: true }) => Promise<BigIntStats> = promisify(fstat)

/** @param folder followed where it is a link: it was granted by that name */
export async function openPlaces(folder: string, platform: NodeJS.Platform): Promise<Places> {
  if (platform !== 'linux') return new CheckedPlaces(await realpath(folder))
  const root = await open(folder, O_PATH | constants.O_DIRECTORY)
  // In a container without /proc.
  if (await lstat(`/proc/self/fd/${root}`).catch(() => null)) return new PinnedPlaces(root)
  closeSync(root)
  return new CheckedPlaces(await realpath(folder))
}

class PinnedPlaces implements Places {
  #root: number
  #closed = false

  constructor(root: number) {
    this.#root = root
  }

  async folder(path: Path): Promise<Place> {
    // Its number may mean another file by now.
    if (this.#closed) throw new Refusal('ENOENT')
    let at = this.#root
    for (const name of path) {
      const before = at
      try {
        at = await open(`/proc/self/fd/${before}/${name}`, O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW)
      } finally {
        this.#release(before)
      }
    }
    const folder = `/proc/self/fd/${at}`
    return { self: `${folder}/.`, of: (name) => `${folder}/${name}`, [Symbol.dispose]: () => this.#release(at) }
  }

  async target(path: Path): Promise<Target> {
    const name = path.at(-1)
    using folder = await this.folder(path.slice(0, -1))
    const file = await open(name === undefined ? folder.self : folder.of(name), O_PATH | constants.O_NOFOLLOW)
    try {
      const stats = noLink(await stat(file, { bigint: true }))
      return { self: `/proc/self/fd/${file}`, stats, flags: 0, [Symbol.dispose]: () => closeSync(file) }
    } catch (error) {
      closeSync(file)
      throw error
    }
  }

  close(): void {
    if (!this.#closed) closeSync(this.#root)
    this.#closed = true
  }

  #release(place: number): void {
    if (place !== this.#root) closeSync(place)
  }
}

const nothingToClose = (): void => {}

class CheckedPlaces implements Places {
  #root: string

  constructor(root: string) {
    this.#root = root
  }

  async folder(path: Path): Promise<Place> {
    let at = this.#root
    for (const name of path) {
      at = join(at, name)
      if (!(await lstat(at)).isDirectory()) throw new Refusal('ENOTDIR')
    }
    return { self: at, of: (name) => join(at, name), [Symbol.dispose]: nothingToClose }
  }

  async target(path: Path): Promise<Target> {
    const name = path.at(-1)
    const folder = await this.folder(path.slice(0, -1))
    const self = name === undefined ? folder.self : folder.of(name)
    const stats = noLink(await lstat(self, { bigint: true }))
    // Windows has no O_NOFOLLOW.
    return { self, stats, flags: constants.O_NOFOLLOW ?? 0, [Symbol.dispose]: nothingToClose }
  }

  close(): void {}
}

function noLink(stats: BigIntStats): BigIntStats {
  if (stats.isSymbolicLink()) throw new Refusal('ELOOP')
  return stats
}
