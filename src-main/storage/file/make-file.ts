/**
 * A new file that appears under its name when it is whole and on disk, or not at all.
 *
 * Theory of operation: nobody knows the file before it has its name, so only the sync at the end counts, and whatever its maker asks for in between is
 * nothing. But a disk that is idle until then has everything to write at the end. So a sync is begun whenever so much more was written, for which nobody
 * waits: the disk writes while more is made. Should one of them fail, the making fails, since the system tells only once.
 */
import { lstat, open, unlink } from 'node:fs/promises'
import { MiB } from '../../../src-shared/base/units.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { takeName, temporaryFor } from '../../files/write-file-atomic.ts'
import type { ByteFile } from './byte-file.ts'
import { byteFile } from './open-byte-file.ts'
import { TrustedSync } from './trusted-sync.ts'

/** For files that nobody else has to read. */
const PRIVATE_MODE = 0o600
/** Bytes after which what was written is sent to the disk. */
const EARLY = 16 * MiB

export interface Replacing {
  /** Called when the new file is on disk, before it takes the name: Windows gives no name away that belongs to an open file. */
  release?(): Promise<void>
}

/**
 * @param fill writes it; closing or syncing the file that it is given does nothing
 * @param replacing a file that has the name gives way to the new one, which gets its permissions; null: it is refused
 * @throws AppError `already-exists`, or the system's reason, or what `fill` throws; the temporary file is gone then
 */
export async function makeFile<T>(path: string, fill: (file: ByteFile) => Promise<T>, replacing: Replacing | null = null): Promise<T> {
  const old = await lstat(path).catch(() => null)
  if (old && !replacing) throw new AppError('already-exists', `There already is something at “${path}”.`, { subject: path })
  const temporary = temporaryFor(path)
  try {
    const handle = await open(temporary, 'wx+', PRIVATE_MODE)
    const file = new FileInMaking(byteFile(handle, path, 0, false))
    let result: T
    try {
      if (old?.isFile()) await handle.chmod(old.mode & 0o777)
      result = await fill(file.lent())
      await file.sync()
    } finally {
      await file.close()
    }
    await replacing?.release?.()
    await takeName(temporary, path)
    return result
  } catch (error) {
    await unlink(temporary).catch(() => {})
    throw error
  }
}

class FileInMaking {
  readonly #file: ByteFile
  readonly #durable: TrustedSync
  /** Bytes written since a sync was begun. */
  #written = 0
  #early: Promise<void> | null = null

  constructor(file: ByteFile) {
    this.#file = file
    this.#durable = new TrustedSync(file)
  }

  /** The file, which stays open when its borrower closes it, and is not waited for when its borrower syncs it. */
  lent(): ByteFile {
    const file = this.#file
    return {
      ...file,
      get size() {
        return file.size
      },
      write: async (offset, bytes) => {
        await file.write(offset, bytes)
        this.#written += bytes.length
        if (this.#written >= EARLY && !this.#early) this.#begin()
      },
      sync: async () => {},
      close: async () => {},
    }
  }

  /** @throws AppError why something did not get to the disk, now or before */
  async sync(): Promise<void> {
    await this.#early
    await this.#durable.sync()
  }

  async close(): Promise<void> {
    await this.#early
    await this.#file.close()
  }

  #begin(): void {
    this.#written = 0
    // The sync at the end tells why.
    const ignored = (): void => {}
    this.#early = this.#durable
      .sync()
      .catch(ignored)
      .then(() => {
        this.#early = null
      })
  }
}
