/**
 * One plug of a switch, for a machine's card, a gateway, a router or a bridge alike. Frames are Ethernet II without their check sequence (IEEE 802.3, 3.1.1): 14 bytes of
 * header and what follows, at most MAX_FRAME bytes. A frame is lent for the duration of the call: whoever keeps it copies it, and nobody changes it.
 */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import type { PortCounters } from '../../src-shared/threads/network-thread.ts'

/** Bytes: an IP packet of the largest MTU and its Ethernet header. */
export const MAX_FRAME = 65_520 + 14

/** Takes a frame; false: there is no room, and it is lost. Shorter frames than a header, and longer ones, are lost too. */
export type FrameSink = (frame: Uint8Array) => boolean

export interface Port extends Disposable {
  readonly id: string
  /** From what is plugged in, to the network. */
  send: FrameSink
  readonly counters: PortCounters
  /** Down: nothing passes, either way. */
  link: boolean
}

/** Where ports are had. */
export interface Plugboard {
  /** @param receive frames from the network to what is plugged in */
  plug(id: string, receive: FrameSink): Port
  /** Whether the card with this address is plugged in. Guests make up others. */
  isCard(mac: number): boolean
}
