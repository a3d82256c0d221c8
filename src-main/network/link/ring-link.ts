/** A card of the embedded engine: in shared memory, as long as it is plugged in. */
import { FrameRing } from '../../../src-shared/threads/frame-ring.ts'
import type { FromCard, Link } from './link.ts'

/** @param receive called from the next turn on: frames may wait already, and whoever plugs in has not done yet. @throws AppError `invalid-input` for memory of another size */
export function ringLink(buffer: SharedArrayBuffer, receive: FromCard): Link {
  const ring = new FrameRing(buffer, 'network')
  const beginning = setImmediate(() => ring.watch(receive, setImmediate))
  return {
    send: (frame) => ring.send(frame),
    connected: true,
    dispose: () => {
      clearImmediate(beginning)
      ring.dispose()
    },
  }
}
