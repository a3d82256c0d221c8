/** A card of the embedded engine: in shared memory, as long as it is plugged in. */
import { FrameRing } from '../../../src-shared/threads/frame-ring.ts'
import type { FromCard, Link } from './link.ts'

/** @throws AppError `invalid-input` for memory of another size */
export function ringLink(buffer: SharedArrayBuffer, receive: FromCard): Link {
  const ring = new FrameRing(buffer, 'network')
  ring.watch(receive, setImmediate)
  return {
    send: (frame) => ring.send(frame),
    connected: true,
    dispose: () => ring.dispose(),
  }
}
