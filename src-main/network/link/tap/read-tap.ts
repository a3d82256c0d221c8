/**
 * The work of the thread that reads a TAP device: Node has no way to be told that such a device has frames, so a thread waits for them and puts them into a ring, of which the
 * network thread has the other end.
 */
import { FrameRing } from '../../../../src-shared/threads/frame-ring.ts'
import { MAX_FRAME } from '../../port.ts'
import { readFrame, waitForFrames } from './tap-calls.ts'

export interface TapOrder {
  /** Of the device, and what ends the thread when it is written to. */
  fd: number
  waker: number
  ring: SharedArrayBuffer
}

/** Returns when it was woken, or the device is gone. */
export function readTap({ fd, waker, ring }: TapOrder): void {
  const end = new FrameRing(ring, 'machine')
  const frame = new Uint8Array(MAX_FRAME)
  while (waitForFrames(fd, waker))
    for (;;) {
      const length = readFrame(fd, frame)
      if (length < 0) return
      if (length === 0) break
      end.send(frame.subarray(0, length))
    }
}
