/**
 * A port of the loopback at which one machine's screen is offered to VNC viewers. Theory of operation: each connection passes the handshake with the
 * password here (handshake.ts); then whoever owns the server joins it to the machine's own screen. What has not shown the password yet is bounded in
 * number and time, and wrong passwords are slowed down (failure-limit.ts). The password is asked for at each connection and kept nowhere.
 */
import { randomBytes } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { toDisposable } from '../../../src-shared/base/disposable.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { Log } from '../log/log.ts'
import { answersChallenge, CHALLENGE_BYTES } from './auth.ts'
import { converse } from './converse.ts'
import { FailureLimit } from './failure-limit.ts'
import { admitViewer } from './handshake.ts'
import { SocketStream } from './socket-stream.ts'

export const LOOPBACK = '127.0.0.1'
/** Connections that have not shown the password, and all together. */
export const MAX_GREETING = 4
export const MAX_CONNECTIONS = 12
/** ms for the handshake: a person types the password in it. */
export const HANDSHAKE_TIME = 60_000
/** Where viewers expect screens ("localhost:1" is port 5901); 5900 is often this computer's own. */
const USUAL_PORTS = { first: 5901, last: 5999 }

export interface VncServerParts {
  /** The machine's, for sentences. */
  name: string
  /** The password now. */
  password(): Promise<string>
  /**
   * Joins a viewer that may see the screen to it: behind the viewer's ClientInit, which the screen's owner sends itself.
   * @param rest of the viewer's bytes, those that were read already
   */
  show(viewer: ByteStream, rest: Uint8Array): Promise<void>
  log: Log
}

export class VncServer implements Disposable {
  #parts: VncServerParts
  #server: Server
  #sockets = new Set<Socket>()
  #greeting = 0
  #limit = new FailureLimit()
  #handshakeTime: number
  #disposed = false
  #tracked: Disposable

  /** @param handshakeTime ms */
  constructor(parts: VncServerParts, handshakeTime = HANDSHAKE_TIME) {
    this.#parts = parts
    this.#handshakeTime = handshakeTime
    this.#server = createServer((socket) => void this.#receive(socket))
    this.#server.maxConnections = MAX_CONNECTIONS
    this.#tracked = toDisposable(() => {
      this.#disposed = true
      this.#server.close()
      this.dropViewers()
    })
  }

  /**
   * Listens on the loopback.
   * @param wish null: any free port, a usual one where there is one
   * @returns the port
   * @throws AppError `unavailable` where the port is taken, `denied`
   */
  async listen(wish: number | null): Promise<number> {
    if (wish !== null) return this.#listen(wish)
    for (let port = USUAL_PORTS.first; port <= USUAL_PORTS.last; port++) {
      try {
        return await this.#listen(port)
      } catch (error) {
        if (asAppError(error).code !== 'unavailable') throw error
      }
    }
    return this.#listen(0)
  }

  #listen(port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException): void => {
        this.#server.off('listening', listening)
        const taken = `Port ${port} is used by another program. Choose another port for VNC viewers of “${this.#parts.name}”, or any free one.`
        reject(error.code === 'EADDRINUSE' ? new AppError('unavailable', taken) : asAppError(error, 'Listening for VNC viewers'))
      }
      const listening = (): void => {
        this.#server.off('error', failed)
        // A connection that the system could not take (it has no more memory for it): the others go on.
        this.#server.on('error', (error) => this.#note(asAppError(error, 'Taking a VNC viewer’s connection')))
        if (this.#disposed) this.#server.close()
        resolve((this.#server.address() as { port: number }).port)
      }
      this.#server.once('error', failed).once('listening', listening).listen({ host: LOOPBACK, port })
    })
  }

  /** Ends all that are connected; new ones may come. */
  dropViewers(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  dispose(): void {
    this.#tracked.dispose()
  }

  async #receive(socket: Socket): Promise<void> {
    if (this.#greeting >= MAX_GREETING) return void socket.destroy()
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    const viewer = new SocketStream(socket)
    try {
      const rest = await this.#greet(socket, viewer)
      if (rest) await this.#parts.show(viewer, rest)
    } catch (error) {
      this.#note(asAppError(error, 'Showing the screen to a VNC viewer'))
      viewer.close()
    }
  }

  /** @returns what the viewer sent after the handshake; null where it was refused */
  async #greet(socket: Socket, viewer: SocketStream): Promise<Uint8Array | null> {
    this.#greeting++
    const timer = setTimeout(() => socket.destroy(), this.#handshakeTime)
    try {
      const password = await this.#parts.password()
      const challenge = randomBytes(CHALLENGE_BYTES)
      const accepts = (answer: Uint8Array): boolean => this.#judge(answersChallenge(password, challenge, answer))
      const { result: admitted, rest } = await converse(viewer, admitViewer({ challenge, accepts, closed: () => this.#closed() }))
      if (admitted) return rest
      viewer.close()
      return null
    } finally {
      clearTimeout(timer)
      this.#greeting--
    }
  }

  #judge(right: boolean): boolean {
    if (right) this.#limit.succeeded()
    else {
      this.#limit.failed()
      this.#parts.log.warn('machines', 'A VNC viewer gave a wrong password.', { machine: this.#parts.name })
    }
    return right
  }

  #closed(): string | null {
    const seconds = Math.ceil(this.#limit.wait / 1000)
    return seconds === 0 ? null : `Too many wrong passwords. Try again in ${seconds} s.`
  }

  /** A viewer that leaves, or never was one, is no news. */
  #note(error: AppError): void {
    if (error.code === 'disconnected' || error.code === 'invalid-input') return
    this.#parts.log.warn('machines', error.message, { machine: this.#parts.name, error })
  }
}
