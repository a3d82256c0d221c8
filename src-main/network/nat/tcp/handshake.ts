/** The opening of one connection (RFC 9293, 3.5): both sides' first numbers, what they agree on (RFC 7323, 2; RFC 2018, 2), and when a SYN is sent again. */
import { randomInt } from 'node:crypto'
import { parseTcpOptions, type TcpSegment } from '../../codec/tcp.ts'
import { RetransmissionTime } from './retransmission-time.ts'
import { synOptions } from './segment-options.ts'

/** How often a SYN-ACK is sent again; and a SYN: a machine that is asked is near, or not there. */
const SYN_ACK_TRIES = 5
const SYN_TRIES = 3

export class Handshake {
  /** The number of our SYN. */
  readonly first = randomInt(0x1_0000_0000 - 1) | 0
  /** The number of the machine's. */
  guestFirst = 0
  /** Of the machine's windows, in bits; null: neither side scales. */
  scale: number | null = 0
  /** Both acknowledge selectively. */
  sacks = true
  #time = new RetransmissionTime()
  #tries = 0
  #sentAt = 0

  /** What a machine's SYN says. @returns the most bytes that it takes in a segment; null: it does not say */
  agree({ sequence, options }: Pick<TcpSegment, 'sequence' | 'options'>): number | null {
    const { windowScale, sackPermitted, mss } = parseTcpOptions(options)
    this.guestFirst = sequence | 0
    this.scale = windowScale
    this.sacks = sackPermitted
    return mss
  }

  /** Of our SYN. @param mss bytes that we take */
  options(mss: number): Uint8Array {
    return synOptions(mss, this.scale !== null, this.sacks)
  }

  /** A window as the machine writes it, in bytes. */
  bytesOf(window: number): number {
    return window << (this.scale ?? 0)
  }

  /** Our SYN, or SYN-ACK, is sent. @returns when it is to be sent again */
  sent(now: number): number {
    if (this.#tries++ === 0) this.#sentAt = now
    return now + this.#time.ms
  }

  /** Nothing came back. False: it was tried often enough. @param answers it was a SYN-ACK */
  again(answers: boolean): boolean {
    if (this.#tries > (answers ? SYN_ACK_TRIES : SYN_TRIES)) return false
    this.#time.back()
    return true
  }

  /** ms until it was answered; null: it was sent more than once, and nobody knows which was (Karn). */
  roundTrip(now: number): number | null {
    return this.#tries === 1 ? now - this.#sentAt : null
  }
}
