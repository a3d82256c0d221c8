/**
 * A client of the QEMU Machine Protocol (docs/interop/qmp-spec). Theory of operation: QEMU greets, the client leaves the negotiation mode with
 * `qmp_capabilities`, and from then on commands carry ids by which answers find their callers; events come in between at any time.
 * QEMU may be silent for seconds (while it saves a snapshot its main loop stands still), so no answer has a time limit here: whoever waits
 * gives a signal, or sees the process die, which closes the connection.
 */
import type { Duplex } from 'node:stream'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { toDisposable } from '../../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../../../src-shared/errors/app-error.ts'
import { QMP_COMMANDS, type QmpArguments, type QmpCommand, type QmpReturns } from './commands.ts'
import { LineParser } from './line-parser.ts'
import { parseMessage, refusal, type QmpError, type QmpEvent, type QmpGreeting, type QmpReturn } from './messages.ts'

interface Pending {
  command: string
  resolve(value: unknown): void
  reject(error: AppError): void
}

/** A process that is killed does not close its connections in order. */
const HUNG_UP: ReadonlySet<string | undefined> = new Set(['ECONNRESET', 'EPIPE'])

export class QmpClient implements Disposable {
  #socket: Duplex
  #lines = new LineParser()
  #pending = new Map<number, Pending>()
  #nextId = 1
  #greeting = Promise.withResolvers<QmpGreeting>()
  #closed = false
  #onEvent = new Emitter<QmpEvent>()
  #onClose = new Emitter<AppError | null>()
  #tracked: Disposable

  readonly onEvent: Event<QmpEvent> = this.#onEvent.event
  /** Once, when no answer can come any more: null where QEMU or we closed, else why the connection was given up. */
  readonly onClose: Event<AppError | null> = this.#onClose.event

  private constructor(socket: Duplex) {
    this.#socket = socket
    this.#tracked = toDisposable(() => socket.destroy())
    // Somebody may never ask for it.
    this.#greeting.promise.catch(() => {})
    socket.on('data', (bytes: Uint8Array) => this.#receive(bytes))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#close(HUNG_UP.has(error.code) ? null : asAppError(error, 'Talking to QEMU')))
    socket.on('end', () => this.#close(null))
    socket.on('close', () => this.#close(null))
  }

  /**
   * Waits for the greeting and leaves the negotiation mode. Owns the socket from now on.
   * @param signal gives up; QEMU greets the second client of a socket only when the first has left
   * @throws AppError `corrupt` where no QEMU answers, `disconnected`, `cancelled`
   */
  static async open(socket: Duplex, signal?: AbortSignal): Promise<{ client: QmpClient; greeting: QmpGreeting }> {
    const client = new QmpClient(socket)
    try {
      const greeting = await abortable(client.#greeting.promise, signal)
      await client.#send('qmp_capabilities', undefined, signal)
      return { client, greeting }
    } catch (error) {
      client.dispose()
      throw error
    }
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * Resolves with QEMU's answer, however long it takes. An aborted command is not undone: QEMU carries it out, its answer is dropped.
   * @throws AppError what QEMU refused and why; `disconnected` where it is gone; `cancelled`
   */
  async execute<C extends QmpCommand>(
    command: C,
    ...[given, signal]: QmpArguments<C> extends void ? [given?: null, signal?: AbortSignal] : [given: QmpArguments<C>, signal?: AbortSignal]
  ): Promise<QmpReturns<C>> {
    const value = await this.#send(command, given ?? undefined, signal)
    const parsed = QMP_COMMANDS[command].returns.safeParse(value)
    if (parsed.success) return parsed.data as QmpReturns<C>
    throw new AppError('unsupported', `QEMU answered “${command}” in a way that Coppice does not understand.`, {
      subject: command,
      technical: parsed.error.message,
    })
  }

  dispose(): void {
    this.#close(null)
  }

  #send(command: string, given: object | undefined, signal?: AbortSignal): Promise<unknown> {
    if (signal?.aborted) return Promise.reject(AppError.cancelled())
    if (this.#closed) return Promise.reject(gone(command))
    const id = this.#nextId++
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.#pending.set(id, { command, resolve, reject })
    this.#socket.write(`${JSON.stringify({ execute: command, ...(given ? { arguments: given } : {}), id })}\n`)
    return abortable(promise, signal)
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed) return
    try {
      for (const line of this.#lines.push(bytes)) {
        const message = parseMessage(line)
        if (message.kind === 'event') this.#onEvent.fire(message)
        else if (message.kind === 'greeting') this.#greeting.resolve(message)
        else this.#answer(message)
        if (this.#closed) return
      }
    } catch (error) {
      this.#close(asAppError(error, 'Reading QEMU’s answers'))
    }
  }

  #answer(message: QmpReturn | QmpError): void {
    if (message.id === null) throw refusal('a command', message as QmpError)
    const pending = this.#pending.get(message.id)
    if (!pending) throw new AppError('corrupt', `QEMU answered a command (${message.id}) that nobody gave.`)
    this.#pending.delete(message.id)
    if (message.kind === 'return') pending.resolve(message.value)
    else pending.reject(refusal(pending.command, message))
  }

  #close(error: AppError | null): void {
    if (this.#closed) return
    this.#closed = true
    this.#tracked.dispose()
    this.#greeting.reject(error ?? gone('the greeting'))
    for (const { command, reject } of this.#pending.values()) reject(error ?? gone(command))
    this.#pending.clear()
    this.#onClose.fire(error)
    this.#onClose.dispose()
    this.#onEvent.dispose()
  }
}

function gone(command: string): AppError {
  return new AppError('disconnected', `QEMU ended before it answered “${command}”.`, { subject: command })
}

function abortable<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(AppError.cancelled())
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
