/**
 * The file that keeps a serial port's output for when the machine is off. It reads from the port's log in memory at its own pace, so that
 * a slow disk costs neither time nor memory. When full, the file becomes `<name>.1` and a new one begins: at least the last LOG_BYTES are kept.
 */
import { appendFile, mkdir, rename, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { ByteLog } from '../../src-shared/base/byte-log.ts'
import { KiB, MiB } from '../../src-shared/base/units.ts'
import { asAppError } from '../../src-shared/errors/app-error.ts'

/** Size at which a log file is put aside, bytes. */
export const LOG_BYTES = 1 * MiB
const CHUNK = 64 * KiB

export class SerialLog {
  #path: string
  #log: ByteLog
  #offset: number
  #size: number | null = null
  #writing: Promise<void> | null = null
  #failed = false

  constructor(path: string, log: ByteLog) {
    this.#path = path
    this.#log = log
    this.#offset = log.end
  }

  /** There is more to write. Returns at once. */
  more(): void {
    if (this.#failed) return
    this.#writing ??= this.#write()
      .catch((error: unknown) => {
        // The machine runs on without its log; the reason is said once.
        this.#failed = true
        console.error(asAppError(error, `Writing the serial log “${this.#path}”`).message)
      })
      .finally(() => {
        this.#writing = null
      })
  }

  /** Resolves when everything printed so far is in the file (or writing failed). */
  async drain(): Promise<void> {
    while (!this.#failed && (this.#writing || this.#offset < this.#log.end)) {
      this.more()
      await this.#writing
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
      await appendFile(this.#path, bytes)
      this.#offset = offset + bytes.length
      this.#size += bytes.length
    }
  }
}
