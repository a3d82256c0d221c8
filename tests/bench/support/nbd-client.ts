/** As much of a client of the NBD protocol (doc/proto.md of the NBD project: fixed newstyle, NBD_OPT_GO, simple replies) as measuring a server needs. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '../../../src-shared/base/units.ts'

const OPTION_MAGIC = 0x49484156454f5054n
const REQUEST_MAGIC = 0x25609513
const SIMPLE_REPLY_MAGIC = 0x67446698
const FIXED_NEWSTYLE = 1
const NO_ZEROES = 2
const OPT_GO = 7
const REP_ACK = 1
const REP_INFO = 3
const COMMAND = { read: 0, write: 1, flush: 3 } as const
const GREETING_BYTES = 18
const OPTION_REPLY_BYTES = 20
const REPLY_BYTES = 16
const REQUEST_BYTES = 28
/** A server takes that long at most to listen, ms. */
const LISTEN_LIMIT = 5000
const NOTHING = Buffer.alloc(0)

interface Pending {
  /** Of a read. */
  into: Uint8Array | null
  resolve(): void
  reject(error: Error): void
}

export class NbdClient {
  #socket: Socket
  #pending = new Map<bigint, Pending>()
  #cookie = 0n
  #handshake = true
  /** For more of the handshake. */
  #waiting: Pending | null = null
  /** What has come of the handshake, or of a reply's header. */
  #rest: Buffer = NOTHING
  /** What comes next belongs to this read, from `#filled` on. */
  #filling: Pending | null = null
  #filled = 0

  private constructor(path: string) {
    // Into one buffer: a chunk of its own for each read of the socket would cost more than the server.
    const callback = (length: number, buffer: Uint8Array): boolean => {
      this.#receive(Buffer.from(buffer.buffer, buffer.byteOffset, length))
      return true
    }
    this.#socket = connect({ path, onread: { buffer: Buffer.alloc(MiB), callback } })
    this.#socket.on('close', () => this.#fail(new Error('The NBD server hung up.')))
  }

  /** Waits until a server listens on this Unix socket, and takes its default export. */
  static async connect(path: string): Promise<NbdClient> {
    for (const until = performance.now() + LISTEN_LIMIT; ;) {
      const client = new NbdClient(path)
      try {
        await once(client.#socket, 'connect')
      } catch (error) {
        if (performance.now() > until) throw error
        await sleep(10)
        continue
      }
      await client.#shakeHands()
      return client
    }
  }

  async #shakeHands(): Promise<void> {
    const greeting = await this.#take(GREETING_BYTES)
    if (greeting.toString('latin1', 0, 16) !== 'NBDMAGICIHAVEOPT') throw new Error('This is no NBD server.')
    const option = Buffer.alloc(4 + 16 + 6)
    option.writeUInt32BE(FIXED_NEWSTYLE | NO_ZEROES, 0)
    option.writeBigUInt64BE(OPTION_MAGIC, 4)
    option.writeUInt32BE(OPT_GO, 12)
    // An empty name, no questions.
    option.writeUInt32BE(6, 16)
    this.#socket.write(option)
    for (;;) {
      const head = await this.#take(OPTION_REPLY_BYTES)
      const data = await this.#take(head.readUInt32BE(16))
      const type = head.readUInt32BE(12)
      if (type === REP_ACK) break
      if (type !== REP_INFO) throw new Error(`The NBD server refused the export: ${data.toString()}`)
    }
    this.#handshake = false
  }

  /** Exactly so many bytes, of the handshake. */
  async #take(length: number): Promise<Buffer> {
    while (this.#rest.length < length) await new Promise<void>((resolve, reject) => (this.#waiting = { into: null, resolve, reject }))
    const bytes = this.#rest.subarray(0, length)
    this.#rest = this.#rest.subarray(length)
    return bytes
  }

  read(offset: number, into: Uint8Array): Promise<void> {
    return this.#ask(COMMAND.read, offset, into.length, null, into)
  }

  write(offset: number, bytes: Uint8Array): Promise<void> {
    return this.#ask(COMMAND.write, offset, bytes.length, bytes, null)
  }

  flush(): Promise<void> {
    return this.#ask(COMMAND.flush, 0, 0, null, null)
  }

  close(): void {
    this.#socket.destroy()
  }

  #ask(command: number, offset: number, length: number, bytes: Uint8Array | null, into: Uint8Array | null): Promise<void> {
    const request = Buffer.allocUnsafe(REQUEST_BYTES)
    const cookie = this.#cookie++
    request.writeUInt32BE(REQUEST_MAGIC, 0)
    request.writeUInt32BE(command, 4)
    request.writeBigUInt64BE(cookie, 8)
    request.writeBigUInt64BE(BigInt(offset), 16)
    request.writeUInt32BE(length, 24)
    return new Promise((resolve, reject) => {
      this.#pending.set(cookie, { into, resolve, reject })
      this.#socket.cork()
      this.#socket.write(request)
      if (bytes) this.#socket.write(bytes)
      this.#socket.uncork()
    })
  }

  #receive(bytes: Buffer): void {
    if (this.#handshake) {
      this.#rest = Buffer.concat([this.#rest, bytes])
      this.#waiting?.resolve()
      return
    }
    let at = 0
    while (at < bytes.length || this.#filling) {
      if (this.#filling) {
        const into = this.#filling.into!
        const length = Math.min(into.length - this.#filled, bytes.length - at)
        into.set(bytes.subarray(at, at + length), this.#filled)
        at += length
        this.#filled += length
        if (this.#filled < into.length) return
        this.#filling.resolve()
        this.#filling = null
        continue
      }
      const missing = REPLY_BYTES - this.#rest.length
      const head =
        this.#rest.length === 0 ? bytes.subarray(at, at + missing) : Buffer.concat([this.#rest, bytes.subarray(at, at + missing)])
      at += Math.min(missing, bytes.length - at)
      this.#rest = head.length < REPLY_BYTES ? Buffer.from(head) : NOTHING
      if (head.length === REPLY_BYTES) this.#answer(head)
    }
  }

  #answer(head: Buffer): void {
    const cookie = head.readBigUInt64BE(8)
    const pending = this.#pending.get(cookie)
    if (head.readUInt32BE(0) !== SIMPLE_REPLY_MAGIC || !pending) return void this.#socket.destroy()
    this.#pending.delete(cookie)
    const error = head.readUInt32BE(4)
    if (error !== 0) pending.reject(new Error(`The NBD server answered with error ${error}.`))
    else if (pending.into) {
      this.#filling = pending
      this.#filled = 0
    } else pending.resolve()
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error)
    this.#filling?.reject(error)
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
  }
}
