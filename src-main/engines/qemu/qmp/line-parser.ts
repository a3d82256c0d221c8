/** Cuts a stream of bytes into lines. Pure; bytes are decoded only when a line is whole, so that no character is split. */
import { MiB } from '../../../../src-shared/base/units.ts'
import { AppError } from '../../../../src-shared/errors/app-error.ts'

/** Longest line taken, bytes. QEMU's longest answer (query-qmp-schema) has some 200 KiB. */
export const MAX_LINE = 16 * MiB

const LINE_FEED = 0x0a

export class LineParser {
  #limit: number
  #parts: Uint8Array[] = []
  #length = 0
  #decoder = new TextDecoder()

  /** @param limit bytes of a line */
  constructor(limit = MAX_LINE) {
    this.#limit = limit
  }

  /**
   * The lines that these bytes complete, without their ends (LF or CR LF) and without empty ones.
   * @throws AppError `corrupt` where a line is too long
   */
  push(bytes: Uint8Array): string[] {
    const lines: string[] = []
    let from = 0
    for (let end = bytes.indexOf(LINE_FEED); end >= 0; end = bytes.indexOf(LINE_FEED, from)) {
      this.#keep(bytes.subarray(from, end))
      const line = this.#take().trim()
      if (line !== '') lines.push(line)
      from = end + 1
    }
    if (from < bytes.length) this.#keep(bytes.slice(from))
    return lines
  }

  #keep(bytes: Uint8Array): void {
    this.#length += bytes.length
    if (this.#length > this.#limit)
      throw new AppError('corrupt', `QEMU sent a line of more than ${this.#limit} bytes on its control connection.`)
    this.#parts.push(bytes)
  }

  #take(): string {
    let text = ''
    for (const part of this.#parts) text += this.#decoder.decode(part, { stream: true })
    text += this.#decoder.decode()
    this.#parts = []
    this.#length = 0
    return text
  }
}
