/** A wire over a local socket (unix domain socket, Windows named pipe) or any other byte stream of Node's. */
import type { Socket } from 'node:net'
import { Emitter } from '../../../src-shared/base/event.ts'
import type { Wire, WireMessage } from '../../../src-shared/rpc/wire.ts'
import { decodeFrame, encodeFrame, FrameSplitter, MAX_FRAME, withLength } from '../../../src-shared/rpc/wires/frames.ts'

/**
 * Bytes that may wait for a peer that does not read. Streams have credit and stay far below; what is left is events and answers, and a
 * peer that lets this much of them pile up is stuck: its wire is closed.
 */
export const MAX_UNSENT = 2 * MAX_FRAME

/** The wire owns the socket. A frame that cannot be read, or a peer that does not read, closes it. */
export function socketWire(socket: Socket): Wire {
  const messages = new Emitter<WireMessage>()
  const closes = new Emitter<void>()
  const splitter = new FrameSplitter()
  let open = true
  const closed = (): void => {
    if (!open) return
    open = false
    socket.destroy()
    closes.fire()
    messages.dispose()
    closes.dispose()
  }
  socket.on('data', (bytes: Buffer) => {
    let received: WireMessage[]
    try {
      received = splitter.push(bytes).map(decodeFrame)
    } catch {
      closed()
      return
    }
    for (const message of received) if (open) messages.fire(message)
  })
  // A local peer that ended its half has gone: there is no half-open conversation.
  socket.on('end', closed)
  socket.on('close', closed)
  socket.on('error', closed)
  return {
    post: (message) => {
      if (!open) return
      socket.write(withLength(encodeFrame(message)))
      if (socket.writableLength > MAX_UNSENT) closed()
    },
    onMessage: messages.event,
    onClose: closes.event,
    close: () => {
      if (!open) return
      // What was posted before still goes out; `closed` tells this end at once.
      socket.end()
      const linger = setTimeout(() => socket.destroy(), LINGER_MS)
      socket.once('close', () => clearTimeout(linger))
      open = false
      closes.fire()
      messages.dispose()
      closes.dispose()
    },
  }
}

/** How long the last messages may take to leave after `close`. */
const LINGER_MS = 2000
