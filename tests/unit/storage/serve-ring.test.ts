/** The ring of blocks, with each end lied to by the other: nothing hangs, nothing outside of the slots is touched, and the honest end says what is wrong. */
import { describe, expect, test, vi } from 'vitest'
import { RingClient } from '../../../src-main/engines/ring-client.ts'
import { RequestOrder } from '../../../src-main/storage/request-order.ts'
import { ServedRing, type ServedDevice } from '../../../src-main/storage/serve-ring.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { MAX_RING_REQUEST, REQUEST, RING_BYTES, RING_SLOTS, RingMemory, SLOT_BYTES } from '../../../src-shared/threads/block-ring.ts'
import { readRing } from '../../support/read-ring.ts'
import { seeded } from '../../support/seeded.ts'

const SIZE = 4 * MAX_RING_REQUEST

interface Device extends ServedDevice {
  bytes: Uint8Array
  requests: string[]
  /** Requests wait for it. */
  gate: Promise<void>
}

function device(): Device {
  const bytes = new Uint8Array(SIZE)
  const made: Device = {
    bytes,
    requests: [],
    gate: Promise.resolve(),
    info: { size: SIZE, readOnly: false, format: 'raw' },
    async read(offset, into) {
      made.requests.push(`read ${offset} ${into.length}`)
      await made.gate
      into.set(bytes.subarray(offset, offset + into.length))
    },
    async write(offset, from) {
      made.requests.push(`write ${offset} ${from.length}`)
      await made.gate
      bytes.set(from, offset)
    },
    async flush() {
      made.requests.push('flush')
    },
    async close() {},
  }
  return made
}

function pair() {
  const disk = device()
  const ring = new RingClient()
  const served = new ServedRing(ring.buffer, disk, new RequestOrder())
  served.ended.catch(() => {})
  return { disk, ring, served }
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

describe('a ring of blocks', () => {
  test('many requests at once, of every size, and more than there is room for', async () => {
    const { disk, ring, served } = pair()
    const random = seeded(3)
    const model = new Uint8Array(SIZE)
    const work: Promise<void>[] = []
    for (let n = 0; n < 400; n++) {
      const length = 1 + random(random(3) === 0 ? MAX_RING_REQUEST : 9000)
      const offset = random(SIZE - length)
      if (random(2)) {
        const bytes = new Uint8Array(length).fill(n)
        model.set(bytes, offset)
        work.push(ring.write(offset, bytes).done)
        bytes.fill(255)
      } else {
        const expected = model.slice(offset, offset + length)
        work.push(readRing(ring, offset, length).then((bytes) => expect(Buffer.compare(bytes, expected)).toBe(0)))
      }
    }
    await Promise.all(work)
    await ring.flush()
    expect(Buffer.compare(disk.bytes, model)).toBe(0)
    expect([ring.waitingBytes, disk.requests.at(-1)]).toEqual([0, 'flush'])
    served.end()
    ring.end(AppError.cancelled())
    await served.ended
  })

  test('several are under way at the same time, and a flush waits for the writes before it', async () => {
    const { disk, ring } = pair()
    const gate = Promise.withResolvers<void>()
    disk.gate = gate.promise
    const writes = [0, 1, 2, 3].map((at) => ring.write(at * 512, new Uint8Array(512)).done)
    let flushed = false
    const flush = ring.flush().then(() => (flushed = true))
    await soon()
    expect(disk.requests).toHaveLength(4)
    expect(flushed).toBe(false)
    gate.resolve()
    await Promise.all([...writes, flush])
    expect(disk.requests.at(-1)).toBe('flush')
    ring.end(AppError.cancelled())
  })

  test('a long request that waits for slots side by side gets those that are only kept in case', async () => {
    const { ring } = pair()
    const leases = await Promise.all(Array.from({ length: RING_SLOTS }, (_, slot) => ring.read(slot * 512, 512)))
    const kept = leases.filter((_, slot) => slot % 8 === 0)
    for (const lease of leases) if (!kept.includes(lease)) lease.release()
    const waiting = vi.fn(() => {
      for (const lease of kept) lease.release()
    })
    ring.onWaiting = waiting
    expect(ring.readIfRoom(0, MAX_RING_REQUEST)).toBeNull()
    expect(waiting).not.toHaveBeenCalled()
    await ring.write(0, new Uint8Array(MAX_RING_REQUEST)).done
    expect(waiting).toHaveBeenCalledOnce()
    ring.end(AppError.cancelled())
  })

  test('what was submitted is done also when its end is gone; nothing that comes later', async () => {
    const { disk, ring, served } = pair()
    ring.write(512, new Uint8Array(512).fill(9)).done.catch(() => {})
    ring.end(AppError.cancelled())
    served.end()
    await served.ended
    await soon()
    expect(disk.bytes[512]).toBe(9)
    const memory = new RingMemory(ring.buffer)
    memory.setRequest(9, { kind: REQUEST.write, length: 512, offset: 0 })
    memory.submissions().put(9)
    await soon()
    expect(disk.requests).toHaveLength(1)
    await expect(ring.read(0, 1)).rejects.toMatchObject({ code: 'cancelled' })
  })

  test('memory of another size is refused', () => {
    expect(() => new ServedRing(new SharedArrayBuffer(RING_BYTES - 4096), device(), new RequestOrder())).toThrow(AppError)
  })

  test.each([
    ['no such slot', RING_SLOTS, { kind: REQUEST.read, length: 512, offset: 0 }],
    ['a negative slot', -1, { kind: REQUEST.read, length: 512, offset: 0 }],
    ['too long', 0, { kind: REQUEST.read, length: MAX_RING_REQUEST + 1, offset: 0 }],
    ['a negative length', 0, { kind: REQUEST.write, length: -512, offset: 0 }],
    ['past the last slot', RING_SLOTS - 1, { kind: REQUEST.write, length: SLOT_BYTES + 1, offset: 0 }],
  ])('a submission that breaks the rules ends the ring: %s', async (_name, slot, request) => {
    const memory = new RingMemory()
    const disk = device()
    const served = new ServedRing(memory.buffer, disk, new RequestOrder())
    if (slot >= 0 && slot < RING_SLOTS) memory.setRequest(slot, request)
    memory.submissions().put(slot)
    await expect(served.ended).rejects.toMatchObject({ code: 'corrupt' })
    expect(disk.requests).toEqual([])
    served.end()
  })

  test('a slot that is submitted twice, and a count that jumps, end the ring', async () => {
    for (const lie of ['twice', 'jump', 'back'] as const) {
      const memory = new RingMemory()
      const disk = device()
      disk.gate = new Promise(() => {})
      const served = new ServedRing(memory.buffer, disk, new RequestOrder())
      memory.setRequest(3, { kind: REQUEST.read, length: 512, offset: 0 })
      const queue = memory.submissions()
      queue.put(3)
      if (lie === 'twice') queue.put(3)
      else Atomics.store(new Int32Array(memory.buffer), 0, lie === 'jump' ? RING_SLOTS + 2 : -5)
      Atomics.notify(new Int32Array(memory.buffer), 0)
      await expect(served.ended).rejects.toMatchObject({ code: 'corrupt' })
    }
  })

  test('an offset that no disk has is refused, and the ring goes on', async () => {
    const memory = new RingMemory()
    const disk = device()
    const served = new ServedRing(memory.buffer, disk, new RequestOrder())
    const queue = memory.submissions()
    const answers = memory.completions()
    for (const offset of [Number.NaN, -1, 0.5, 2 ** 60, Number.POSITIVE_INFINITY, SIZE]) {
      memory.setRequest(0, { kind: REQUEST.read, length: 512, offset })
      queue.put(0)
      await expect.poll(() => answers.take(1)).toEqual([0])
      expect(memory.failure(0)).toBeGreaterThan(0)
    }
    memory.setFailure(0, 0)
    memory.setRequest(0, { kind: 77, length: 512, offset: 0 })
    queue.put(0)
    await expect.poll(() => memory.failure(0)).toBeGreaterThan(0)
    expect(disk.requests).toEqual([])
    served.end()
    await served.ended
  })

  test('answers to nothing, to too much, and with senseless reasons', async () => {
    for (const lie of ['nothing', 'jump', 'reason'] as const) {
      const ring = new RingClient()
      const memory = new RingMemory(ring.buffer)
      const reading = ring.read(0, 512)
      if (lie === 'nothing') memory.completions().put(17)
      else if (lie === 'jump') {
        Atomics.store(new Int32Array(ring.buffer), 16, 40)
        Atomics.notify(new Int32Array(ring.buffer), 16)
      } else {
        memory.setFailure(0, 2 ** 31 - 1)
        memory.completions().put(0)
      }
      await expect(reading).rejects.toMatchObject({ code: lie === 'reason' ? 'internal' : 'corrupt' })
      if (lie === 'reason') ring.end(AppError.cancelled())
      else await expect(ring.read(0, 512)).rejects.toMatchObject({ code: 'corrupt' })
    }
  })

  test('noise in the shared memory, while requests run: each is answered or fails, and no write leaves the disk', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const { disk, ring, served } = pair()
      const random = seeded(seed)
      const words = new Int32Array(ring.buffer, 0, 1024)
      const work: Promise<unknown>[] = []
      for (let n = 0; n < 60; n++) {
        const offset = random(SIZE - 5000)
        work.push(random(2) ? ring.write(offset, new Uint8Array(1 + random(5000))).done : readRing(ring, offset, 1 + random(5000)))
        const at = random(700)
        words[at] = random(3) === 0 ? random(2 ** 31) : random(200) - 50
        Atomics.notify(words, 0)
        Atomics.notify(words, 16)
        if (random(5) === 0) await Promise.resolve()
      }
      const settled = Promise.allSettled(work)
      await soon()
      // What a lie left unanswered ends with either end, as when its thread dies.
      served.end()
      ring.end(AppError.cancelled())
      await settled
      for (const request of disk.requests) {
        const [kind, offset, length] = request.split(' ')
        if (kind === 'flush') continue
        expect(Number(offset) >= 0 && Number(offset) + Number(length) <= SIZE).toBe(true)
      }
    }
  })
})
