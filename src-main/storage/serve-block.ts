/** A block device as the `block` service on a MessagePort (see src-shared/threads/block-port.ts). */
import type { MessagePort } from 'node:worker_threads'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { RpcServer } from '../../src-shared/rpc/server.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../src-shared/threads/block-port.ts'
import { RequestOrder } from './request-order.ts'
import { ServedRing, type ServedDevice } from './serve-ring.ts'

export interface ServedBlock {
  /** Stops serving, waits for what is under way, flushes and closes the device. Idempotent. */
  close(): Promise<void>
}

/**
 * Serves info, and a ring for the data, until the peer closes the port or `close` is called; then the device, which is owned from now on, is closed. Requests are answered as
 * they are done; those that touch the same bytes are done in order, and a flush covers every write that was asked for before it.
 * @param onClosed told once, with the error when the last flush failed
 */
export function serveBlock(device: ServedDevice, port: MessagePort, onClosed: (error: unknown) => void): ServedBlock {
  const order = new RequestOrder()
  let ring: ServedRing | null = null
  const server = new RpcServer()
  server.register(blockPort, {
    info: () => device.info,
    ring: ({ memory }) => {
      if (ring) throw new AppError('wrong-state', 'This port has its ring already.')
      ring = new ServedRing(memory, device, order)
      return ring.ended
    },
  })
  const wire = portWire(nodePort(port, 'close', () => port.close()))
  const serving = server.attach(wire, { kind: 'thread' })
  let closed: Promise<void> | null = null
  const close = (): Promise<void> => {
    if (closed) return closed
    ring?.end()
    closed = order.idle().then(() => device.close())
    serving.dispose()
    return closed
  }
  wire.onClose(() => {
    close().then(
      () => onClosed(null),
      (error: unknown) => onClosed(error),
    )
  })
  return { close }
}
