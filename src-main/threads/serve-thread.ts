/** What every thread's entry does: serve its services on the port to the host. */
import { parentPort } from 'node:worker_threads'
import { RpcServer } from '../../src-shared/rpc/server.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'

/** Runs in a worker thread only. The thread ends when the host closes the port or terminates it. */
export function serveThread(register: (server: RpcServer) => void): void {
  const port = parentPort
  if (!port) throw new Error('This file runs as a worker thread.')
  const server = new RpcServer((error, where) => console.error(`${where}: ${error.stack ?? error.message}`))
  register(server)
  server.attach(portWire(nodePort(port, 'close', () => port.close())), { kind: 'thread' })
}
