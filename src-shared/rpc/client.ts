/** The calling end of a wire. */
import { toDisposable, type Disposable } from '../base/disposable.ts'
import { Emitter, type Event } from '../base/event.ts'
import { AppError } from '../errors/app-error.ts'
import type { CallOptions, Client, Member, Service } from './service.ts'
import { Streams } from './streams.ts'
import type { Wire } from './wire.ts'

interface Pending {
  resolve(value: unknown): void
  reject(error: AppError): void
}

export class RpcClient implements Disposable {
  #wire: Wire
  #nextId = 1
  #pending = new Map<number, Pending>()
  #subscriptions = new Map<number, { listener: (value: unknown) => void; self: Disposable }>()
  #streams: Streams
  #closed = false
  #onClose = new Emitter<void>()
  #listening: Disposable[]

  readonly onClose: Event<void> = this.#onClose.event

  constructor(wire: Wire) {
    this.#wire = wire
    this.#streams = new Streams(wire)
    this.#listening = [
      wire.onMessage((message) => {
        switch (message.t) {
          case 'ok':
            this.#take(message.id)?.resolve(message.value)
            break
          case 'error':
            this.#take(message.id)?.reject(AppError.fromWire(message.error))
            this.#subscriptions.get(message.id)?.self.dispose()
            break
          case 'event':
            this.#subscriptions.get(message.id)?.listener(message.value)
            break
          case 'data':
          case 'credit':
          case 'end':
          case 'close':
            this.#streams.receive(message)
            break
          default: // messages to a server are not for us
        }
      }),
      wire.onClose(() => this.#onWireClosed()),
    ]
  }

  get closed(): boolean {
    return this.#closed
  }

  /** A typed view of one service. Cheap: make it where it is used. */
  service<S extends Service>(service: S): Client<S> {
    const methods: Record<string, unknown> = {}
    for (const [name, member] of Object.entries(service.members)) methods[name] = this.#method(service.name, name, member)
    return methods as Client<S>
  }

  #method(service: string, method: string, member: Member): unknown {
    switch (member.kind) {
      case 'call':
        return (input: unknown, options?: CallOptions) => this.#request('call', service, method, input, options).result
      case 'event':
        return (listener: (value: unknown) => void) => this.#subscribe(service, method, listener)
      case 'stream':
        return (input: unknown, options?: CallOptions) => this.#open(service, method, input, options)
    }
  }

  #request(
    t: 'call' | 'open',
    service: string,
    method: string,
    input: unknown,
    options: CallOptions = {},
  ): { id: number; result: Promise<unknown> } {
    const id = this.#nextId++
    if (this.#closed) return { id, result: Promise.reject(disconnected()) }
    const signal = options.signal
    if (signal?.aborted) return { id, result: Promise.reject(AppError.cancelled()) }
    const result = new Promise<unknown>((resolve, reject) => {
      const onAbort = (): void => {
        this.#wire.post({ t: 'abort', id })
        this.#take(id)?.reject(AppError.cancelled())
      }
      const settle = (): void => signal?.removeEventListener('abort', onAbort)
      this.#pending.set(id, {
        resolve: (value) => {
          settle()
          resolve(value)
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
    try {
      this.#wire.post({ t, id, service, method, input }, options.transfer)
    } catch (error) {
      this.#take(id)?.reject(unsendable(error))
    }
    return { id, result }
  }

  #subscribe(service: string, method: string, listener: (value: unknown) => void): Disposable {
    if (this.#closed) return { dispose() {} }
    const id = this.#nextId++
    const self = toDisposable(() => {
      this.#subscriptions.delete(id)
      if (!this.#closed) this.#wire.post({ t: 'unsubscribe', id })
    })
    this.#subscriptions.set(id, { listener, self })
    this.#wire.post({ t: 'subscribe', id, service, method })
    return self
  }

  async #open(service: string, method: string, input: unknown, options?: CallOptions): Promise<unknown> {
    const { id, result } = this.#request('open', service, method, input, options)
    const stream = this.#streams.open(id)
    try {
      return { opening: await result, stream }
    } catch (error) {
      // Told to the server too: where the caller gave up, it may just have opened the stream.
      stream.close()
      throw error
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id)
    this.#pending.delete(id)
    return pending
  }

  #onWireClosed(): void {
    if (this.#closed) return
    this.#closed = true
    for (const pending of [...this.#pending.values()]) pending.reject(disconnected())
    this.#pending.clear()
    for (const { self } of [...this.#subscriptions.values()]) self.dispose()
    this.#streams.closeAll(disconnected)
    this.#onClose.fire()
    this.#onClose.dispose()
  }

  /** Closes the wire; what is pending fails with `disconnected`. */
  dispose(): void {
    this.#wire.close()
    this.#onWireClosed()
    for (const item of this.#listening.splice(0)) item.dispose()
  }
}

function unsendable(error: unknown): AppError {
  return error instanceof AppError ? error : new AppError('invalid-input', 'The request contains something that cannot be sent.', {}, error)
}

function disconnected(): AppError {
  return new AppError('disconnected', 'The connection to Coppice was lost.')
}
