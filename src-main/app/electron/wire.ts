/** Wires from windows: ports that arrive from the preload script, checked for who sent them. */
import { ipcMain, type IpcMainEvent, type MessagePortMain } from 'electron'
import { toDisposable, type Disposable } from '../../../src-shared/base/disposable.ts'
import { portWire, type PortLike } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import type { Wire } from '../../../src-shared/rpc/wire.ts'
import { WIRE_CHANNEL } from './channel.ts'
import { isWindowFrame } from './security.ts'

/** Electron's MessagePort. It transfers nothing but ports, so that buffers are copied. */
export function mainPort(port: MessagePortMain): PortLike {
  return {
    postMessage: (message) => port.postMessage(message),
    listen: (listener) => {
      port.on('message', (event) => listener(event.data))
      port.start()
    },
    onClose: (listener) => port.on('close', listener),
    close: () => port.close(),
  }
}

/**
 * Calls `connect` for each port that a window of ours sends; other senders' ports are closed. What the window posts waits until `open` is called:
 * attach to the wire in the same breath.
 */
export function acceptWires(connect: (open: () => Wire, abandon: () => void) => void): Disposable {
  const listener = (event: IpcMainEvent): void => {
    const [port, ...others] = event.ports
    for (const other of others) other.close()
    if (!port) return
    if (isWindowFrame(event.senderFrame))
      connect(
        () => portWire(mainPort(port)),
        () => port.close(),
      )
    else port.close()
  }
  ipcMain.on(WIRE_CHANNEL, listener)
  return toDisposable(() => ipcMain.off(WIRE_CHANNEL, listener))
}
