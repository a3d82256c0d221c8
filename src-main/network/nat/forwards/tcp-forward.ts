/** A TCP port of the host whose connections go to a machine. */
import { createServer, type Server, type Socket } from 'node:net'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { SocketEnd } from '../tcp/socket-end.ts'
import type { ForwardListener, ForwardParts, ForwardTarget, Told } from './forward.ts'
import { listenError } from './listen-error.ts'

/** How long connections wait for a machine that has no address yet, and how many. */
const WAIT_MS = 10_000
const MAX_WAITING = 64

export class TcpForward implements ForwardListener {
  target: ForwardTarget
  readonly #parts: ForwardParts
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #waiting = new Map<Socket, Disposable>()

  constructor(parts: ForwardParts, address: string, port: number, target: ForwardTarget, told: Told) {
    this.#parts = parts
    this.target = target
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => this.#accept(socket))
    this.#server.on('error', (error) => told(listenError(error, 'tcp', address, port)))
    this.#server.listen({ host: address, port, exclusive: true, ipv6Only: true }, () => told(null))
  }

  retarget(): void {
    if (!this.target.guest) return
    for (const [socket, timer] of this.#waiting) {
      timer.dispose()
      this.#open(socket)
    }
    this.#waiting.clear()
  }

  dispose(): void {
    this.#server.removeAllListeners('error').on('error', () => {})
    this.#server.close()
    for (const timer of this.#waiting.values()) timer.dispose()
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    // Before it has an owner, errors only end it.
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#waiting.get(socket)?.dispose()
      this.#waiting.delete(socket)
    })
    if (this.target.guest) return this.#open(socket)
    if (this.#waiting.size >= MAX_WAITING) return void socket.resetAndDestroy()
    this.#waiting.set(
      socket,
      this.#parts.timers.clock.after(WAIT_MS, () => socket.resetAndDestroy()),
    )
  }

  #open(socket: Socket): void {
    const { guest, guestPort } = this.target
    const gateway = this.#parts.gateway(guest!.length as 4 | 16)
    const from = socket.remotePort
    if (gateway === null || from === undefined) return void socket.resetAndDestroy()
    if (!this.#parts.tcp.open(guest!, guestPort, gateway, from, (events) => SocketEnd.adopt(socket, events))) socket.resetAndDestroy()
  }
}
