/** The bytes that come from a socket, taken as they are needed. One taker at a time. */
import type { Socket } from 'node:net'
import type { AppError } from '../../../src-shared/errors/app-error.ts'

/** Bytes that may wait here until the other end is asked to wait. */
const HIGH_WATER = 8 * 1024 * 1024

export class ByteSource {
  #socket: Socket
  #chunks: Buffer[] = []
  #held = 0
  #wake: (() => void) | null = null
  #ended: AppError | null = null

  /** @param lost what to say when the other end is gone */
  constructor(socket: Socket, lost: (cause?: unknown) => AppError) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#held += chunk.length
      if (this.#held > HIGH_WATER) socket.pause()
      this.#wake?.()
    })
    let cause: unknown
    socket.on('error', (error) => (cause = error))
    socket.on('close', () => {
      this.#ended ??= lost(cause)
      this.#wake?.()
    })
  }

  /** @throws AppError where the connection ends before */
  async take(length: number): Promise<Buffer> {
    const bytes = Buffer.alloc(length)
    await this.fill(bytes)
    return bytes
  }

  /** Fills all of `into`. @throws AppError where the connection ends before */
  async fill(into: Uint8Array): Promise<void> {
    for (let have = 0; have < into.length;) {
      const first = this.#chunks[0]
      if (!first) {
        if (this.#ended) throw this.#ended
        await new Promise<void>((resolve) => (this.#wake = resolve))
        this.#wake = null
        continue
      }
      const part = first.subarray(0, into.length - have)
      into.set(part, have)
      have += part.length
      this.#held -= part.length
      if (part.length === first.length) this.#chunks.shift()
      else this.#chunks[0] = first.subarray(part.length)
      if (this.#socket.isPaused() && this.#held <= HIGH_WATER / 2) this.#socket.resume()
    }
  }
}
