/** Stretches of a stream, in order and apart from each other: what came out of order (RFC 9293, 3.10.7.4), or what the other end says it has (RFC 2018). Bounded. */
import { distance } from './sequence.ts'

export interface SequenceRange {
  /** The first byte, and the one behind the last. */
  left: number
  right: number
}

export class SequenceRanges {
  readonly #most: number
  #ranges: SequenceRange[] = []

  constructor(most: number) {
    this.#most = most
  }

  get list(): readonly SequenceRange[] {
    return this.#ranges
  }

  get empty(): boolean {
    return this.#ranges.length === 0
  }

  get bytes(): number {
    let bytes = 0
    for (const { left, right } of this.#ranges) bytes += distance(right, left)
    return bytes
  }

  /** False: it would be one range too many, and is not added. */
  add(left: number, right: number): boolean {
    const ranges = this.#ranges
    let at = 0
    while (at < ranges.length && distance(ranges[at]!.right, left) < 0) at++
    let end = at
    let first = left
    let last = right
    for (; end < ranges.length && distance(ranges[end]!.left, right) <= 0; end++) {
      if (distance(ranges[end]!.left, first) < 0) first = ranges[end]!.left
      if (distance(ranges[end]!.right, last) > 0) last = ranges[end]!.right
    }
    if (end === at && ranges.length >= this.#most) return false
    ranges.splice(at, end - at, { left: first, right: last })
    return true
  }

  /** Forgets what is before a byte. */
  dropBefore(sequence: number): void {
    const ranges = this.#ranges
    while (ranges.length > 0 && distance(ranges[0]!.right, sequence) <= 0) ranges.shift()
    if (ranges.length > 0 && distance(ranges[0]!.left, sequence) < 0) ranges[0]!.left = sequence
  }

  /** The range that the byte is in. */
  at(sequence: number): SequenceRange | null {
    for (const range of this.#ranges) if (distance(sequence, range.left) >= 0 && distance(sequence, range.right) < 0) return range
    return null
  }

  clear(): void {
    this.#ranges.length = 0
  }
}
