import type { Wire, WireMessage } from '../wire.ts'
import { decodeFrame, encodeFrame, MAX_FRAME } from './frames.ts'
import { WireEnd } from './wire-end.ts'

/** What the browser's WebSocket and the `ws` package's have in common. */
export interface WebSocketLike {
  binaryType: string
  /** Bytes that were sent and have not left yet. */
  readonly bufferedAmount: number
  send(data: Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close' | 'error', listener: () => void): void
}

/**
 * Bytes that may wait for a peer that does not read. Streams have credit and stay far below; a peer that lets this much of events and answers
 * pile up is stuck.
 */
export const MAX_UNSENT = 2 * MAX_FRAME
/** RFC 6455: 1002, protocol error. */
const PROTOCOL_ERROR = 1002

/** A wire over an open WebSocket. A frame that cannot be read, or a peer that does not read, closes it. */
export function webSocketWire(socket: WebSocketLike): Wire {
  const end = new WireEnd()
  const close = (code?: number): void => {
    if (end.close()) socket.close(code)
  }
  socket.binaryType = 'arraybuffer'
  socket.addEventListener('message', ({ data }) => {
    if (!end.open) return
    let message: WireMessage
    try {
      message = decodeFrame(data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array())
    } catch {
      close(PROTOCOL_ERROR)
      return
    }
    end.receive(message)
  })
  socket.addEventListener('close', () => end.close())
  socket.addEventListener('error', () => end.close())
  return {
    post: (message) => {
      if (!end.open) return
      socket.send(encodeFrame(message))
      if (socket.bufferedAmount > MAX_UNSENT) close()
    },
    onMessage: end.onMessage,
    onClose: end.onClose,
    close: () => close(),
  }
}
