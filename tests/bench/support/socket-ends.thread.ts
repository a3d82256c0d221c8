/** A server on the loopback on a thread of its own: the first byte of a connection says whether it swallows what follows and answers with one byte at the end, or pours. */
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { parentPort } from 'node:worker_threads'

const CHUNK = Buffer.alloc(256 * 1024, 7)

function pour(socket: Socket): void {
  while (!socket.destroyed && socket.write(CHUNK));
}

const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
  socket.on('error', () => {})
  socket.once('data', (first: Buffer) => {
    if (first[0] === 1) {
      socket.on('drain', () => pour(socket))
      pour(socket)
    } else {
      socket.on('data', () => {})
      socket.on('end', () => socket.end('.'))
    }
  })
})
server.listen(0, '127.0.0.1', () => parentPort!.postMessage((server.address() as AddressInfo).port))
