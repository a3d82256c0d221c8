/** Sequence numbers (RFC 9293, 3.4): 32 bits that wrap. Held as signed 32-bit integers, which cost no memory; compared by their distance, which must be below 2^31. */

/** How far `a` is behind `b` in the stream; negative where it is before it. */
export function distance(a: number, b: number): number {
  return (a - b) | 0
}

export function maxSequence(a: number, b: number): number {
  return distance(a, b) >= 0 ? a : b
}
