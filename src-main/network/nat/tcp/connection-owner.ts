/** What connections have in common, and whom they tell how they do. */
import type { IncomingPacket } from '../../ip-output.ts'
import type { Budget } from '../limits.ts'
import type { TimerQueue } from '../timer-queue.ts'
import type { SegmentWriter } from './segment-writer.ts'
import type { TcpConnection } from './tcp-connection.ts'

export interface ConnectionOwner {
  readonly writer: SegmentWriter
  readonly timers: TimerQueue
  readonly budget: Budget
  /** ms; the same for the whole turn. */
  readonly now: number
  /** Calls `flush` at the end of the turn. */
  changed(connection: TcpConnection): void
  /** It is open, or will never be. */
  settled(connection: TcpConnection): void
  /** The host's socket could not be connected. @param error the system's code */
  refused(connection: TcpConnection, syn: IncomingPacket, error: string): void
  /** It is over. */
  closed(connection: TcpConnection): void
  /** Whether a challenge ACK may be sent now. */
  mayChallenge(): boolean
}
