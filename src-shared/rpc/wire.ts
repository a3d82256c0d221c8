/**
 * Wire: the one transport interface. Ordered, reliable, message by message. Everything above it (calls, events, streams)
 * knows no transport; everything below it knows no calls. Adapters stand in `wires/` and, where they need Node, in `src-main`.
 */
import type { Event } from '../base/event.ts'
import type { WireError } from '../errors/app-error.ts'

/** Objects that change hands instead of being copied. Only thread wires carry them. */
export type TransferItem = object

export type WireMessage =
  /** Client to server. `id` is the client's, unique on this wire while the exchange lives. */
  | { t: 'call'; id: number; service: string; method: string; input: unknown }
  | { t: 'abort'; id: number }
  | { t: 'subscribe'; id: number; service: string; method: string }
  | { t: 'unsubscribe'; id: number }
  | { t: 'open'; id: number; service: string; method: string; input: unknown }
  /** Server to client. */
  | { t: 'ok'; id: number; value: unknown }
  | { t: 'error'; id: number; error: WireError }
  | { t: 'event'; id: number; value: unknown }
  /** Both ways, on an open stream. */
  | { t: 'data'; id: number; data: Uint8Array<ArrayBuffer> }
  | { t: 'credit'; id: number; bytes: number }
  | { t: 'end'; id: number }
  | { t: 'close'; id: number; error?: WireError }

export interface Wire {
  /** Sends, never blocks, never throws for a closed wire. */
  post(message: WireMessage, transfer?: readonly TransferItem[]): void
  readonly onMessage: Event<WireMessage>
  /** Fires once, also when this end closed. */
  readonly onClose: Event<void>
  close(): void
}
