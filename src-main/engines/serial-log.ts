/**
 * The file that keeps a serial port's output for when the machine is off. It reads from the port's log in memory at its own pace, so that
 * a slow disk costs neither time nor memory. Where it cannot be written (a full disk) it is tried again later, and goes on where it was, as far
 * as the memory reaches back. When full, the file becomes `<name>.1` and a new one begins: at least the last LOG_BYTES are kept.
 */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ByteLog } from '../../src-shared/base/byte-log.ts'
import { KiB, MiB } from '../../src-shared/base/units.ts'
import { asAppError } from '../../src-shared/errors/app-error.ts'

/** Size at which a log file is put aside, bytes. */
export const LOG_BYTES = 1 * MiB
const CHUNK = 64 * KiB
/** ms after a failure before the file is tried again. */
const RETRY = 5000

export class SerialLog {
  #path: string
  #log: ByteLog
  #offset: number
  #size: number | null = null
  #writing: Promise<void> | null = null
  /** When writing last failed, performance.now(); null where it did not. */
  #failedAt: number | null = null

  constructor(path: string, log: ByteLog) {
    this.#path = path
    this.#log = log
    this.#offset = log.end
  }

  /** There is more to write. Returns at once. */
  more(): void {
    if (this.#failedAt === null || performance.now() - this.#failedAt >= RETRY) this.#begin()
  }

  #begin(): void {
    this.#writing ??= this.#write()
      .then(() => {
        this.#failedAt = null
      })
      .catch((error: unknown) => {
        // The machine runs on without its log; the reason is said once, however often it is tried.
        if (this.#failedAt === null) console.error(asAppError(error, `Writing the serial log “${this.#path}”`).message)
        this.#failedAt = performance.now()
      })
      .finally(() => {
        this.#writing = null
      })
  }

  /** Resolves when everything printed so far is in the file, or it was tried in vain. */
  async drain(): Promise<void> {
    await this.#writing
    while (this.#offset < this.#log.end) {
      this.#begin()
      await this.#writing
      if (this.#failedAt !== null) return
    }
  }

  async #write(): Promise<void> {
    if (this.#size === null) {
      // Not recursive: a bundle that was deleted while its machine runs does not come back by this.
      await mkdir(dirname(this.#path)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
      this.#size = await stat(this.#path).then(
        (found) => found.size,
        () => 0,
      )
    }
    while (this.#offset < this.#log.end) {
      const { offset, bytes } = this.#log.read(this.#offset, CHUNK)
      if (this.#size > 0 && this.#size + bytes.length > LOG_BYTES) {
        await rename(this.#path, `${this.#path}.1`)
        this.#size = 0
      }
      try {
        await appendFile(this.#path, bytes)
      } catch (error) {
        await this.#notePart(offset, this.#size)
        throw error
      }
      this.#offset = offset + bytes.length
      this.#size += bytes.length
    }
  }

  /** A disk that is full takes what still fits: that is not written twice. */
  async #notePart(offset: number, before: number): Promise<void> {
    this.#size = null
    const now = await stat(this.#path).catch(() => null)
    if (now) this.#offset = offset + Math.max(0, now.size - before)
  }
}
