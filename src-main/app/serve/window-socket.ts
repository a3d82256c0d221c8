/**
 * A window's WebSocket as a Wire, with what a browser's peer needs besides: a heartbeat that finds windows which are gone without a goodbye
 * (a laptop lid, a pulled cable), and an end for those that stop reading.
 */
import type { WebSocket } from 'ws'
import { webSocketWire, type WebSocketLike } from '../../../src-shared/rpc/wires/web-socket-wire.ts'
import type { Wire } from '../../../src-shared/rpc/wire.ts'

export interface WindowSocketLimits {
  /** A window that has not answered a ping when the next is due is gone. ms */
  heartbeatMs: number
  /** Streams are held by credit; events are not. A window with this much unread is gone. Bytes. */
  maxUnsent: number
}

export const WINDOW_SOCKET_LIMITS: WindowSocketLimits = { heartbeatMs: 30_000, maxUnsent: 32 * 1024 * 1024 }

export function windowWire(socket: WebSocket, limits: WindowSocketLimits = WINDOW_SOCKET_LIMITS): Wire {
  let answered = true
  socket.on('pong', () => {
    answered = true
  })
  const heartbeat = setInterval(() => {
    if (!answered) return socket.terminate()
    answered = false
    socket.ping()
  }, limits.heartbeatMs)
  heartbeat.unref()
  socket.once('close', () => clearInterval(heartbeat))

  const wire = webSocketWire(socket as unknown as WebSocketLike)
  return {
    ...wire,
    post: (message, transfer) => {
      if (socket.bufferedAmount > limits.maxUnsent) return socket.terminate()
      wire.post(message, transfer)
    },
  }
}
