/** The other end of a machine's plug: its card, wherever that is. */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { FrameSink } from '../port.ts'

export interface Link extends Disposable {
  /** To the card. */
  readonly send: FrameSink
  /** The card is there. */
  readonly connected: boolean
}

/** Takes frames from the card, each lent for the call. */
export type FromCard = (frame: Uint8Array) => void
