/** A connected socket as a ByteStream. Its pace is the kernel's: a write resolves when the socket took it. */
import type { Socket } from 'node:net'
import { Emitter } from '../../../src-shared/base/event.ts'
import { asAppError, type AppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'

/** ms in which what was written last may still leave after `close`. */
const LINGER = 1000

export class SocketStream implements ByteStream {
  #socket: Socket
  #chunks: AsyncIterator<Uint8Array<ArrayBuffer>>
  #closed = false
  #onClose = new Emitter<AppError | null>()

  readonly onClose = this.#onClose.event

  constructor(socket: Socket) {
    this.#socket = socket.setNoDelay(true)
    this.#chunks = (socket as AsyncIterable<Uint8Array<ArrayBuffer>>)[Symbol.asyncIterator]()
    // 'close' follows.
    socket.on('error', () => {})
    socket.once('close', () => this.#end(null))
  }

  get closed(): boolean {
    return this.#closed
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    try {
      const next = await this.#chunks.next()
      return next.done ? null : next.value
    } catch {
      // It was closed, from here or there.
      return null
    }
  }

  async *[Symbol.asyncIterator](): AsyncIterator<Uint8Array<ArrayBuffer>> {
    for (let bytes = await this.read(); bytes; bytes = await this.read()) yield bytes
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(asAppError(error, 'Sending to a VNC viewer')) : resolve()))
    })
  }

  end(): void {
    this.#socket.end()
  }

  close(error?: AppError): void {
    if (this.#closed) return
    this.#socket.end()
    const timer = setTimeout(() => this.#socket.destroy(), LINGER)
    this.#socket.once('close', () => clearTimeout(timer))
    this.#end(error ?? null)
  }

  #end(error: AppError | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#onClose.fire(error)
    this.#onClose.dispose()
  }
}
