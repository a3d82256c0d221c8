/**
 * A machine's serial port. Output bytes are gathered during one turn of the main loop and given away together; input waits in a queue and enters
 * the guest's FIFO as the guest empties it.
 */
import { Emitter } from '../../../src-shared/base/event.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import type { SerialPort } from '../engine.ts'
import { patchUart, type UartPatch } from './patches.ts'
import type { Cpu } from './v86.ts'

/** Output gathered at most before it is given away within a turn. */
const MAX_OUTPUT = 16 * 1024

interface Typed {
  bytes: Uint8Array
  at: number
  done(): void
  fail(error: AppError): void
}

export class EmbeddedSerial implements SerialPort {
  #counters: Counters
  #uart: UartPatch
  #output = new Uint8Array(MAX_OUTPUT)
  #outputLength = 0
  #queue: Typed[] = []
  #closed = false
  #onOutput = new Emitter<Uint8Array>()

  readonly onOutput = this.#onOutput.event

  constructor(cpu: Cpu, index: number, counters: Counters) {
    this.#counters = counters
    this.#uart = patchUart(
      cpu,
      index,
      (byte) => {
        this.#output[this.#outputLength++] = byte
        if (this.#outputLength === MAX_OUTPUT) this.flush()
      },
      () => this.feed(),
    )
  }

  /** Gives away what the guest printed. Called after each turn of the main loop. */
  flush(): void {
    if (this.#outputLength === 0) return
    const bytes = this.#output.slice(0, this.#outputLength)
    this.#outputLength = 0
    this.#counters.add('serialOutBytes', bytes.length)
    this.#onOutput.fire(bytes)
  }

  input(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(poweredOff())
    if (bytes.length === 0) return Promise.resolve()
    return new Promise((done, fail) => {
      this.#queue.push({ bytes: bytes.slice(), at: 0, done, fail })
      this.feed()
    })
  }

  feed(): void {
    for (let next = this.#queue[0]; next; next = this.#queue[0]) {
      const taken = this.#uart.feed(next.bytes.subarray(next.at))
      this.#counters.add('serialInBytes', taken)
      next.at += taken
      if (next.at < next.bytes.length) return
      this.#queue.shift()
      next.done()
    }
  }

  close(): void {
    this.#closed = true
    this.flush()
    for (const typed of this.#queue.splice(0)) typed.fail(poweredOff())
    this.#onOutput.dispose()
  }
}

function poweredOff(): AppError {
  return new AppError('wrong-state', 'The machine is off: nothing reads what is typed.')
}
