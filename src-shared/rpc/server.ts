/** The serving end of wires. One RpcServer holds the services; every wire that is attached can reach them. */
import { DisposableStore, type Disposable } from '../base/disposable.ts'
import type { Event } from '../base/event.ts'
import { AppError, asAppError } from '../errors/app-error.ts'
import { fieldErrors } from '../errors/field-errors.ts'
import type { ByteStream } from './byte-stream.ts'
import type { CallContext, Handlers, Member, Peer, Service } from './service.ts'
import { Streams } from './streams.ts'
import type { Wire, WireMessage } from './wire.ts'
import type { z } from 'zod'

/** Calls, subscriptions and streams that one wire may have open. More is answered with an error. */
export const MAX_OPEN_PER_WIRE = 1000

interface Registered {
  members: Record<string, Member>
  handlers: Record<string, unknown>
}

export class RpcServer {
  #services = new Map<string, Registered>()
  #onFault: (error: AppError, where: string) => void

  /** @param onFault told of every `internal` error, for the log */
  constructor(onFault: (error: AppError, where: string) => void = () => {}) {
    this.#onFault = onFault
  }

  register<S extends Service>(service: S, handlers: Handlers<S>): void {
    this.#services.set(service.name, { members: service.members, handlers: handlers as Record<string, unknown> })
  }

  /** Serves a wire until it closes or the result is disposed (which closes it). */
  attach(wire: Wire, peer: Peer): Disposable {
    return new Connection(wire, peer, this.#lookUp, this.#onFault)
  }

  #lookUp = (service: string, method: string, kind: Member['kind']): { member: Member; handler: unknown } => {
    const registered = this.#services.get(service)
    const member = registered && Object.hasOwn(registered.members, method) ? registered.members[method] : undefined
    if (!registered || !member || member.kind !== kind)
      throw new AppError('unsupported', `This Coppice has no ${kind} named ${service}.${method}.`)
    return { member, handler: registered.handlers[method] }
  }
}

type LookUp = (service: string, method: string, kind: Member['kind']) => { member: Member; handler: unknown }

class Connection implements Disposable {
  #wire: Wire
  #peer: Peer
  #lookUp: LookUp
  #onFault: (error: AppError, where: string) => void
  #running = new Map<number, AbortController>()
  #subscriptions = new Map<number, Disposable>()
  #streams: Streams
  #store = new DisposableStore()
  #closed = false

  constructor(wire: Wire, peer: Peer, lookUp: LookUp, onFault: (error: AppError, where: string) => void) {
    this.#wire = wire
    this.#streams = new Streams(wire)
    this.#peer = peer
    this.#lookUp = lookUp
    this.#onFault = onFault
    this.#store.add(wire.onMessage((message) => this.#receive(message)))
    this.#store.add(wire.onClose(() => this.dispose()))
  }

  dispose(): void {
    if (this.#closed) return
    this.#closed = true
    for (const controller of this.#running.values()) controller.abort(AppError.cancelled())
    for (const subscription of this.#subscriptions.values()) subscription.dispose()
    this.#streams.closeAll(() => new AppError('disconnected', 'The connection was closed.'))
    this.#store.dispose()
    this.#wire.close()
  }

  #receive(message: WireMessage): void {
    switch (message.t) {
      case 'call':
      case 'open':
        void this.#run(message)
        break
      case 'abort':
        this.#running.get(message.id)?.abort(AppError.cancelled())
        break
      case 'subscribe':
        this.#subscribe(message)
        break
      case 'unsubscribe':
        this.#subscriptions.get(message.id)?.dispose()
        this.#subscriptions.delete(message.id)
        break
      case 'data':
      case 'credit':
      case 'end':
      case 'close':
        this.#streams.receive(message)
        break
      default: // messages to a client are not for us
    }
  }

  async #run(message: Extract<WireMessage, { t: 'call' | 'open' }>): Promise<void> {
    const { id } = message
    if (!this.#admit(message)) return
    const controller = new AbortController()
    this.#running.set(id, controller)
    try {
      const context: CallContext = { signal: controller.signal, peer: this.#peer }
      const value = await (message.t === 'call' ? this.#call(message, context) : this.#open(message, context))
      if (!this.#closed) this.#wire.post({ t: 'ok', id, value })
    } catch (error) {
      this.#fail(id, error, `${message.service}.${message.method}`)
    } finally {
      this.#running.delete(id)
    }
  }

  #call(message: Extract<WireMessage, { t: 'call' }>, context: CallContext): unknown {
    const { member, handler } = this.#lookUp(message.service, message.method, 'call')
    const input = parseInput((member as { input: z.ZodType }).input, message.input)
    return (handler as (input: unknown, context: CallContext) => unknown)(input, context)
  }

  async #open(message: Extract<WireMessage, { t: 'open' }>, context: CallContext): Promise<unknown> {
    const { member, handler } = this.#lookUp(message.service, message.method, 'stream')
    const input = parseInput((member as { input: z.ZodType }).input, message.input)
    const stream = this.#streams.open(message.id)
    const onAbort = (): void => stream.close(AppError.cancelled())
    context.signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await (handler as (input: unknown, stream: ByteStream, context: CallContext) => unknown)(input, stream, context)
    } catch (error) {
      stream.receiveClose()
      throw error
    } finally {
      context.signal.removeEventListener('abort', onAbort)
    }
  }

  #subscribe(message: Extract<WireMessage, { t: 'subscribe' }>): void {
    const { id } = message
    if (!this.#admit(message)) return
    try {
      const { handler } = this.#lookUp(message.service, message.method, 'event')
      const subscription = (handler as Event<unknown>)((value) => this.#wire.post({ t: 'event', id, value }))
      this.#subscriptions.set(id, subscription)
    } catch (error) {
      this.#fail(id, error, `${message.service}.${message.method}`)
    }
  }

  /** Refuses what cannot be told apart or is too much. An id in use belongs to another exchange, which the refusal ends for the client. */
  #admit({ id, service, method }: Extract<WireMessage, { t: 'call' | 'open' | 'subscribe' }>): boolean {
    const where = `${service}.${method}`
    if (this.#running.has(id) || this.#subscriptions.has(id) || this.#streams.has(id))
      this.#fail(id, new AppError('invalid-input', 'The request’s id is in use.'), where)
    else if (this.#running.size + this.#subscriptions.size + this.#streams.size >= MAX_OPEN_PER_WIRE)
      this.#fail(id, new AppError('busy', 'This connection has too many requests open. Close some and try again.'), where)
    else return true
    return false
  }

  #fail(id: number, error: unknown, where: string): void {
    const known = asAppError(error)
    if (known.code === 'internal') this.#onFault(known, where)
    if (!this.#closed) this.#wire.post({ t: 'error', id, error: known.toWire() })
  }
}

function parseInput(schema: z.ZodType, input: unknown): unknown {
  const parsed = schema.safeParse(input)
  if (parsed.success) return parsed.data
  throw AppError.invalid(fieldErrors(parsed.error))
}
