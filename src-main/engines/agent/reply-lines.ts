/**
 * Lines out of the bytes that a guest sends. A guest is hostile: whatever it sends, no more than the limit is kept, and neither the pieces in
 * which the bytes come nor what stands in a line can make it cost much more than its bytes. The byte 0xff, which JSON never has, says: forget
 * what came of a line (guest-sync-delimited, QEMU docs/interop/qemu-ga-ref).
 */
import { MiB } from '../../../src-shared/base/units.ts'

/** Bytes of a line, unless its reader expects more. */
export const MAX_LINE = 1 * MiB
/**
 * Commas and opening brackets in a line: as many values can be in its JSON, each of which takes far more memory than its bytes. A line of output
 * has few, as base64 has neither.
 */
export const MAX_VALUES = 64 * 1024
export const SENTINEL = 0xff
const LINE_FEED = 0x0a
const COMMA = 0x2c
const BRACKET = 0x5b
const BRACE = 0x7b
/** Bytes: what a line's buffer has at first. It doubles. */
const FIRST = 4096

export class ReplyLines {
  #buffer = new Uint8Array()
  #length = 0
  #values = 0
  #limit = MAX_LINE
  /** The line was given up: its rest is nothing. */
  #dropped = false

  /** What came of a line is forgotten. @param limit bytes that the next lines may have */
  begin(limit: number): void {
    this.#limit = limit
    this.#forget()
  }

  /** @returns the lines that these bytes complete, without their ends; null stands for one that was too much, as soon as it is */
  push(bytes: Uint8Array): (string | null)[] {
    const lines: (string | null)[] = []
    let start = 0
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]
      if (byte === COMMA || byte === BRACKET || byte === BRACE) this.#values++
      if (byte !== SENTINEL && byte !== LINE_FEED) continue
      if (byte === LINE_FEED) {
        this.#keep(bytes.subarray(start, at), lines)
        if (!this.#dropped) lines.push(new TextDecoder().decode(this.#buffer.subarray(0, this.#length)))
      }
      this.#forget()
      start = at + 1
    }
    this.#keep(bytes.subarray(start), lines)
    return lines
  }

  #forget(): void {
    this.#buffer = new Uint8Array()
    this.#length = 0
    this.#values = 0
    this.#dropped = false
  }

  #keep(bytes: Uint8Array, lines: (string | null)[]): void {
    if (this.#dropped) return
    const length = this.#length + bytes.length
    if (length > this.#limit || this.#values > MAX_VALUES) {
      this.#forget()
      this.#dropped = true
      lines.push(null)
      return
    }
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(this.#limit, Math.max(FIRST, 2 * this.#buffer.length, length)))
      larger.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = larger
    }
    this.#buffer.set(bytes, this.#length)
    this.#length = length
  }
}
