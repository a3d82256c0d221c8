/**
 * Frames out of a stream of bytes in which each has its length before it, 4 bytes in network order: what QEMU's `-netdev stream` speaks (net/stream.c, net_socket_rs_init).
 * Frames are handed on as views of the chunk they came in; only one that chunks cut in two is copied.
 */
import { wordAt } from '../codec/words.ts'

/** Bytes of the longest frame that QEMU sends (include/net/net.h, NET_BUFSIZE). */
export const MAX_STREAM_FRAME = 4096 + 65_536
export const LENGTH_BYTES = 4

export class FrameSplitter {
  #sink: (frame: Uint8Array) => void
  /** The beginning of a frame, its length before it. */
  #begun = new Uint8Array(2048)
  #have = 0

  constructor(sink: (frame: Uint8Array) => void) {
    this.#sink = sink
  }

  /** False: a length makes no sense, and with it all that follows. */
  push(chunk: Uint8Array): boolean {
    let at = 0
    if (this.#have > 0) {
      at = this.#complete(chunk)
      if (at < 0) return false
      if (this.#have > 0) return true
    }
    while (chunk.length - at >= LENGTH_BYTES) {
      const length = wordAt(chunk, at)
      if (length < 1 || length > MAX_STREAM_FRAME) return false
      const end = at + LENGTH_BYTES + length
      if (end > chunk.length) break
      this.#sink(chunk.subarray(at + LENGTH_BYTES, end))
      at = end
    }
    this.#keep(chunk.subarray(at))
    return true
  }

  /** Where in the chunk the frame that had begun ends; the chunk's end where it does not end in it; -1: its length makes no sense. */
  #complete(chunk: Uint8Array): number {
    let at = 0
    if (this.#have < LENGTH_BYTES) {
      at = Math.min(LENGTH_BYTES - this.#have, chunk.length)
      this.#keep(chunk.subarray(0, at))
      if (this.#have < LENGTH_BYTES) return at
    }
    const length = wordAt(this.#begun, 0)
    if (length < 1 || length > MAX_STREAM_FRAME) return -1
    const end = Math.min(at + LENGTH_BYTES + length - this.#have, chunk.length)
    this.#keep(chunk.subarray(at, end))
    if (this.#have === LENGTH_BYTES + length) {
      this.#have = 0
      this.#sink(this.#begun.subarray(LENGTH_BYTES, LENGTH_BYTES + length))
    }
    return end
  }

  #keep(bytes: Uint8Array): void {
    const need = this.#have + bytes.length
    if (need > this.#begun.length) {
      const larger = new Uint8Array(Math.min(LENGTH_BYTES + MAX_STREAM_FRAME, need * 2))
      larger.set(this.#begun.subarray(0, this.#have))
      this.#begun = larger
    }
    this.#begun.set(bytes, this.#have)
    this.#have = need
  }
}
