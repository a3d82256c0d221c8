import { Emitter } from '../../base/event.ts'
import type { Wire, WireMessage } from '../wire.ts'
import { decodeFrame, encodeFrame } from './frames.ts'

/** What the browser's WebSocket and the `ws` package's have in common. */
export interface WebSocketLike {
  binaryType: string
  send(data: Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close' | 'error', listener: () => void): void
}

/** RFC 6455: 1002, protocol error. */
const PROTOCOL_ERROR = 1002

/** A wire over an open WebSocket. A frame that cannot be read closes it. */
export function webSocketWire(socket: WebSocketLike): Wire {
  const messages = new Emitter<WireMessage>()
  const closes = new Emitter<void>()
  let open = true
  const closed = (): void => {
    if (!open) return
    open = false
    closes.fire()
  }
  socket.binaryType = 'arraybuffer'
  socket.addEventListener('message', ({ data }) => {
    let message: WireMessage
    try {
      message = decodeFrame(data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array())
    } catch {
      socket.close(PROTOCOL_ERROR)
      closed()
      return
    }
    messages.fire(message)
  })
  socket.addEventListener('close', closed)
  socket.addEventListener('error', closed)
  return {
    post: (message) => {
      if (open) socket.send(encodeFrame(message))
    },
    onMessage: messages.event,
    onClose: closes.event,
    close: () => {
      if (!open) return
      socket.close()
      closed()
    },
  }
}
