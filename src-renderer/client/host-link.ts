/**
 * The window's connection to its host, which outlives any one wire. It dials, and dials again with growing pauses when the wire
 * closes. Calls go over the wire of the moment and fail with `disconnected` where there is none, so that nothing is done later than
 * the person asked; event subscriptions carry over to the next wire; streams end with the wire that they were opened on.
 */
import { toDisposable, type Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import type { Client, Service } from '../../src-shared/rpc/service.ts'
import type { Wire } from '../../src-shared/rpc/wire.ts'

/** `refused`: the host is there and will not have us (its token changed): trying again is of no use until the browser has its new one. */
export type LinkStatus = 'connecting' | 'open' | 'lost' | 'refused'

/** Resolves with an open wire. An AppError `denied` says that trying again is of no use by itself. */
export type Dial = () => Promise<Wire>

/** Pauses between attempts, ms. */
const FIRST_PAUSE = 250
const LONGEST_PAUSE = 4000

type AnyListener = (value: unknown) => void

export class HostLink implements Disposable {
  #dial: Dial
  #client: RpcClient | null = null
  #status: LinkStatus = 'connecting'
  #disposed = false
  #pause = FIRST_PAUSE
  #timer: ReturnType<typeof setTimeout> | undefined
  #onStatus = new Emitter<LinkStatus>()
  #resubscribe = new Set<(client: RpcClient) => void>()

  readonly onStatus: Event<LinkStatus> = this.#onStatus.event

  constructor(dial: Dial) {
    this.#dial = dial
  }

  get status(): LinkStatus {
    return this.#status
  }

  /** Dials now; also cuts a pause short. */
  connect(): void {
    clearTimeout(this.#timer)
    if (this.#disposed || this.#client) return
    this.#dial().then(
      (wire) => this.#opened(wire),
      (error: unknown) => this.#failed(asAppError(error)),
    )
  }

  service<S extends Service>(service: S): Client<S> {
    const methods: Record<string, unknown> = {}
    for (const [name, member] of Object.entries(service.members))
      methods[name] =
        member.kind === 'event'
          ? (listener: AnyListener) => this.#subscribe(service, name, listener)
          : (input: unknown, options: unknown) => this.#call(service, name, input, options)
    return methods as Client<S>
  }

  #call(service: Service, method: string, input: unknown, options: unknown): Promise<unknown> {
    if (!this.#client) return Promise.reject(new AppError('disconnected', 'There is no connection to Coppice at the moment.'))
    const view = this.#client.service(service) as Record<string, (input: unknown, options: unknown) => Promise<unknown>>
    return view[method]!(input, options)
  }

  #subscribe(service: Service, event: string, listener: AnyListener): Disposable {
    let current: Disposable | null = null
    const subscribe = (client: RpcClient): void => {
      const view = client.service(service) as Record<string, (listener: AnyListener) => Disposable>
      current = view[event]!(listener)
    }
    this.#resubscribe.add(subscribe)
    if (this.#client) subscribe(this.#client)
    return toDisposable(() => {
      this.#resubscribe.delete(subscribe)
      current?.dispose()
    })
  }

  #opened(wire: Wire): void {
    if (this.#disposed) {
      wire.close()
      return
    }
    this.#pause = FIRST_PAUSE
    const client = new RpcClient(wire)
    this.#client = client
    client.onClose(() => {
      if (this.#client !== client) return
      this.#client = null
      this.#set('lost')
      this.#retryLater()
    })
    for (const subscribe of this.#resubscribe) subscribe(client)
    this.#set('open')
  }

  #failed(error: AppError): void {
    if (this.#disposed) return
    if (error.code === 'denied') {
      this.#set('refused')
      return
    }
    this.#set('lost')
    this.#retryLater()
  }

  #retryLater(): void {
    if (this.#disposed) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.connect(), this.#pause)
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
  }

  #set(status: LinkStatus): void {
    if (this.#status === status) return
    this.#status = status
    this.#onStatus.fire(status)
  }

  dispose(): void {
    this.#disposed = true
    clearTimeout(this.#timer)
    this.#client?.dispose()
    this.#client = null
    this.#onStatus.dispose()
  }
}
