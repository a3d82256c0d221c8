import { createHash } from 'node:crypto'
import { expect, test, vi } from 'vitest'
import { FrameRing, FRAME_RING_BYTES, makeFrameRing, MAX_RING_FRAME } from '../../../../src-shared/threads/frame-ring.ts'
import { noise, seeded } from '../../../support/seeded.ts'

function pair() {
  const buffer = makeFrameRing()
  return { buffer, machine: new FrameRing(buffer, 'machine'), network: new FrameRing(buffer, 'network') }
}

const digests = (frames: Uint8Array[]): string[] => frames.map((frame) => createHash('sha1').update(frame).digest('hex'))

function all(ring: FrameRing): Uint8Array[] {
  const got: Uint8Array[] = []
  while (ring.receive((frame) => got.push(frame.slice())));
  return got
}

test('frames of all lengths cross both ways, in order, across the end of the memory', () => {
  const { machine, network } = pair()
  const random = seeded(1)
  const queues: [FrameRing, FrameRing, Uint8Array[]][] = [
    [machine, network, []],
    [network, machine, []],
  ]
  for (let round = 0; round < 3000; round++) {
    const [from, to, sent] = queues[random(2)]!
    // Where a frame begins in memory is no matter.
    const frame = noise(random, 8 + (random(20) === 0 ? random(MAX_RING_FRAME - 7) : random(1600))).subarray(random(8))
    if (from.send(frame)) sent.push(frame)
    if (random(10) === 0) expect(digests(all(to))).toEqual(digests(sent.splice(0)))
  }
  for (const [, to, sent] of queues) expect(digests(all(to))).toEqual(digests(sent))
})

test('a full ring drops and counts, and takes frames again when there is room', () => {
  const { machine, network } = pair()
  const frame = new Uint8Array(1514).fill(7)
  let sent = 0
  while (machine.send(frame)) sent++
  expect(sent).toBe(Math.floor(2 ** 20 / 1528))
  expect(machine.send(frame)).toBe(false)
  expect(machine.dropped).toBe(2)
  expect(all(network)).toHaveLength(sent)
  expect(machine.send(frame)).toBe(true)
  expect(machine.send(new Uint8Array(0))).toBe(false)
  expect(machine.send(new Uint8Array(MAX_RING_FRAME + 1))).toBe(false)
  expect(all(network)).toEqual([frame])
})

test('a new end of either side goes on where the last one stopped', () => {
  const { buffer, machine, network } = pair()
  for (let at = 0; at < 10; at++) machine.send(new Uint8Array(100).fill(at))
  const first: number[] = []
  expect(() =>
    network.receive((frame) => {
      first.push(frame[0]!)
      // As if the thread had died while it handled this one.
      if (first.length === 4) throw new Error('dead')
    }),
  ).toThrow('dead')
  const next = new FrameRing(buffer, 'network')
  new FrameRing(buffer, 'machine').send(new Uint8Array(100).fill(10))
  expect(all(next).map((frame) => frame[0])).toEqual([4, 5, 6, 7, 8, 9, 10])
  expect(first).toEqual([0, 1, 2, 3])
})

test('whatever stands in the memory, nothing breaks, and a sound writer is understood again', () => {
  const random = seeded(7)
  for (let round = 0; round < 400; round++) {
    const { buffer, machine, network } = pair()
    for (let count = random(50); count > 0; count--) machine.send(noise(random, 1 + random(300)))
    const words = new Int32Array(buffer)
    const header = random(2) === 0
    // The counts, or lengths of frames.
    for (let hits = 1 + random(8); hits > 0; hits--)
      words[header ? random(33) : 1024 + random(1000)] = [random(2 ** 32), random(2000), -random(100), 2 ** 31 - 1, 0][random(5)]!
    for (let turn = 0; turn < 20; turn++) network.receive((frame) => expect(frame.length).toBeLessThanOrEqual(MAX_RING_FRAME))
    // The writer's end is started anew; what it reads is the reader's own by now.
    words[16] = words[0]!
    const again = new FrameRing(buffer, 'machine')
    const frame = noise(random, 500)
    again.send(frame)
    all(network)
    again.send(frame)
    expect(all(network).at(-1)).toEqual(frame)
  }
})

test('a hostile count cannot keep the reader to itself', () => {
  const { buffer, network } = pair()
  const words = new Int32Array(buffer)
  for (const written of [1, 2, 3, 4, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 20 + 4]) {
    words[0] = written
    for (let turn = 0; turn < 3; turn++) network.receive(() => {})
    expect(network.receive(() => {})).toBe(false)
  }
  expect(network.damaged).toBeGreaterThan(0)
})

test('memory of another size is refused', () => {
  expect(() => new FrameRing(new SharedArrayBuffer(FRAME_RING_BYTES - 4), 'machine')).toThrow(/has 2101248 bytes/)
})

test('a watch takes nothing while its way is closed, and goes on when it is told that it is open', async () => {
  const { machine, network } = pair()
  const got: number[] = []
  let room = 2
  machine.watch(
    (frame) => (room--, got.push(frame[0]!)),
    (run) => setImmediate(run),
    () => room > 0,
  )
  for (let at = 0; at < 5; at++) network.send(new Uint8Array(60).fill(at))
  await vi.waitUntil(() => got.length === 2)
  machine.resume()
  expect(got).toEqual([0, 1])
  room = 10
  machine.resume()
  expect(got).toEqual([0, 1, 2, 3, 4])
  // Nothing was there for a while: it still waits.
  network.send(new Uint8Array(60).fill(9))
  await vi.waitUntil(() => got.length === 6)
  machine.dispose()
})
