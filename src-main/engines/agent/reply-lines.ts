/**
 * Lines out of the bytes that a guest sends. A guest is hostile: whatever it sends, no more than MAX_LINE bytes are kept, and a line that is
 * longer is dropped whole. The byte 0xff, which JSON never has, says: forget what came of a line (guest-sync-delimited, QEMU
 * docs/interop/qemu-ga-ref).
 */
import { concatBytes } from '../../../src-shared/base/bytes.ts'
import { MiB } from '../../../src-shared/base/units.ts'

/** Bytes of a line: qemu-guest-agent answers with up to 16 MiB of output and of error output of a command at once, in base64. */
export const MAX_LINE = 48 * MiB
export const SENTINEL = 0xff
const LINE_FEED = 0x0a

export class ReplyLines {
  #parts: Uint8Array[] = []
  #length = 0
  #tooLong = false

  /** @returns the lines that these bytes complete, without their ends; null stands for one that was too long */
  push(bytes: Uint8Array): (string | null)[] {
    const lines: (string | null)[] = []
    let start = 0
    for (let at = 0; at < bytes.length; at++) {
      if (bytes[at] === SENTINEL) this.clear()
      else if (bytes[at] === LINE_FEED) {
        this.#keep(bytes.subarray(start, at))
        lines.push(this.#tooLong ? null : new TextDecoder().decode(concatBytes(this.#parts)))
        this.clear()
      } else continue
      start = at + 1
    }
    this.#keep(bytes.slice(start))
    return lines
  }

  clear(): void {
    this.#parts = []
    this.#length = 0
    this.#tooLong = false
  }

  #keep(bytes: Uint8Array): void {
    if (bytes.length === 0 || this.#tooLong) return
    this.#length += bytes.length
    if (this.#length > MAX_LINE) {
      this.#tooLong = true
      this.#parts = []
    } else this.#parts.push(bytes)
  }
}
