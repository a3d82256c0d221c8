/**
 * Connections to what QEMU listens on: unix sockets in the machine's private folder; on Windows, ports of the loopback. A character device of
 * QEMU takes one client and stops to listen while it has one, so that what is connected first keeps strangers out.
 */
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { asAppError, AppError } from '../../../../src-shared/errors/app-error.ts'
import type { Endpoint } from '../arguments/runtime.ts'

const LOOPBACK = '127.0.0.1'
/** ms between two attempts while QEMU starts: it does not say when it listens. */
const RETRY = 5

/** What `net.connect` takes. */
export function socketAddress(endpoint: Endpoint): { path: string } | { host: string; port: number } {
  return endpoint.kind === 'unix' ? { path: endpoint.path } : { host: LOOPBACK, port: endpoint.port }
}

/** As `migrate` and `migrate-incoming` name it. */
export function migrationUri(endpoint: Endpoint): string {
  return endpoint.kind === 'unix' ? `unix:${endpoint.path}` : `tcp:${LOOPBACK}:${endpoint.port}`
}

/**
 * Connects as soon as somebody listens there.
 * @param signal ends the attempts
 * @throws AppError `cancelled`, or why the system refuses
 */
export async function connectWhenReady(endpoint: Endpoint, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    if (signal.aborted) throw AppError.cancelled()
    try {
      return await connectOnce(endpoint)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw asAppError(error, 'Connecting to QEMU')
    }
    await sleep(RETRY)
  }
}

export function connectOnce(endpoint: Endpoint): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketAddress(endpoint))
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

/**
 * Listens for one peer and closes when it came.
 * @param at where; `inet` with port 0 takes any free port
 * @param signal gives up
 */
export async function acceptOne(at: Endpoint, signal: AbortSignal): Promise<{ endpoint: Endpoint; peer: Promise<Socket> }> {
  const server = createServer({ pauseOnConnect: true })
  const { promise: peer, resolve, reject } = Promise.withResolvers<Socket>()
  peer.catch(() => {})
  const stop = (): void => {
    server.close()
    reject(AppError.cancelled())
  }
  server.maxConnections = 1
  server.once('connection', (socket) => {
    signal.removeEventListener('abort', stop)
    server.close()
    resolve(socket)
  })
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen(socketAddress(at), listening)
  }).catch((error: unknown) => {
    throw asAppError(error, 'Listening for QEMU')
  })
  if (signal.aborted) stop()
  else signal.addEventListener('abort', stop, { once: true })
  const address = server.address()
  return { endpoint: typeof address === 'object' && address ? { kind: 'inet', port: address.port } : at, peer }
}

/** A port of the loopback that nobody uses now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen({ host: LOOPBACK, port: 0 }, listening)
  }).catch((error: unknown) => {
    throw asAppError(error, 'Finding a free port')
  })
  const { port } = server.address() as { port: number }
  await new Promise((closed) => server.close(closed))
  return port
}
