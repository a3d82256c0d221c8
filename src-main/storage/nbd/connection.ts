/**
 * One connection to an NBD server, with any number of requests under way. Theory of operation: each request has a cookie, by which its reply is found; a
 * reply is simple, or comes in chunks of which the last is marked. Whatever the server says that no request asked for ends the connection: from then on
 * nobody knows where the next reply begins. Source: doc/proto.md, section "Transmission phase".
 */
import { connect, type Socket } from 'node:net'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { NbdAddress } from '../../../src-shared/model/network-disk.ts'
import { ByteSource } from './byte-source.ts'
import { negotiate, type NbdExport } from './negotiate.ts'
import {
  CHUNK,
  CHUNK_MAGIC,
  CHUNK_REST_BYTES,
  COMMAND,
  ENOSPC,
  ERRORS,
  LAST_CHUNK,
  REPLY_REST_BYTES,
  request,
  SIMPLE_REPLY_MAGIC,
  type Command,
} from './protocol.ts'

/** ms for a server to be connected to, and to open the export. */
const CONNECT_PATIENCE = 5000
/** ms without a byte from the server while it owes replies: it is gone, or the way to it. */
const SILENCE = 30_000
/** Bytes of a chunk that carries no data. */
const MAX_PLAIN_CHUNK = 64 * 1024
const EXTENT_BYTES = 8

export interface Asked {
  command: Command
  offset: number
  length: number
  flags?: number
  /** Of a write. */
  payload?: Uint8Array
  /** Of a read: `length` bytes. */
  into?: Uint8Array
}

export interface BlockExtent {
  length: number
  /** As the context base:allocation has it. */
  state: number
}

/** What became of a request: `lost` where the connection ended before its reply. */
export type Outcome = { kind: 'done'; extents: BlockExtent[] } | { kind: 'refused'; error: AppError } | { kind: 'lost' }

interface Pending {
  asked: Asked
  settle(outcome: Outcome): void
  /** Bytes of a read that did not come yet. */
  missing: number
  extents: BlockExtent[]
  error: AppError | null
}

export class NbdConnection {
  readonly info: NbdExport
  #socket: Socket
  #address: string
  #pending = new Map<number, Pending>()
  #cookies = 0
  #closed: Promise<void>
  #over: AppError | null = null
  #timer: NodeJS.Timeout | null = null

  private constructor(socket: Socket, source: ByteSource, info: NbdExport, address: string) {
    this.#socket = socket
    this.info = info
    this.#address = address
    this.#closed = this.#receive(source).catch((error: unknown) => {
      this.#over = error instanceof AppError ? error : gone(address, error)
      socket.destroy()
      this.#quiet()
      const pending = [...this.#pending.values()]
      this.#pending.clear()
      for (const { settle } of pending) settle({ kind: 'lost' })
    })
  }

  /**
   * @param text the address, for sentences
   * @throws AppError `unavailable` where nobody answers; as `negotiate`
   */
  static async open({ at, exportName }: NbdAddress, text: string): Promise<NbdConnection> {
    const socket = at.kind === 'unix' ? connect({ path: at.path }) : connect({ host: at.host, port: at.port, noDelay: true })
    const source = new ByteSource(socket, (cause) => gone(text, cause))
    const timer = setTimeout(() => socket.destroy(new Error(`No answer within ${CONNECT_PATIENCE / 1000} s.`)), CONNECT_PATIENCE)
    try {
      const info = await negotiate(source, (bytes) => socket.write(bytes), exportName, text)
      return new NbdConnection(socket, source, info, text)
    } catch (error) {
      socket.destroy()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** Why it ended; null while it is open. */
  get over(): AppError | null {
    return this.#over
  }

  /** Resolves when the reply is here, or cannot come any more. Never rejects. */
  ask(asked: Asked): Promise<Outcome> {
    if (this.#over) return Promise.resolve({ kind: 'lost' })
    return new Promise((settle) => {
      const cookie = ++this.#cookies
      const missing = asked.command === COMMAND.read ? asked.length : 0
      this.#pending.set(cookie, { asked, settle, missing, extents: [], error: null })
      if (this.#pending.size === 1) this.#listen()
      const head = request(asked.command, cookie, asked.offset, asked.length, asked.flags)
      this.#socket.cork()
      this.#socket.write(head)
      if (asked.payload) this.#socket.write(asked.payload)
      this.#socket.uncork()
    })
  }

  /** Ends it; what is under way is lost. */
  async close(): Promise<void> {
    if (!this.#over) this.#socket.end(request(COMMAND.disconnect, 0, 0, 0))
    // A server may take its time; nothing is owed to us.
    const timer = setTimeout(() => this.#socket.destroy(), 1000)
    await this.#closed
    clearTimeout(timer)
  }

  /** The server owes something: silence means that it is gone. */
  #listen(): void {
    this.#quiet()
    this.#timer = setTimeout(() => this.#socket.destroy(new Error(`The server was silent for ${SILENCE / 1000} s.`)), SILENCE)
  }

  #quiet(): void {
    if (this.#timer) clearTimeout(this.#timer)
    this.#timer = null
  }

  async #receive(source: ByteSource): Promise<never> {
    for (;;) {
      const magic = (await source.take(4)).readUInt32BE(0)
      if (magic === SIMPLE_REPLY_MAGIC) await this.#simple(source)
      else if (magic === CHUNK_MAGIC && this.info.structured) await this.#chunk(source)
      else throw this.#nonsense('a reply begins with other bytes than replies do')
      if (this.#pending.size > 0) this.#listen()
      else this.#quiet()
    }
  }

  async #simple(source: ByteSource): Promise<void> {
    const rest = await source.take(REPLY_REST_BYTES)
    const [cookie, pending] = this.#of(rest.readBigUInt64BE(4))
    const { command, into } = pending.asked
    const error = rest.readUInt32BE(0)
    if (error !== 0) pending.error = this.#refusal(error, '')
    else if (command === COMMAND.read && this.info.structured) throw this.#nonsense('data comes in a reply that has no room for it')
    else if (command === COMMAND.read) {
      await source.fill(into!)
      pending.missing = 0
    }
    this.#end(cookie, pending)
  }

  async #chunk(source: ByteSource): Promise<void> {
    const head = await source.take(CHUNK_REST_BYTES)
    const [flags, type, length] = [head.readUInt16BE(0), head.readUInt16BE(2), head.readUInt32BE(12)]
    const [cookie, pending] = this.#of(head.readBigUInt64BE(4))
    const { asked } = pending
    if (type === CHUNK.data) {
      if (length <= 8) throw this.#nonsense('a chunk of data has none')
      const at = this.#place((await source.take(8)).readBigUInt64BE(0), length - 8, pending)
      await source.fill(asked.into!.subarray(at, at + length - 8))
    } else {
      if (length > MAX_PLAIN_CHUNK) throw this.#nonsense('a chunk is larger than any')
      this.#plain(type, await source.take(length), pending)
    }
    if ((flags & LAST_CHUNK) !== 0) this.#end(cookie, pending)
  }

  #plain(type: number, data: Buffer, pending: Pending): void {
    const { asked } = pending
    if (type === CHUNK.none && data.length === 0) return
    if (type === CHUNK.hole && data.length === 12) {
      const length = data.readUInt32BE(8)
      const at = this.#place(data.readBigUInt64BE(0), length, pending)
      asked.into!.fill(0, at, at + length)
    } else if (
      type === CHUNK.blockStatus &&
      asked.command === COMMAND.blockStatus &&
      data.length > 4 &&
      (data.length - 4) % EXTENT_BYTES === 0
    ) {
      if (data.readUInt32BE(0) !== this.info.allocation) return
      for (let at = 4; at < data.length; at += EXTENT_BYTES)
        pending.extents.push({ length: data.readUInt32BE(at), state: data.readUInt32BE(at + 4) })
      if (pending.extents.some(({ length }) => length === 0)) throw this.#nonsense('a run of blocks is empty')
    } else if (type >= CHUNK.firstError && data.length >= 6) {
      pending.error = this.#refusal(data.readUInt32BE(0), data.toString('utf8', 6, Math.min(data.length, 6 + data.readUInt16BE(4), 206)))
    } else throw this.#nonsense(`a chunk of type ${type} has ${data.length} bytes`)
  }

  /** Where in its reader's bytes a part of a read belongs. */
  #place(offset: bigint, length: number, pending: Pending): number {
    const { command, offset: start, length: all } = pending.asked
    const at = Number(offset) - start
    if (command !== COMMAND.read || length === 0 || at < 0 || at + length > all || length > pending.missing)
      throw this.#nonsense('data comes that nobody asked for')
    pending.missing -= length
    return at
  }

  #of(cookie: bigint): [number, Pending] {
    const key = Number(cookie)
    const pending = this.#pending.get(key)
    if (!pending) throw this.#nonsense('a reply is to no request')
    return [key, pending]
  }

  #end(cookie: number, pending: Pending): void {
    const { error, missing, extents, settle } = pending
    if (!error && missing > 0) throw this.#nonsense('a reply ends before its data')
    this.#pending.delete(cookie)
    settle(error ? { kind: 'refused', error } : { kind: 'done', extents })
  }

  #refusal(code: number, said: string): AppError {
    const meaning = ERRORS[code] ?? `error ${code}`
    const technical = said === '' ? {} : { technical: said }
    return new AppError(code === ENOSPC ? 'no-space' : 'io', `The NBD server of “${this.#address}” failed: ${meaning}.`, {
      subject: this.#address,
      ...technical,
    })
  }

  #nonsense(what: string): AppError {
    return new AppError('corrupt', `The NBD server of “${this.#address}” breaks the protocol: ${what}.`, { subject: this.#address })
  }
}

function gone(address: string, cause: unknown): AppError {
  const { code, message } = (cause ?? {}) as NodeJS.ErrnoException
  const why = WHY[code ?? ''] ?? (message === undefined ? 'The connection ended.' : firstSentence(message))
  return new AppError('unavailable', `The disk “${address}” cannot be reached. ${why}`, { subject: address }, cause)
}

function firstSentence(text: string): string {
  return text.endsWith('.') ? text : `${text}.`
}

const WHY: Record<string, string> = {
  ECONNREFUSED: 'Nobody answers at that port: start the server, or look at the address.',
  ENOENT: 'There is no such socket: start the server, or look at the address.',
  ENOTFOUND: 'There is no computer of that name.',
  EAI_AGAIN: 'The name cannot be looked up now.',
  EACCES: 'You have no permission for that socket.',
  ETIMEDOUT: 'The computer does not answer.',
  EHOSTUNREACH: 'There is no way to that computer.',
  ENETUNREACH: 'There is no way to that network.',
  ECONNRESET: 'The server ended the connection.',
  EPIPE: 'The server ended the connection.',
}
