/**
 * A ByteStream as noVNC takes it: like a WebSocket. Bytes are handed on as they come; while the channel is held (nobody can see the screen) none
 * are read, so that the stream's credit stops the sender and a hidden screen costs nothing at either end. noVNC sends one message of the protocol
 * (RFC 6143, section 7.5) with each call of `send`; a filter may change or drop it.
 */
import type { ByteStream } from '../../src-shared/rpc/byte-stream.ts'

/** @returns the message to send instead, or null for none */
export type MessageFilter = (message: Uint8Array) => Uint8Array | null

export class RfbChannel {
  binaryType = 'arraybuffer'
  readonly protocol = ''
  readyState: 'open' | 'closed' = 'open'
  onopen: (() => void) | null = null
  onmessage: ((event: { data: Uint8Array }) => void) | null = null
  onclose: ((event: object) => void) | null = null
  onerror: ((event: unknown) => void) | null = null
  /** Applied to what noVNC sends. */
  filter: MessageFilter = (message) => message

  #stream: ByteStream
  #held = false
  #release: (() => void) | null = null

  constructor(stream: ByteStream) {
    this.#stream = stream
  }

  /** Sends one message of noVNC's; its buffer may be used again at once. */
  send(message: Uint8Array): void {
    const filtered = this.filter(message)
    if (filtered) this.inject(filtered)
  }

  /** Sends a message of our own, between two of noVNC's. */
  inject(message: Uint8Array): void {
    if (this.readyState === 'open') this.#stream.write(message.slice()).catch(() => {})
  }

  /** noVNC is done with it. `onclose` comes later, as a WebSocket's does. */
  close(): void {
    if (this.readyState === 'closed') return
    this.readyState = 'closed'
    this.hold(false)
    this.#stream.close()
    queueMicrotask(() => this.onclose?.({}))
  }

  /** Stops or goes on handing bytes on. */
  hold(held: boolean): void {
    this.#held = held
    if (held) return
    this.#release?.()
    this.#release = null
  }

  /** Hands bytes on until the stream ends. @throws AppError with which the stream was closed, and whatever noVNC throws at wrong bytes */
  async run(): Promise<void> {
    for (;;) {
      await this.#released()
      const bytes = await this.#stream.read()
      // It may have been held since.
      await this.#released()
      if (!bytes || this.readyState === 'closed') return
      this.onmessage?.({ data: bytes })
    }
  }

  async #released(): Promise<void> {
    while (this.#held) await new Promise<void>((resolve) => (this.#release = resolve))
  }
}
