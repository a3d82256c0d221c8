/**
 * The last `capacity` bytes of a stream that only grows, addressed by absolute offset since the stream's birth.
 * A reader remembers an offset and asks again later: a console that is closed and reopened loses nothing that still is
 * in the log, and knows how much it missed otherwise.
 */
export class ByteLog {
  #ring: Uint8Array<ArrayBuffer>
  #end = 0

  /** @param capacity bytes kept */
  constructor(capacity: number) {
    this.#ring = new Uint8Array(capacity)
  }

  /** Offset of the oldest byte kept. */
  get start(): number {
    return Math.max(0, this.#end - this.#ring.length)
  }

  /** Offset after the newest byte: how many bytes were ever appended. */
  get end(): number {
    return this.#end
  }

  append(bytes: Uint8Array): void {
    const size = this.#ring.length
    const kept = bytes.length > size ? bytes.subarray(bytes.length - size) : bytes
    const at = (this.#end + bytes.length - kept.length) % size
    const first = Math.min(kept.length, size - at)
    this.#ring.set(kept.subarray(0, first), at)
    this.#ring.set(kept.subarray(first), 0)
    this.#end += bytes.length
  }

  /** A copy of up to `limit` bytes from `offset` (moved up to `start` where older bytes are gone). */
  read(offset: number, limit = Infinity): { offset: number; bytes: Uint8Array<ArrayBuffer> } {
    const from = Math.min(Math.max(offset, this.start), this.#end)
    const length = Math.min(this.#end - from, limit)
    const bytes = new Uint8Array(length)
    const size = this.#ring.length
    const at = from % size
    const first = Math.min(length, size - at)
    bytes.set(this.#ring.subarray(at, at + first), 0)
    bytes.set(this.#ring.subarray(0, length - first), first)
    return { offset: from, bytes }
  }
}
