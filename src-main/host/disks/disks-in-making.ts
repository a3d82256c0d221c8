/**
 * New disks of a machine that is there, so that none is left that nobody asked for.
 *
 * Theory of operation. A machine never names a file that is not there, so its configuration comes last; and a file that it does not name may be somebody’s: the
 * image of a disk that was taken out stays. So what is being made is told apart until it is named, by a hidden folder among the machine’s disks:
 *
 *     disks/.new-<id>/lock          who makes them (bundle-lock.ts)
 *     disks/.new-<id>/made.json     files that have taken their names, as they were then; written before each takes its own
 *     disks/.new-<id>/*.qcow2       files that have not
 *
 * It goes when the configuration is written. One whose maker is gone is removed by the next host, and with it the files that it names, unless somebody
 * needs them: then the configuration was written. Nor is one deleted that was written since: it is not what was made.
 */
import { lstat, mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { takeName, writeFileAtomic } from '../../files/write-file-atomic.ts'
import { readJson } from '../files/read-json.ts'
import { bundlePaths, refuseLinks } from '../library/bundle.ts'
import { lockBundle, type BundleLock } from '../library/bundle-lock.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { makeImage, placesFor } from './make-disk.ts'

const PREFIX = '.new-'
const MAX_BYTES = 64 * 1024

const madeSchema = z.array(
  z.object({
    /** In the machine's folder of disks. */
    name: z.string().regex(/^[^./\\][^/\\]*$/),
    /** Of the file: what it is called by the file system, how long it is, and when it was written last. */
    state: z.string(),
  }),
)
type Made = z.output<typeof madeSchema>

export class DisksInMaking {
  readonly #disks: string
  readonly #folder: string
  readonly #lock: BundleLock
  readonly #storage: SharedThread
  #made: Made = []

  private constructor(disks: string, folder: string, lock: BundleLock, storage: SharedThread) {
    this.#disks = disks
    this.#folder = folder
    this.#lock = lock
    this.#storage = storage
  }

  /** @param bundle the machine's folder; @throws AppError the system's reason */
  static async begin(bundle: string, storage: SharedThread): Promise<DisksInMaking> {
    const { disks } = bundlePaths(bundle)
    await refuseLinks([disks])
    const folder = join(disks, `${PREFIX}${newId()}`)
    try {
      await mkdir(folder, { recursive: true })
      return new DisksInMaking(disks, folder, await lockBundle(lockOf(folder), '“disks”'), storage)
    } catch (error) {
      await rm(folder, { recursive: true, force: true }).catch(() => {})
      throw asAppError(error, 'Making a disk')
    }
  }

  /**
   * @param id the disk's, after which its file is called
   * @returns the file's path inside of the bundle
   * @throws AppError `no-space`, or the system's reason
   */
  async make(id: string, bytes: number): Promise<string> {
    try {
      const file = join(this.#folder, `${id}.qcow2`)
      await makeImage(file, bytes, this.#storage)
      for (const name of placesFor(id)) {
        const path = join(this.#disks, name)
        if (await lstat(path).catch(() => null)) continue
        this.#made.push({ name, state: (await stateOf(file))! })
        await writeFileAtomic(recordOf(this.#folder), JSON.stringify(this.#made))
        await takeName(file, path)
        return `disks/${name}`
      }
    } catch (error) {
      throw asAppError(error, 'Making a disk')
    }
    throw new AppError('already-exists', `There are too many files called “${id}” in “${this.#disks}”. Delete those that nobody needs.`)
  }

  /** They are named, or taken away. Never rejects: what stays is removed by the next host. */
  async end(): Promise<void> {
    await rm(recordOf(this.#folder), { force: true }).catch(() => {})
    await this.#lock.release(lockOf(this.#folder))
    await rm(this.#folder, { recursive: true, force: true }).catch(() => {})
  }
}

/**
 * Removes what killed hosts left of disks that they made; what a living one is making stays.
 * @param refuseNeeded throws where a drive, a snapshot or another image needs the file
 * @returns whether something was there
 * @throws AppError why it cannot be told or removed
 */
export async function removeAbandoned(bundle: string, refuseNeeded: (path: string) => Promise<void>): Promise<boolean> {
  const { disks } = bundlePaths(bundle)
  const names = (await readdir(disks).catch(() => [])).filter((name) => name.startsWith(PREFIX))
  if (names.length === 0) return false
  const folders = names.map((name) => join(disks, name))
  await refuseLinks([disks, ...folders])
  for (const folder of folders) {
    const lock = await lockBundle(lockOf(folder), '“disks”')
    try {
      for (const { name, state } of await readMade(folder)) {
        const path = join(disks, name)
        if ((await stateOf(path)) !== state) continue
        const needed = await refuseNeeded(path).then(
          () => false,
          (error: unknown) => {
            if (asAppError(error).code === 'wrong-state') return true
            throw error
          },
        )
        if (!needed) await rm(path, { force: true })
      }
      await rm(folder, { recursive: true, force: true })
    } finally {
      await lock.release(lockOf(folder))
    }
  }
  return true
}

const lockOf = (folder: string): string => join(folder, 'lock')
const recordOf = (folder: string): string => join(folder, 'made.json')

/** What cannot be read was written by nobody who got to give a file its name. */
async function readMade(folder: string): Promise<Made> {
  const json = await readJson(recordOf(folder), MAX_BYTES).catch(() => null)
  return madeSchema.safeParse(json).data ?? []
}

/** Null: there is no file. */
async function stateOf(path: string): Promise<string | null> {
  const stats = await lstat(path, { bigint: true }).catch(() => null)
  return stats?.isFile() ? [stats.dev, stats.ino, stats.size, stats.mtimeNs].join(':') : null
}
