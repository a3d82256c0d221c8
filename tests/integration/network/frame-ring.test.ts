/** Rings of frames between real threads, which die. */
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { FrameRing, makeFrameRing } from '../../../src-shared/threads/frame-ring.ts'
import { until } from '../../support/until.ts'
import type { FloodOrder } from '../support/ring-flood.thread.ts'

async function flood(order: FloodOrder): Promise<Worker> {
  const worker = new Worker(new URL('../support/ring-flood.thread.ts', import.meta.url), { workerData: order })
  onTestFinished(() => worker.terminate().then(() => {}))
  await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  return worker
}

test('threads that take the place of one that died at any moment go on with the same ring, either side', async () => {
  for (const [writes, reads] of [
    ['machine', 'network'],
    ['network', 'machine'],
  ] as const) {
    const buffer = makeFrameRing()
    const facts = new Int32Array(new SharedArrayBuffer(16))
    const start = (work: 'write' | 'read', from = 0) => flood({ buffer, side: work === 'write' ? writes : reads, work, facts, from })
    let writer = await start('write')
    let reader = await start('read')
    for (let round = 0; round < 4; round++) {
      const before = Atomics.load(facts, 2)
      await until(() => Atomics.load(facts, 2) > before + 2000)
      await reader.terminate()
      reader = await start('read')
      const between = Atomics.load(facts, 2)
      await until(() => Atomics.load(facts, 2) > between + 2000)
      await writer.terminate()
      // One that was in the ring and not yet noted as written is not written twice.
      await until(() => Atomics.load(facts, 1) >= Atomics.load(facts, 0))
      writer = await start('write', Math.max(Atomics.load(facts, 0), Atomics.load(facts, 1)))
    }
    expect(Atomics.load(facts, 3)).toBe(0)
    await Promise.all([writer.terminate(), reader.terminate()])
  }
})

test('a reader that sleeps is woken by each frame that comes alone', async () => {
  const buffer = makeFrameRing()
  const facts = new Int32Array(new SharedArrayBuffer(16))
  await flood({ buffer, side: 'network', work: 'read', facts, from: 0 })
  const ring = new FrameRing(buffer, 'machine')
  for (let number = 1; number <= 2000; number++) {
    const frame = new Uint8Array(5 + ((number * 7919) % (number % 50 === 0 ? 60_000 : 1500))).fill(number & 255, 4)
    new DataView(frame.buffer).setUint32(0, number)
    expect(ring.send(frame)).toBe(true)
    const waiting = Atomics.waitAsync(facts, 2, number - 1)
    if (waiting.async) await waiting.value
  }
  expect([...facts].slice(1)).toEqual([2000, 2000, 0])
})
