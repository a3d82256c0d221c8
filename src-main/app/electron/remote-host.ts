/**
 * A host that runs already, in another process: it serves windows on loopback for as long as we ask it to, and each window's port is joined to a
 * WebSocket of that server. So the host sees a window, with a window's rights.
 */
import { once } from 'node:events'
import { WebSocket } from 'ws'
import { app } from '../../../src-shared/api/app.ts'
import type { Event } from '../../../src-shared/base/event.ts'
import type { RpcClient } from '../../../src-shared/rpc/client.ts'
import { webSocketWire, type WebSocketLike } from '../../../src-shared/rpc/wires/web-socket-wire.ts'
import type { Wire } from '../../../src-shared/rpc/wire.ts'
import { cookieName, cookieValue } from '../serve/token.ts'

export interface RemoteHost {
  /** Joins a window's port, as acceptWires gives it. */
  connect(open: () => Wire, abandon: () => void): Promise<void>
  /** The host is gone. */
  readonly onEnd: Event<void>
  dispose(): void
}

/** @param client connected to the host's local socket; it is ours from here */
export async function remoteHost(client: RpcClient): Promise<RemoteHost> {
  const { opening, stream } = await client.service(app).serve({})
  const url = new URL(opening.url)
  const cookie = `${cookieName(opening.port)}=${cookieValue(url.searchParams.get('token') ?? '')}`
  return {
    connect: async (open, abandon) => {
      const socket = new WebSocket(`ws://${url.host}/wire`, { headers: { cookie }, origin: url.origin, perMessageDeflate: false })
      try {
        await once(socket, 'open')
      } catch {
        abandon()
        return
      }
      joinWires(open(), webSocketWire(socket as unknown as WebSocketLike))
    },
    onEnd: client.onClose,
    dispose: () => {
      stream.close()
      client.dispose()
    },
  }
}

/** Everything from one to the other; the end of one ends both. */
export function joinWires(a: Wire, b: Wire): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.onMessage((message) => to.post(message))
    from.onClose(() => to.close())
  }
}
