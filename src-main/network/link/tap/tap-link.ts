/** A bridged network's way into the network of this computer's own card: a TAP device, read by a thread of its own. */
import { closeSync, writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { AppError } from '../../../../src-shared/errors/app-error.ts'
import { FrameRing, makeFrameRing } from '../../../../src-shared/threads/frame-ring.ts'
import type { FromCard, Link } from '../link.ts'
import type { TapOrder } from './read-tap.ts'
import { planUplink } from './uplink-plan.ts'

/**
 * @param card as the network's document names it
 * @param thread the entry of the thread that reads
 * @param onGone the device went away, and the link with it
 * @throws AppError: why it cannot be joined, and what to do about it
 */
export async function openTapLink(card: string | null, thread: URL, receive: FromCard, onGone: () => void): Promise<Link> {
  if (process.platform !== 'linux')
    throw new AppError('unsupported', 'Networks are joined to this computer’s own network on Linux only. Choose the kind “nat” here.')
  const plan = planUplink(card)
  const { closeWaker, makeWaker, openTap, writeFrame } = await import('./tap-calls.ts').catch((error: unknown) => {
    throw new AppError('unavailable', 'The library that calls Linux for TAP devices (koffi) cannot be loaded.', {}, error)
  })
  const fd = openTap(plan)
  const waker = makeWaker()
  const buffer = makeFrameRing()
  const ring = new FrameRing(buffer, 'network')
  ring.watch(receive, setImmediate)
  const order: TapOrder = { fd, waker, ring: buffer }
  const worker = new Worker(thread, { name: 'coppice-tap', workerData: order })
  let disposed = false
  worker.on('error', (error: Error) => console.error(`Reading a TAP device failed: ${error.message}`))
  // Only now: the thread used them until its end.
  worker.on('exit', () => {
    closeSync(fd)
    closeWaker(waker)
    if (disposed) return
    disposed = true
    ring.dispose()
    onGone()
  })
  return {
    send: (frame) => !disposed && writeFrame(fd, frame),
    connected: true,
    dispose() {
      if (disposed) return
      disposed = true
      ring.dispose()
      writeSync(waker, new BigUint64Array([1n]))
    },
  }
}
