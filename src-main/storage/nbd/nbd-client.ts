/**
 * Requests to an NBD server that may go away and come back. Theory of operation: what has no reply when a connection ends is asked again on the next one;
 * nothing of it was told to be done, and to do it twice does no harm, because requests that touch the same bytes are never under way together (see
 * request-order.ts). For RECONNECT_PATIENCE from the loss on, a new connection is tried for; then everything that waits fails, so that a guest is told
 * of an error and does not hang, and each later request tries once, but not more often than each RETRY_AFTER.
 *
 * Writes that were answered and not flushed may have been in the memory of a server that died. Nobody can tell, so that the next flush fails after a
 * connection was lost with such writes: the guest must not take them for stored.
 */
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { NbdAddress } from '../../../src-shared/model/network-disk.ts'
import { NbdConnection, type Asked, type BlockExtent } from './connection.ts'
import type { NbdExport } from './negotiate.ts'
import { COMMAND } from './protocol.ts'

/** ms for which requests wait for a server that is gone. */
export const RECONNECT_PATIENCE = 10_000
/** ms between two tries: the first, and the most. */
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 1000
const RETRY_AFTER = 1000

export class NbdClient {
  /** As it was first opened; the server's disk stays so. */
  readonly info: NbdExport
  #address: NbdAddress
  #text: string
  #readOnly: boolean
  #connection: NbdConnection
  #patience: number
  /** Under way while there is no connection. */
  #reconnecting: Promise<void> | null = null
  #failedAt = -Infinity
  /** Writes that were answered since the last flush. */
  #unflushed = 0
  /** Some of them went with a connection. */
  #doubtful = false
  #closed = false
  #abort = new AbortController()

  private constructor(address: NbdAddress, text: string, readOnly: boolean, connection: NbdConnection, patience: number) {
    this.#address = address
    this.#text = text
    this.#readOnly = readOnly
    this.#connection = connection
    this.#patience = patience
    this.info = connection.info
  }

  /**
   * @param text the address, for sentences
   * @throws AppError as NbdConnection.open; `denied` where the disk is to be written and the server serves it for reading
   */
  static async open(address: NbdAddress, text: string, readOnly: boolean, patience = RECONNECT_PATIENCE): Promise<NbdClient> {
    const connection = await NbdConnection.open(address, text)
    try {
      if (!readOnly) refuseReadOnly(connection.info, text)
      return new NbdClient(address, text, readOnly, connection, patience)
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  /** @throws AppError: the server's refusal, or that it is gone */
  async ask(asked: Asked): Promise<BlockExtent[]> {
    for (;;) {
      const connection = await this.#connected()
      const outcome = await connection.ask(asked)
      if (outcome.kind === 'done') {
        if (asked.payload || asked.command === COMMAND.writeZeroes) this.#unflushed++
        return outcome.extents
      }
      if (outcome.kind === 'refused') throw outcome.error
      const { over } = connection
      // One that breaks the protocol would break it again.
      if (over?.code === 'corrupt') throw over
    }
  }

  /** @throws AppError `io` where something that was written before may be lost */
  async flush(): Promise<void> {
    this.#sayDoubtful()
    if (!this.info.canFlush) return
    const before = this.#unflushed
    await this.ask({ command: COMMAND.flush, offset: 0, length: 0 })
    // The connection may have been another one in between.
    this.#sayDoubtful()
    this.#unflushed -= before
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#abort.abort()
    await this.#reconnecting?.catch(() => {})
    await this.#connection.close()
  }

  #sayDoubtful(): void {
    if (!this.#doubtful) return
    this.#doubtful = false
    throw new AppError('io', `The connection to “${this.#text}” was lost after writes that were not flushed. They may not be stored.`, {
      subject: this.#text,
    })
  }

  async #connected(): Promise<NbdConnection> {
    if (this.#closed) throw new AppError('disconnected', `The disk “${this.#text}” is closed.`, { subject: this.#text })
    const { over } = this.#connection
    if (!over) return this.#connection
    if (over.code === 'corrupt') throw over
    if (this.#unflushed > 0 && this.info.canFlush) this.#doubtful = true
    this.#unflushed = 0
    this.#reconnecting ??= this.#reconnect().finally(() => (this.#reconnecting = null))
    await this.#reconnecting
    return this.#connection
  }

  async #reconnect(): Promise<void> {
    const begun = performance.now()
    const once = this.#failedAt !== -Infinity
    if (begun - this.#failedAt < RETRY_AFTER) throw this.#connection.over!
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        const connection = await NbdConnection.open(this.#address, this.#text)
        const changed = this.#changeOf(connection.info)
        if (changed) {
          await connection.close()
          throw changed
        }
        this.#connection = connection
        this.#failedAt = -Infinity
        return
      } catch (error) {
        const over = performance.now() - begun + pause > this.#patience
        if (once || over || this.#closed || asAppError(error).code === 'corrupt') {
          this.#failedAt = performance.now()
          throw error
        }
        await rest(pause, this.#abort.signal)
      }
    }
  }

  /** What came back must be the disk that went. */
  #changeOf(now: NbdExport): AppError | null {
    const { size, minBlock } = this.info
    const same = now.size === size && now.minBlock <= minBlock && (this.#readOnly || !now.readOnly)
    if (same && this.info.structured === now.structured) return null
    return new AppError('corrupt', `“${this.#text}” came back as another disk, and is not used any more.`, { subject: this.#text })
  }
}

function refuseReadOnly({ readOnly }: NbdExport, text: string): void {
  if (readOnly)
    throw new AppError(
      'denied',
      `The server of “${text}” lets it be read only. Make the disk read-only, or let the server be written to.`,
      { subject: text },
    )
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
