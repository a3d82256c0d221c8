/**
 * Bytes of a stream that are held for a while, each at the place that its sequence number gives it: capacity is a power of two, so the lower bits of the number are the
 * place, and what comes out of order stands where it belongs from the first. Memory is taken when the first byte comes, doubles as it is needed, and can be let go.
 */
const SMALLEST = 4096

/** Whole, or in two parts where the ring wraps. Views, good until what they show is released. */
export type RingPart = [first: Buffer, second: Buffer | null]

export class SequenceRing {
  #bytes: Buffer | null = null

  /** Bytes of memory. */
  get capacity(): number {
    return this.#bytes?.length ?? 0
  }

  /** Makes room for `length` bytes from `from` on, of which the first `kept` are there and stay. Parts that were handed out before go on showing what they did. */
  reserve(from: number, kept: number, length: number): void {
    const old = this.#bytes
    let capacity = old?.length ?? SMALLEST
    if (old && length <= capacity) return
    while (capacity < length) capacity *= 2
    const bytes = Buffer.from(new ArrayBuffer(capacity))
    this.#bytes = bytes
    if (!old || kept === 0) return
    for (let done = 0, all = Math.min(kept, old.length); done < all;) {
      const at = (from + done) & (old.length - 1)
      const to = (from + done) & (capacity - 1)
      const count = Math.min(all - done, old.length - at, capacity - to)
      old.copy(bytes, to, at, at + count)
      done += count
    }
  }

  /** There must be room (reserve). */
  write(sequence: number, source: Uint8Array): void {
    const bytes = this.#bytes!
    const at = sequence & (bytes.length - 1)
    const first = bytes.length - at
    if (source.length <= first) bytes.set(source, at)
    else {
      bytes.set(source.subarray(0, first), at)
      bytes.set(source.subarray(first), 0)
    }
  }

  copyTo(sequence: number, length: number, target: Uint8Array, to: number): void {
    const bytes = this.#bytes!
    const at = sequence & (bytes.length - 1)
    const first = Math.min(length, bytes.length - at)
    bytes.copy(target, to, at, at + first)
    if (first < length) bytes.copy(target, to + first, 0, length - first)
  }

  /** @param length more than 0 */
  part(sequence: number, length: number): RingPart {
    const bytes = this.#bytes!
    const at = sequence & (bytes.length - 1)
    const first = Math.min(length, bytes.length - at)
    return [bytes.subarray(at, at + first), first < length ? bytes.subarray(0, length - first) : null]
  }

  /** Nothing is held any more. */
  clear(): void {
    this.#bytes = null
  }
}
