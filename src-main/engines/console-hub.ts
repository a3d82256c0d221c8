/**
 * The consoles of one machine. Each serial port keeps its last output in memory under absolute offsets; any number of readers follow it, each
 * at its own pace and with its own credit, and one more reader writes the log file. The guest never waits for a reader. Bytes stay bytes:
 * nothing is decoded.
 */
import { join } from 'node:path'
import { ByteLog } from '../../src-shared/base/byte-log.ts'
import { DisposableStore, type Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import { MiB } from '../../src-shared/base/units.ts'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import { MAX_CHUNK, type ByteStream } from '../../src-shared/rpc/byte-stream.ts'
import type { SerialOpening } from '../../src-shared/threads/engine-thread.ts'
import type { SerialPort } from './engine.ts'
import { PromptWatch } from './prompt-watch.ts'
import { SerialLog } from './serial-log.ts'

/** Output kept in memory for each port, bytes: the whole boot of a talkative system several times over. */
export const KEPT = 1 * MiB
/** Output is gathered this long before readers wake, ms: one message instead of one for each line. */
export const BATCH_MS = 5

export class ConsoleHub implements Disposable {
  #ports: ConsolePort[]
  #onBooted = new Emitter<number>()
  #store = new DisposableStore()
  #watchingSince = 0

  /** The guest's first prompt or boot-complete mark since `watchBoot`, with the milliseconds since then. */
  readonly onBooted = this.#onBooted.event

  /** @param logFolder where serial<N>.log are written; made when missing, the folder around it is not */
  constructor(ports: readonly SerialPort[], logFolder: string) {
    this.#ports = ports.map((port, index) => this.#store.add(new ConsolePort(port, join(logFolder, `serial${index}.log`))))
    for (const port of this.#ports) {
      this.#store.add(
        port.prompt.onPrompt(() => {
          for (const each of this.#ports) each.prompt.stop()
          this.#onBooted.fire(Math.round(performance.now() - this.#watchingSince))
        }),
      )
    }
  }

  /** Watches for the first prompt from now on. */
  watchBoot(): void {
    this.#watchingSince = performance.now()
    for (const port of this.#ports) port.prompt.start()
  }

  /** Looks for the prompt in what was printed before this host came: a machine that ran already may have booted long ago. */
  seeEarlier(): void {
    for (const port of this.#ports) port.seeEarlier()
  }

  /** Joins a reader to a port until its stream closes. */
  attach(port: number, from: number | null, stream: ByteStream): SerialOpening {
    const console = this.#ports[port]
    if (!console) throw new AppError('not-found', `The machine has no serial port ${port}; it has ${this.#ports.length}, counted from 0.`)
    return console.attach(from, stream)
  }

  /** No more output will come. Resolves when the log files have all of it; readers get the rest and then the stream's end. */
  async end(): Promise<void> {
    await Promise.all(this.#ports.map((port) => port.end()))
  }

  dispose(): void {
    this.#store.dispose()
    this.#onBooted.dispose()
  }
}

class ConsolePort implements Disposable {
  readonly prompt = new PromptWatch()
  #serial: SerialPort
  #log = new ByteLog(KEPT)
  #file: SerialLog | null
  #wake: NodeJS.Timeout | null = null
  #onMore = new Emitter<void>()
  #ended = false
  #listening: Disposable

  constructor(serial: SerialPort, logFile: string) {
    this.#serial = serial
    if (serial.earlier) this.#log.append(serial.earlier)
    this.#file = serial.keepsLog ? null : new SerialLog(logFile, this.#log)
    this.#listening = serial.onOutput((bytes) => {
      this.#log.append(bytes)
      this.prompt.see(bytes)
      this.#wake ??= setTimeout(() => this.#wakeReaders(), BATCH_MS)
    })
  }

  seeEarlier(): void {
    if (this.#serial.earlier) this.prompt.see(this.#serial.earlier)
  }

  attach(from: number | null, stream: ByteStream): SerialOpening {
    const { start, end } = this.#log
    const first = Math.min(Math.max(from ?? start, start), end)
    void this.#send(first, stream)
    void this.#type(stream)
    return { start: first, end }
  }

  async end(): Promise<void> {
    this.#ended = true
    this.#wakeReaders()
    await this.#file?.drain()
  }

  dispose(): void {
    this.#ended = true
    this.#listening.dispose()
    this.#wakeReaders()
    this.prompt.dispose()
    this.#onMore.dispose()
  }

  #wakeReaders(): void {
    if (this.#wake) clearTimeout(this.#wake)
    this.#wake = null
    this.#file?.more()
    this.#onMore.fire()
  }

  async #send(first: number, stream: ByteStream): Promise<void> {
    let offset = first
    try {
      while (!stream.closed) {
        if (offset < this.#log.start) throw tooSlow(this.#log.start - offset)
        const { bytes } = this.#log.read(offset, MAX_CHUNK)
        offset += bytes.length
        if (bytes.length > 0) await stream.write(bytes)
        else if (this.#ended) return stream.end()
        else await this.#more(stream)
      }
    } catch (error) {
      stream.close(asAppError(error, 'Following a serial port'))
    }
  }

  async #type(stream: ByteStream): Promise<void> {
    try {
      for await (const bytes of stream) await this.#serial.input(bytes)
    } catch (error) {
      // A machine that went off ends its streams by itself.
      if (!this.#ended) stream.close(asAppError(error, 'Typing on a serial port'))
    }
  }

  /** Resolves at the next output, or when the stream or the port ends. */
  #more(stream: ByteStream): Promise<void> {
    return new Promise((resolve) => {
      const store = new DisposableStore()
      const go = (): void => {
        store.dispose()
        resolve()
      }
      store.add(this.#onMore.event(go))
      store.add(stream.onClose(go))
    })
  }
}

function tooSlow(bytes: number): AppError {
  return new AppError(
    'busy',
    `The console was read too slowly: ${bytes} bytes of output are no longer kept. Open it again to go on with what is kept.`,
  )
}
