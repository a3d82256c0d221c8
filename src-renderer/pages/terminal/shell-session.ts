/** A shell on the host computer: its stream, its size, its end. Apart from any component. */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { asAppError, type AppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { Host } from '../../client/host.ts'

export type ShellStatus =
  | { kind: 'opening' }
  | { kind: 'open'; shell: string }
  /** The shell ended, or the connection took it along. */
  | { kind: 'exited'; lost: boolean }
  | { kind: 'failed'; error: AppError }

/** The terminal, as the session needs it. */
export interface ShellSink {
  /** Resolves when the bytes are parsed. */
  write(bytes: Uint8Array): Promise<void>
  note(text: string): void
}

export interface ShellSize {
  cols: number
  rows: number
}

export class ShellSession implements Disposable {
  #host: Host
  #sink: ShellSink
  #stream: ByteStream | null = null
  #terminal = ''
  #size: ShellSize
  #opened: ShellSize
  #status: ShellStatus = { kind: 'opening' }
  #ended = false
  #onStatus = new Emitter<ShellStatus>()

  readonly onStatus: Event<ShellStatus> = this.#onStatus.event

  constructor(host: Host, sink: ShellSink, size: ShellSize) {
    this.#host = host
    this.#sink = sink
    this.#size = size
    this.#opened = size
    void this.#run()
  }

  get status(): ShellStatus {
    return this.#status
  }

  async #run(): Promise<void> {
    try {
      const { opening, stream } = await this.#host.terminals.open({ ...this.#opened })
      if (this.#ended) {
        stream.close()
        return
      }
      this.#stream = stream
      this.#terminal = opening.terminal
      this.#set({ kind: 'open', shell: opening.shell })
      // The page may have got another size meanwhile.
      if (this.#size.cols !== this.#opened.cols || this.#size.rows !== this.#opened.rows) this.resize(this.#size)
      for (let bytes = await stream.read(); bytes; bytes = await stream.read()) await this.#sink.write(bytes)
      this.#end(false)
    } catch (error) {
      const known = asAppError(error, 'Opening the terminal')
      if (this.#stream) this.#end(known.code === 'disconnected')
      else if (!this.#ended) this.#set({ kind: 'failed', error: known })
    }
  }

  #end(lost: boolean): void {
    if (this.#ended) return
    this.#ended = true
    // Both directions: a shell that ended takes no more input.
    this.#stream?.close()
    this.#stream = null
    this.#sink.note(lost ? 'The connection was lost, and the shell ended with it.' : 'The shell has ended.')
    this.#set({ kind: 'exited', lost })
  }

  type(bytes: Uint8Array): void {
    this.#stream?.write(bytes).catch(() => {})
  }

  resize({ cols, rows }: ShellSize): void {
    this.#size = { cols, rows }
    if (this.#stream) this.#host.terminals.resize({ terminal: this.#terminal, cols, rows }).catch(() => {})
  }

  #set(status: ShellStatus): void {
    this.#status = status
    this.#onStatus.fire(status)
  }

  /** Closes the stream; the host ends the shell. */
  dispose(): void {
    this.#ended = true
    this.#stream?.close()
    this.#stream = null
    this.#onStatus.dispose()
  }
}
