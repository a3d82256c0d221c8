/**
 * A card of QEMU's: the client of the socket on which its `-netdev stream,server=on` listens. QEMU takes one client, and another when that is gone; so whichever side comes
 * back, the link is made again, as long as the card is plugged in. Frames of one turn of the event loop leave in one write; while a write is under way the next are gathered, and what there
 * is no room for is dropped.
 */
import { connect, type Socket } from 'node:net'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { KiB, MiB } from '../../../src-shared/base/units.ts'
import type { Clock } from '../clock.ts'
import { FrameSplitter, LENGTH_BYTES, MAX_STREAM_FRAME } from './frame-splitter.ts'
import type { FromCard, Link } from './link.ts'
import { ReadModeration } from './read-moderation.ts'

export type StreamAddress = { path: string } | { port: number }

/** Bytes that are gathered while as many are being written. Memory that no burst touches costs nothing. */
const QUEUE = MiB
const READ_AT_ONCE = 64 * KiB
/** ms before another try: twice as long each time. A connection that held for `SETTLED` begins anew. */
const RETRY = { first: 20, longest: 2000 } as const
const SETTLED = 1000

/** Of the thread, whose turns all its cards share. */
const moderation = new ReadModeration()

export class QemuStream implements Link {
  #address: StreamAddress
  #receive: FromCard
  #clock: Clock
  #onChange: () => void
  #open: Open | null = null
  #socket: Socket | null = null
  #retry: Disposable | null = null
  #pause: number = RETRY.first
  #disposed = false

  /** @param onChange it was connected, or no longer is */
  constructor(address: StreamAddress, receive: FromCard, clock: Clock, onChange: () => void) {
    this.#address = address
    this.#receive = receive
    this.#clock = clock
    this.#onChange = onChange
    this.#connect()
  }

  get connected(): boolean {
    return this.#open !== null
  }

  readonly send = (frame: Uint8Array): boolean => this.#open !== null && this.#open.send(frame)

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#retry?.dispose()
    this.#open = null
    this.#socket?.destroy()
  }

  #connect(): void {
    const splitter = new FrameSplitter((frame) => {
      if (!this.#disposed) this.#receive(frame)
    })
    const read = new Uint8Array(READ_AT_ONCE)
    const socket = connect({
      ...('path' in this.#address ? this.#address : { host: '127.0.0.1', port: this.#address.port, noDelay: true }),
      onread: {
        buffer: read,
        callback: (length) => {
          if (!splitter.push(read.subarray(0, length))) socket.destroy()
          moderation.read(length)
          return true
        },
      },
    })
    this.#socket = socket
    let since = Infinity
    socket.on('connect', () => {
      since = this.#clock.now()
      this.#open = new Open(socket)
      this.#onChange()
    })
    // What failed is told by `close`, which always follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      if (this.#disposed) return
      if (this.#clock.now() - since >= SETTLED) this.#pause = RETRY.first
      this.#retry = this.#clock.after(this.#pause, () => this.#connect())
      this.#pause = Math.min(this.#pause * 2, RETRY.longest)
      if (!this.#open) return
      this.#open = null
      this.#onChange()
    })
    // Its end is seen by who reads.
    socket.resume()
  }
}

/** What is sent on one connection. */
class Open {
  #socket: Socket
  #gathering = new Uint8Array(QUEUE)
  #writing = new Uint8Array(QUEUE)
  #gathered = 0
  /** A write is under way, or comes at the end of this turn. */
  #busy = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  send(frame: Uint8Array): boolean {
    const { length } = frame
    const at = this.#gathered
    if (length < 1 || length > MAX_STREAM_FRAME || at + LENGTH_BYTES + length > QUEUE) return false
    const bytes = this.#gathering
    bytes[at] = length >>> 24
    bytes[at + 1] = length >> 16
    bytes[at + 2] = length >> 8
    bytes[at + 3] = length
    bytes.set(frame, at + LENGTH_BYTES)
    this.#gathered = at + LENGTH_BYTES + length
    if (!this.#busy) {
      this.#busy = true
      setImmediate(() => this.#write())
    }
    return true
  }

  #write(): void {
    if (this.#gathered === 0 || this.#socket.destroyed) {
      this.#busy = false
      return
    }
    const bytes = this.#gathering
    const length = this.#gathered
    this.#gathering = this.#writing
    this.#writing = bytes
    this.#gathered = 0
    this.#socket.write(bytes.subarray(0, length), () => this.#write())
  }
}
