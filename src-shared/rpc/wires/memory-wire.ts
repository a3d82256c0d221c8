import { Emitter } from '../../base/event.ts'
import type { Wire, WireMessage } from '../wire.ts'

/**
 * Two wires joined back to back, for tests and for peers in one process. Delivery is asynchronous and messages are cloned, as on
 * every other wire.
 */
export function memoryWirePair(): [Wire, Wire] {
  const messages = [new Emitter<WireMessage>(), new Emitter<WireMessage>()] as const
  const closes = [new Emitter<void>(), new Emitter<void>()] as const
  let open = true
  const close = (): void => {
    if (!open) return
    open = false
    queueMicrotask(() => {
      for (const emitter of closes) {
        emitter.fire()
        emitter.dispose()
      }
      for (const emitter of messages) emitter.dispose()
    })
  }
  const end = (self: 0 | 1): Wire => ({
    post(message, transfer) {
      if (!open) return
      const copy = structuredClone(message, { transfer: [...(transfer ?? [])] as Transferable[] })
      queueMicrotask(() => messages[self === 0 ? 1 : 0].fire(copy))
    },
    onMessage: messages[self].event,
    onClose: closes[self].event,
    close,
  })
  return [end(0), end(1)]
}
