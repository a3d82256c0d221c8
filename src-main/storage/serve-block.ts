/** A block device as the `block` service on a MessagePort (see src-shared/threads/block-port.ts). */
import type { MessagePort } from 'node:worker_threads'
import { RpcServer } from '../../src-shared/rpc/server.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../src-shared/threads/block-port.ts'
import type { BlockDevice } from './block-device.ts'
import { RequestOrder } from './request-order.ts'

export interface ServedBlock {
  /** Stops serving, waits for what is under way, flushes and closes the device. Idempotent. */
  close(): Promise<void>
}

/**
 * Serves until the peer closes the port or `close` is called; then the device, which is owned from now on, is closed. Requests are answered as
 * they are done; those that touch the same bytes are done in order, and a flush covers every write that was asked for before it.
 * @param onClosed told once, with the error when the last flush failed
 */
export function serveBlock(device: BlockDevice, port: MessagePort, onClosed: (error: unknown) => void): ServedBlock {
  const order = new RequestOrder()
  const server = new RpcServer()
  server.register(blockPort, {
    info: () => device.info,
    read: ({ offset, length }) =>
      order.run(false, offset, length, async () => {
        const bytes = new Uint8Array(length)
        await device.read(offset, bytes)
        return bytes
      }),
    write: ({ offset, bytes }) => order.run(true, offset, bytes.length, () => device.write(offset, bytes)),
    flush: () => order.afterWrites(() => device.flush()),
  })
  const wire = portWire(nodePort(port, 'close', () => port.close()))
  const serving = server.attach(wire, { kind: 'thread' })
  let closed: Promise<void> | null = null
  const close = (): Promise<void> => {
    closed ??= order.idle().then(() => device.close())
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
