/**
 * A socket of the host as the other end of a machine's connection. What it reads goes through one buffer that all sockets share, since it is used up within the call; sockets
 * that were accepted give buffers of their own.
 */
import { connect as connectSocket, type Socket } from 'node:net'
import { formatIp, type IpAddress } from '../../../../src-shared/model/ip.ts'
import { READ_SIZE } from '../limits.ts'
import type { HostEnd, HostEvents } from './host-end.ts'

const KEEP_ALIVE_MS = 2 * 3_600_000
let shared: Buffer | null = null

export class SocketEnd implements HostEnd {
  readonly #socket: Socket
  readonly #events: HostEvents
  readonly #onWritten = (): void => this.#events.written()
  #told = true
  #error: string | null = null

  private constructor(socket: Socket, events: HostEvents) {
    this.#socket = socket
    this.#events = events
    socket.on('end', () => this.#told && events.ended())
    socket.on('error', (error: NodeJS.ErrnoException) => (this.#error = error.code ?? 'EIO'))
    socket.on('close', () => this.#told && events.closed(this.#error))
  }

  static connect(address: IpAddress, port: number, events: HostEvents): SocketEnd {
    shared ??= Buffer.alloc(READ_SIZE)
    let end: SocketEnd | null = null
    const socket = connectSocket({
      host: formatIp(address),
      port,
      family: address.length === 4 ? 4 : 6,
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      onread: { buffer: shared, callback: (bytes, buffer) => !end!.#told || events.data((buffer as Buffer).subarray(0, bytes)) },
    })
    end = new SocketEnd(socket, events)
    socket.on('connect', () => events.connected())
    return end
  }

  /** @param socket accepted with allowHalfOpen */
  static adopt(socket: Socket, events: HostEvents): SocketEnd {
    const end = new SocketEnd(socket, events)
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.on('data', (bytes) => {
      if (end.#told && !events.data(bytes as Buffer)) socket.pause()
    })
    return end
  }

  get backlog(): number {
    return this.#socket.writableLength
  }

  write(first: Buffer, second: Buffer | null): void {
    const socket = this.#socket
    if (!second) {
      socket.write(first, this.#onWritten)
      return
    }
    socket.cork()
    socket.write(first)
    socket.write(second, this.#onWritten)
    socket.uncork()
  }

  end(): void {
    this.#socket.end()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  destroy(reset: boolean): void {
    this.#told = false
    // One that is not connected yet would be reset when it is.
    if (reset && !this.#socket.connecting) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
  }
}
