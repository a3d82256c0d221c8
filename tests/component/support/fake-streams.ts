/** What a host has at the far end of its streams: serial ports and shells, printed to and read by the test. */
import { ByteLog } from '../../../src-shared/base/byte-log.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'

const CONSOLE_BYTES = 1 << 20

/** A serial port: what it printed, what was typed into it, and who listens. */
export class FakeConsole {
  log = new ByteLog(CONSOLE_BYTES)
  life = 'life-1'
  live = true
  typed = ''
  opened = 0
  readers = new Set<ByteStream>()

  open(from: number | null, stream: ByteStream): { start: number; end: number; live: boolean; life: string } {
    this.opened++
    const kept = this.log.read(from ?? 0)
    void stream.write(kept.bytes).catch(() => {})
    if (this.live) {
      this.readers.add(stream)
      stream.onClose(() => this.readers.delete(stream))
      void this.#listen(stream).catch(() => {})
    } else stream.end()
    return { start: kept.offset, end: this.log.end, live: this.live, life: this.life }
  }

  async #listen(stream: ByteStream): Promise<void> {
    const decoder = new TextDecoder()
    for await (const bytes of stream) this.typed += decoder.decode(bytes, { stream: true })
  }

  print(output: string | Uint8Array): void {
    const bytes = typeof output === 'string' ? utf8(output) : output
    this.log.append(bytes)
    for (const reader of this.readers) void reader.write(bytes).catch(() => {})
  }

  stop(): void {
    this.live = false
    for (const reader of [...this.readers]) reader.end()
    this.readers.clear()
  }

  start(life: string): void {
    this.live = true
    this.life = life
    this.log = new ByteLog(CONSOLE_BYTES)
  }
}

export class FakeTerminal {
  typed = ''
  size: { cols: number; rows: number }
  closed = false
  #stream: ByteStream

  constructor(stream: ByteStream, size: { cols: number; rows: number }) {
    this.#stream = stream
    this.size = size
    stream.onClose(() => (this.closed = true))
    void this.#listen().catch(() => {})
  }

  async #listen(): Promise<void> {
    const decoder = new TextDecoder()
    for await (const bytes of this.#stream) this.typed += decoder.decode(bytes, { stream: true })
  }

  print(text: string): void {
    void this.#stream.write(utf8(text)).catch(() => {})
  }

  exit(): void {
    this.#stream.end()
  }
}
