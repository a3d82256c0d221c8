/**
 * The language in which `src-shared/api` and `src-shared/threads` describe services. A service is a name and a record of
 * members of three kinds: calls (input checked by a schema, one result), events (values pushed to whoever subscribes), streams
 * (bytes both ways, with credit, opened with a checked input).
 */
import type { z } from 'zod'
import type { Event } from '../base/event.ts'
import type { ByteStream } from './byte-stream.ts'
import type { TransferItem } from './wire.ts'

export interface CallMember<In extends z.ZodType, Out> {
  kind: 'call'
  input: In
  readonly _out?: Out
}
export interface EventMember<T> {
  kind: 'event'
  readonly _value?: T
}
export interface StreamMember<In extends z.ZodType, Out> {
  kind: 'stream'
  input: In
  readonly _out?: Out
}
export type Member = CallMember<z.ZodType, unknown> | EventMember<unknown> | StreamMember<z.ZodType, unknown>

export interface Service<Name extends string = string, Members extends Record<string, Member> = Record<string, Member>> {
  name: Name
  members: Members
}

/** `call(schema).returns<Result>()` */
export function call<In extends z.ZodType>(input: In): { returns<Out>(): CallMember<In, Out> } {
  return { returns: () => ({ kind: 'call', input }) }
}

/** `event<Value>()`: every event carries the new value, so that no listener has to ask again. */
export function event<T>(): EventMember<T> {
  return { kind: 'event' }
}

/** `stream(schema).returns<Opening>()`: `Opening` is told before the first byte. */
export function stream<In extends z.ZodType>(input: In): { returns<Out>(): StreamMember<In, Out> } {
  return { returns: () => ({ kind: 'stream', input }) }
}

export function defineService<Name extends string, Members extends Record<string, Member>>(
  name: Name,
  members: Members,
): Service<Name, Members> {
  return { name, members }
}

/** Who is at the other end of a wire. */
export interface Peer {
  kind: 'window' | 'cli' | 'thread' | 'test'
}

export interface CallContext {
  /** Aborts when the caller gives up or its wire closes. */
  signal: AbortSignal
  peer: Peer
}

/** What the server of a service implements. Inputs have passed their schema. */
export type Handlers<S extends Service> = {
  [K in keyof S['members']]: S['members'][K] extends CallMember<infer In, infer Out>
    ? (input: z.output<In>, context: CallContext) => Promise<Out> | Out
    : S['members'][K] extends EventMember<infer T>
      ? Event<T>
      : S['members'][K] extends StreamMember<infer In, infer Out>
        ? (input: z.output<In>, stream: ByteStream, context: CallContext) => Promise<Out> | Out
        : never
}

export interface CallOptions {
  signal?: AbortSignal
  /** Objects inside the input that change hands (thread wires only). */
  transfer?: readonly TransferItem[]
}

/** What the client of a service sees. */
export type Client<S extends Service> = {
  readonly [K in keyof S['members']]: S['members'][K] extends CallMember<infer In, infer Out>
    ? (input: z.input<In>, options?: CallOptions) => Promise<Out>
    : S['members'][K] extends EventMember<infer T>
      ? Event<T>
      : S['members'][K] extends StreamMember<infer In, infer Out>
        ? (input: z.input<In>, options?: CallOptions) => Promise<{ opening: Out; stream: ByteStream }>
        : never
}
