/** An end of a ring of frames that writes numbered frames without pause, or reads and checks them, until this thread is ended. */
import { parentPort, workerData } from 'node:worker_threads'
import { FrameRing, type FrameRingSide } from '../../../src-shared/threads/frame-ring.ts'

export interface FloodOrder {
  buffer: SharedArrayBuffer
  side: FrameRingSide
  work: 'write' | 'read'
  /** 0: number of the last frame that was written, 1: of the last that was read, 2: how many were read, 3: frames that are not what was written. */
  facts: Int32Array
  /** A writer goes on behind this number. */
  from: number
}

const { buffer, side, work, facts, from } = workerData as FloodOrder
const ring = new FrameRing(buffer, side)

if (work === 'write') write(from)
else
  ring.watch((frame) => {
    const number = new DataView(frame.buffer, frame.byteOffset).getUint32(0)
    if (number <= Atomics.load(facts, 1) || frame.length !== lengthOf(number) || frame.at(-1) !== (number & 255)) Atomics.add(facts, 3, 1)
    Atomics.store(facts, 1, number)
    Atomics.add(facts, 2, 1)
    Atomics.notify(facts, 2)
  }, setImmediate)
// What waits for shared memory keeps no thread alive.
parentPort!.on('message', () => {})
parentPort!.postMessage('ready')

function write(number: number): void {
  for (let count = 0; count < 200; count++) {
    const frame = new Uint8Array(lengthOf(number + 1)).fill((number + 1) & 255, 4)
    new DataView(frame.buffer).setUint32(0, number + 1)
    if (!ring.send(frame)) break
    Atomics.store(facts, 0, ++number)
  }
  setImmediate(() => write(number))
}

function lengthOf(number: number): number {
  return 5 + ((number * 7919) % (number % 50 === 0 ? 60_000 : 1500))
}
