import { isWireMessage } from '../check-message.ts'
import type { TransferItem, Wire } from '../wire.ts'
import { WireEnd } from './wire-end.ts'

/** What browsers' MessagePort, Node's MessagePort, Worker and parentPort, and Electron's MessagePortMain have in common once adapted. */
export interface PortLike {
  postMessage(message: unknown, transfer?: readonly TransferItem[]): void
  /** Calls `listener` with each message's data. */
  listen(listener: (data: unknown) => void): void
  onClose(listener: () => void): void
  close(): void
}

/** A wire over a port. What is no message is ignored: others may talk on the same port (a Worker's, the page's). */
export function portWire(port: PortLike): Wire {
  const end = new WireEnd()
  port.listen((data) => {
    if (end.open && isWireMessage(data)) end.receive(data)
  })
  port.onClose(() => end.close())
  return {
    post: (message, transfer) => {
      if (end.open) port.postMessage(message, transfer)
    },
    onMessage: end.onMessage,
    onClose: end.onClose,
    close: () => {
      if (end.close()) port.close()
    },
  }
}

/** A DOM MessagePort (also of a Web Worker). It has no close event everywhere: peers say goodbye through the page's end. */
export function domPort(port: MessagePort): PortLike {
  return {
    postMessage: (message, transfer) => port.postMessage(message, [...(transfer ?? [])] as Transferable[]),
    listen: (listener) => {
      port.onmessage = (event) => listener(event.data)
    },
    onClose: (listener) => port.addEventListener('close', () => listener()),
    close: () => port.close(),
  }
}

/** The shape of Node's MessagePort, Worker and parentPort. */
export interface NodePortLike {
  postMessage(message: unknown, transfer?: readonly never[]): void
  on(event: 'message', listener: (data: unknown) => void): unknown
  on(event: 'close' | 'exit', listener: () => void): unknown
}

/** @param close how this end gives the port up: `port.close()`, or `worker.terminate()` */
export function nodePort(port: NodePortLike, closeEvent: 'close' | 'exit', close: () => void): PortLike {
  return {
    postMessage: (message, transfer) => port.postMessage(message, transfer as readonly never[] | undefined),
    listen: (listener) => port.on('message', listener),
    onClose: (listener) => port.on(closeEvent, listener),
    close,
  }
}
