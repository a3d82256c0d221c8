/**
 * A serial port of a QEMU machine: our one connection to its character device. Theory of operation: output is taken as it comes (readers have
 * their own pace in the console hub); input waits while the guest's UART is full, because QEMU then stops reading and the connection fills up.
 * What waits there is a part of no saved memory: of text typed to a machine that is paused, or whose guest does not read, only what is in the UART
 * (16 bytes) survives a suspend. QEMU does not say how much of it it took, so that the rest cannot be told apart and kept.
 * QEMU itself appends all output to the port's log file, also while no host is connected; this end keeps that file from growing
 * without end, and reads it when it takes over a machine that ran before.
 */
import { copyFile, open, stat, truncate } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { Emitter } from '../../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { Counters } from '../../../src-shared/threads/counters.ts'
import { KEPT } from '../console-hub.ts'
import type { SerialPort } from '../engine.ts'
import { LOG_BYTES } from '../serial-log.ts'

export class QemuSerial implements SerialPort {
  readonly keepsLog = true
  readonly earlier: Uint8Array
  /** Resolves when no more output can come. */
  readonly ended: Promise<void>
  #socket: Socket
  #counters: Counters
  #onOutput = new Emitter<Uint8Array>()
  #closed = false

  readonly onOutput = this.#onOutput.event

  /** @param socket paused; it stays so until `listen` */
  constructor(socket: Socket, counters: Counters, earlier: Uint8Array = new Uint8Array()) {
    this.#socket = socket
    this.#counters = counters
    this.earlier = earlier
    socket.on('data', (bytes: Uint8Array) => {
      counters.add('serialOutBytes', bytes.length)
      this.#onOutput.fire(bytes)
    })
    socket.pause()
    this.ended = new Promise((resolve) => socket.once('close', () => ((this.#closed = true), resolve())))
  }

  /** Output flows from here on: somebody listens to `onOutput`. */
  listen(): void {
    this.#socket.resume()
  }

  input(bytes: Uint8Array): Promise<void> {
    if (this.#closed) return Promise.reject(poweredOff())
    if (bytes.length === 0) return Promise.resolve()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const gone = (): void => reject(poweredOff())
    this.#socket.once('close', gone)
    // Called when the system has all of it: what QEMU does not take stays in the socket, and the next write waits.
    this.#socket.write(new Uint8Array(bytes), (error) => {
      this.#socket.off('close', gone)
      if (error) return gone()
      this.#counters.add('serialInBytes', bytes.length)
      resolve()
    })
    return promise
  }

  close(): void {
    this.#closed = true
    this.#socket.destroy()
    this.#onOutput.dispose()
  }
}

function poweredOff(): AppError {
  return new AppError('wrong-state', 'The machine is off: nothing reads what is typed.')
}

/**
 * What a port printed in this life before this host came: the end of its log. The machine stands still meanwhile.
 * @param start where in the log this life begins, bytes
 */
export async function readEarlier(log: string, start: number): Promise<Uint8Array<ArrayBuffer>> {
  try {
    await using file = await open(log, 'r')
    const { size } = await file.stat()
    const from = Math.max(start <= size ? start : 0, size - KEPT)
    const bytes = new Uint8Array(size - from)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
    return bytes.subarray(0, bytesRead)
  } catch (error) {
    console.error(asAppError(error, `Reading the serial log “${log}”`).message)
    return new Uint8Array()
  }
}

/**
 * Puts a full log aside as `<log>.1`. QEMU has the file open for appending, so that it is copied and cut instead of renamed; what the guest
 * prints between the two is lost from the file (not from the consoles).
 * @returns whether it was full
 */
export async function rotateLog(log: string): Promise<boolean> {
  const size = await stat(log).then(
    (found) => found.size,
    () => 0,
  )
  if (size < LOG_BYTES) return false
  await copyFile(log, `${log}.1`)
  await truncate(log, 0)
  return true
}
