/**
 * What becomes of a segment of a connection before its acknowledgment is looked at (RFC 9293, 3.10.7.4, first to fifth). Only what has exactly the awaited number ends a connection;
 * what else would is challenged: who really is at the other end then says so with that number (RFC 5961, 3 and 4).
 */
import { TCP } from '../../codec/tcp.ts'

export type Verdict =
  /** Its acknowledgment and its data count. */
  | 'take'
  /** Its acknowledgment counts, its data does not: the window is shut, and the machine asks whether it still is. */
  | 'probe'
  /** It is old, or beyond the window: its sender is told what is awaited. */
  | 'acknowledge'
  /** As `acknowledge`, but only some times a second: whoever sends it may not be the other end. */
  | 'challenge'
  | 'reset'
  | 'drop'

/**
 * @param offset of its number behind the one that is awaited
 * @param length with SYN and FIN
 * @param window bytes, 0 at least
 */
export function checkSegment(flags: number, offset: number, length: number, window: number): Verdict {
  const isProbe = length > 0 && window === 0 && offset === 0
  const isInside = length === 0 ? offset >= 0 && offset <= window : offset < window && offset + length > 0
  if (!isProbe && !isInside) {
    if (flags & TCP.rst) return 'drop'
    return flags & TCP.syn ? 'challenge' : 'acknowledge'
  }
  if (flags & TCP.rst) return offset === 0 ? 'reset' : 'challenge'
  if (flags & TCP.syn) return 'challenge'
  if (!(flags & TCP.ack)) return 'drop'
  return isProbe ? 'probe' : 'take'
}
