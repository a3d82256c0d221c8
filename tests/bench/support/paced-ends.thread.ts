/** A server on the loopback on a thread of its own: "pour N" in a connection's first line asks for so many bytes, anything else is swallowed and answered with a line at its end. */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { parentPort } from 'node:worker_threads'

const CHUNK = Buffer.alloc(256 * 1024, 7)

function pour(socket: Socket, bytes: number): void {
  let left = bytes
  const more = (): void => {
    while (left > 0 && !socket.destroyed) {
      const part = CHUNK.subarray(0, Math.min(left, CHUNK.length))
      left -= part.length
      if (!socket.write(part)) break
    }
    if (left === 0) socket.end()
  }
  socket.on('drain', more)
  more()
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on('error', () => {})
  socket.once('data', (first: Buffer) => {
    const asked = /^pour (\d+)\n/.exec(first.subarray(0, 32).toString('latin1'))
    if (asked) pour(socket, Number(asked[1]))
    else socket.on('data', () => {}).on('end', () => socket.end('over\n'))
  })
})
server.listen(0, '127.0.0.1', () => parentPort!.postMessage((server.address() as AddressInfo).port))
