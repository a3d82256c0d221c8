/** Two joined wires over each of the adapters, for tests and benchmarks that must hold on all of them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { WebSocket, WebSocketServer } from 'ws'
import { socketWire } from '../../src-main/app/local/socket-wire.ts'
import type { Wire } from '../../src-shared/rpc/wire.ts'
import { memoryWirePair } from '../../src-shared/rpc/wires/memory-wire.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { webSocketWire, type WebSocketLike } from '../../src-shared/rpc/wires/web-socket-wire.ts'

export interface WirePair {
  near: Wire
  far: Wire
  /** Closes both and what carried them. */
  close(): Promise<void>
}

export function portToWire(port: MessagePort): Wire {
  return portWire(nodePort(port, 'close', () => port.close()))
}

function memory(): Promise<WirePair> {
  const [near, far] = memoryWirePair()
  return Promise.resolve({ near, far, close: () => Promise.resolve(near.close()) })
}

function messagePort(): Promise<WirePair> {
  const { port1, port2 } = new MessageChannel()
  const near = portToWire(port1)
  return Promise.resolve({ near, far: portToWire(port2), close: () => Promise.resolve(near.close()) })
}

/** Both ends of a WebSocket over loopback. */
export async function webSocketPair(): Promise<{ near: WebSocket; far: WebSocket; close(): Promise<void> }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  const accepted = new Promise<WebSocket>((resolve) => server.once('connection', resolve))
  await new Promise((resolve) => server.once('listening', resolve))
  const near = new WebSocket(`ws://127.0.0.1:${(server.address() as { port: number }).port}`)
  await new Promise((resolve) => near.once('open', resolve))
  const far = await accepted
  const close = async (): Promise<void> => {
    near.terminate()
    far.terminate()
    await new Promise((resolve) => server.close(resolve))
  }
  return { near, far, close }
}

async function webSocket(): Promise<WirePair> {
  const { near, far, close } = await webSocketPair()
  return { near: webSocketWire(near as WebSocketLike), far: webSocketWire(far as WebSocketLike), close }
}

/** Both ends of a local socket (a named pipe on Windows). */
export async function socketPair(): Promise<{ near: Socket; far: Socket; close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'coppice-socket-'))
  const path = process.platform === 'win32' ? `\\\\.\\pipe\\coppice-test-${crypto.randomUUID()}` : join(folder, 's')
  const server = createServer()
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve))
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const near = connect(path)
  const far = await accepted
  const close = async (): Promise<void> => {
    near.destroy()
    far.destroy()
    await new Promise((resolve) => server.close(resolve))
    await rm(folder, { recursive: true, force: true })
  }
  return { near, far, close }
}

async function localSocket(): Promise<WirePair> {
  const { near, far, close } = await socketPair()
  return { near: socketWire(near), far: socketWire(far), close }
}

export const WIRE_PAIRS: Record<string, () => Promise<WirePair>> = {
  'in-memory pair': memory,
  MessagePort: messagePort,
  WebSocket: webSocket,
  'local socket': localSocket,
}
