import type { ByteFile } from './byte-file.ts'

/**
 * Makes a file durable. When that failed once, nobody knows what is on disk: the system may have dropped what it could not write, and would
 * claim the next time that all is well (fsync(2) on Linux). So it fails from then on.
 */
export class TrustedSync {
  readonly #file: ByteFile
  #failure: { reason: unknown } | null = null

  constructor(file: ByteFile) {
    this.#file = file
  }

  async sync(): Promise<void> {
    if (this.#failure) throw this.#failure.reason
    try {
      await this.#file.sync()
    } catch (reason) {
      this.#failure = { reason }
      throw reason
    }
  }
}
