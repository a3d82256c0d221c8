/**
 * Bytes both ways over a wire, with credit. Theory of operation: each end may send as many bytes as the other has granted.
 * A reader grants WINDOW at the start and returns what it consumed in steps of ACK, so at most WINDOW bytes per direction are ever
 * under way or waiting, however slow the reader. Nothing is dropped: a writer waits.
 */
import { concatBytes } from '../base/bytes.ts'
import { Emitter, type Event } from '../base/event.ts'
import { Turns } from '../base/turns.ts'
import { AppError, type WireError } from '../errors/app-error.ts'

/** Bytes that may wait at a reader. */
export const WINDOW = 256 * 1024
/** Consumed bytes after which credit goes back. */
export const ACK = 64 * 1024
/** Largest single message. */
export const MAX_CHUNK = 64 * 1024

export interface ByteStream extends AsyncIterable<Uint8Array<ArrayBuffer>> {
  /** The next bytes, all that wait up to MAX_CHUNK; null after the peer's end. Rejects when the stream was closed with an error. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>
  /** Resolves when the peer's credit covered every byte (it may not have read them yet). Rejects when the stream is closed. */
  write(bytes: Uint8Array): Promise<void>
  /** No more bytes from here; the other direction stays open. */
  end(): void
  /** Ends both directions. Idempotent. */
  close(error?: AppError): void
  readonly closed: boolean
  readonly onClose: Event<AppError | null>
}

/** What a stream needs from the wire under it. */
export interface StreamTransport {
  data(bytes: Uint8Array<ArrayBuffer>): void
  credit(bytes: number): void
  end(): void
  close(error?: WireError): void
}

/** A ByteStream over any transport; `receive*` are called by whoever owns the wire. */
export class WireByteStream implements ByteStream {
  #transport: StreamTransport
  #credit = WINDOW
  #waiting: Uint8Array<ArrayBuffer>[] = []
  #waitingBytes = 0
  #consumed = 0
  #peerEnded = false
  /** `end` was called; writes of before may still wait for credit. */
  #ending = false
  #ended = false
  #closed = false
  #error: AppError | null = null
  #wakeReader: (() => void) | null = null
  #wakeWriter: (() => void) | null = null
  /** Of writers, so that bytes of two writes never mix. */
  #turns = new Turns()
  #onClose = new Emitter<AppError | null>()

  readonly onClose = this.#onClose.event

  constructor(transport: StreamTransport) {
    this.#transport = transport
  }

  get closed(): boolean {
    return this.#closed
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    while (this.#waiting.length === 0) {
      if (this.#error) throw this.#error
      if (this.#peerEnded || this.#closed) return null
      if (this.#wakeReader) throw new AppError('internal', 'A stream was read twice at once.')
      await new Promise<void>((resolve) => (this.#wakeReader = resolve))
      this.#wakeReader = null
    }
    // Counted first and cut off at once: a peer may send byte by byte.
    let count = 1
    let bytes = this.#waiting[0]!.length
    for (let next = this.#waiting[1]; next && bytes + next.length <= MAX_CHUNK; next = this.#waiting[++count]) bytes += next.length
    const taken = this.#waiting.splice(0, count)
    this.#waitingBytes -= bytes
    this.#consumed += bytes
    if (this.#consumed >= ACK && !this.#closed) {
      this.#transport.credit(this.#consumed)
      this.#consumed = 0
    }
    return taken.length === 1 ? taken[0]! : concatBytes(taken)
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array<ArrayBuffer>> {
    for (let bytes = await this.read(); bytes; bytes = await this.read()) yield bytes
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#ending) return Promise.reject(this.#error ?? new AppError('disconnected', 'The stream is closed.'))
    return this.#turns.run(() => this.#send(bytes))
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      if (this.#closed) throw this.#error ?? new AppError('disconnected', 'The stream is closed.')
      if (this.#credit <= 0) {
        await new Promise<void>((resolve) => (this.#wakeWriter = resolve))
        this.#wakeWriter = null
        continue
      }
      const size = Math.min(bytes.length - at, this.#credit, MAX_CHUNK)
      this.#credit -= size
      // A copy of its own, also of a Node Buffer (whose slice would share memory that cannot change hands).
      this.#transport.data(new Uint8Array(bytes.subarray(at, at + size)))
      at += size
    }
  }

  end(): void {
    if (this.#ending || this.#closed) return
    this.#ending = true
    void this.#turns.run(() => {
      if (this.#closed) return
      this.#ended = true
      this.#transport.end()
      if (this.#peerEnded) this.#finish(null)
    })
  }

  close(error?: AppError): void {
    if (this.#closed) return
    this.#transport.close(error?.toWire())
    this.#finish(error ?? null)
  }

  receiveData(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#closed || this.#peerEnded) return
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes > WINDOW) {
      this.close(new AppError('invalid-input', 'The other end sent more bytes than it was granted.'))
      return
    }
    if (bytes.length > 0) this.#waiting.push(bytes)
    this.#wakeReader?.()
  }

  receiveCredit(bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes <= 0 || this.#credit + bytes > WINDOW) return
    this.#credit += bytes
    this.#wakeWriter?.()
  }

  receiveEnd(): void {
    this.#peerEnded = true
    this.#wakeReader?.()
    if (this.#ended) this.#finish(null)
  }

  /** The peer closed, or the wire is gone. What was received before can still be read. */
  receiveClose(error?: AppError): void {
    this.#finish(error ?? null)
  }

  #finish(error: AppError | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#error = error
    this.#wakeReader?.()
    this.#wakeWriter?.()
    this.#onClose.fire(error)
    this.#onClose.dispose()
  }
}

/** Copies `from` into `to` until `from` ends or either closes; then ends (or closes, with the error) the other. */
export async function pipe(from: ByteStream, to: ByteStream): Promise<void> {
  const stop = to.onClose(() => from.close())
  try {
    for (let bytes = await from.read(); bytes; bytes = await from.read()) await to.write(bytes)
    to.end()
  } catch (error) {
    const known = error instanceof AppError ? error : undefined
    to.close(known)
    from.close(known)
  } finally {
    stop.dispose()
  }
}
