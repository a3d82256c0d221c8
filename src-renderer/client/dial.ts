/** The two ways to the host: a MessagePort from Electron's preload, or a WebSocket to the server that this page came from. */
import { AppError } from '../../src-shared/errors/app-error.ts'
import { domPort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { webSocketWire } from '../../src-shared/rpc/wires/web-socket-wire.ts'
import type { Dial } from './host-link.ts'

/** The message with which the preload hands a port over. */
const PORT_MESSAGE = 'coppice-wire'

export function inElectron(): boolean {
  return navigator.userAgent.includes(' Electron/')
}

/** Each port that the preload posts is one connection; it is kept until the link asks for it. */
export function dialPorts(): Dial {
  const ports: MessagePort[] = []
  let wake: (() => void) | null = null
  window.addEventListener('message', (event) => {
    const port = event.ports[0]
    if (event.source !== window || event.data !== PORT_MESSAGE || !port) return
    ports.push(port)
    wake?.()
  })
  return async () => {
    while (ports.length === 0) await new Promise<void>((resolve) => (wake = resolve))
    return portWire(domPort(ports.pop()!))
  }
}

export function dialWebSocket(): Dial {
  return () =>
    new Promise((resolve, reject) => {
      const url = new URL('/wire', location.href)
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
      const socket = new WebSocket(url)
      const fail = (): void => {
        void isRefused().then((refused) =>
          reject(
            refused
              ? new AppError('denied', 'Coppice was restarted, and this page’s access ended with it.')
              : new AppError('disconnected', 'Coppice does not answer.'),
          ),
        )
      }
      socket.addEventListener('error', fail, { once: true })
      socket.addEventListener('open', () => {
        socket.removeEventListener('error', fail)
        resolve(webSocketWire(socket))
      })
    })
}

/** A WebSocket does not say why it failed; a request for the page does. */
async function isRefused(): Promise<boolean> {
  try {
    const answer = await fetch('/', { method: 'HEAD', cache: 'no-store' })
    return answer.status === 401 || answer.status === 403
  } catch {
    return false
  }
}
