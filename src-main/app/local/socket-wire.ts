/** A wire over a local socket (unix domain socket, Windows named pipe) or any other byte stream of Node's. */
import type { Socket } from 'node:net'
import type { Wire, WireMessage } from '../../../src-shared/rpc/wire.ts'
import { encodeForStream, MAX_FRAME, MessageReader } from '../../../src-shared/rpc/wires/frames.ts'
import { WireEnd } from '../../../src-shared/rpc/wires/wire-end.ts'

/**
 * Bytes that may wait for a peer that does not read. Streams have credit and stay far below; what is left is events and answers, and a
 * peer that lets this much of them pile up is stuck: its wire is closed.
 */
export const MAX_UNSENT = 2 * MAX_FRAME

/** How long the last messages may take to leave after `close`. */
const LINGER_MS = 2000

/** The wire owns the socket. A frame that cannot be read, or a peer that does not read, closes it. */
export function socketWire(socket: Socket): Wire {
  const end = new WireEnd()
  const reader = new MessageReader()
  const drop = (): void => {
    if (end.close()) socket.destroy()
  }
  socket.on('data', (bytes: Buffer) => {
    let received: WireMessage[]
    try {
      received = reader.push(bytes)
    } catch {
      drop()
      return
    }
    for (const message of received) end.receive(message)
  })
  // A local peer that ended its half has gone: there is no half-open conversation.
  socket.on('end', drop)
  socket.on('close', drop)
  socket.on('error', drop)
  return {
    post: (message) => {
      if (!end.open) return
      const [front, data] = encodeForStream(message)
      if (data) {
        // In one system call, without joining them first.
        socket.cork()
        socket.write(front)
        socket.write(data)
        socket.uncork()
      } else socket.write(front)
      if (socket.writableLength > MAX_UNSENT) drop()
    },
    onMessage: end.onMessage,
    onClose: end.onClose,
    close: () => {
      if (!end.open) return
      // What was posted before still goes out; this end is told at once.
      socket.end()
      const linger = setTimeout(() => socket.destroy(), LINGER_MS)
      socket.once('close', () => clearTimeout(linger))
      end.close()
    },
  }
}
