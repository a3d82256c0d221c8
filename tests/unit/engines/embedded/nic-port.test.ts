import { expect, onTestFinished, test, vi } from 'vitest'
import { NicPort } from '../../../../src-main/engines/embedded/nic-port.ts'
import type { Emulator } from '../../../../src-main/engines/embedded/v86.ts'
import { FrameRing, makeFrameRing } from '../../../../src-shared/threads/frame-ring.ts'

/** As much of v86 as a card needs. `buffers`: how many frames its guest has room for; null: it has no driver yet. */
function setUp({ up = true, buffers = 100 as number | null } = {}) {
  const state = { running: true, buffers }
  const got: number[] = []
  const listeners = new Set<(frame: Uint8Array) => void>()
  const queue = { is_configured: () => state.buffers !== null, has_request: () => (state.buffers ?? 0) > 0 }
  const card = { status: 1, virtio: { device_status: 0, queues: [queue] } }
  const emulator = {
    v86: { running: false, cpu: { in_hlt: [0], devices: { virtio_net: card } } },
    bus: {
      send: (_: string, frame: Uint8Array) => {
        if (state.buffers !== null) state.buffers--
        got.push(frame[0]!)
      },
    },
    add_listener: (_: string, listener: (frame: Uint8Array) => void) => listeners.add(listener),
    remove_listener: (_: string, listener: (frame: Uint8Array) => void) => listeners.delete(listener),
  } as unknown as Emulator
  const ring = makeFrameRing()
  const network = new FrameRing(ring, 'network')
  const port = new NicPort(emulator, ring, up, () => state.running)
  onTestFinished(() => port.close())
  return {
    ...{ state, got, card, port, listeners },
    /** From the network. */
    give: (...frames: number[]) => frames.forEach((value) => network.send(new Uint8Array(60).fill(value))),
    giveLong: (value: number, length: number) => void network.send(new Uint8Array(length).fill(value)),
    /** By the guest. */
    send: (value: number) => listeners.forEach((listener) => listener(new Uint8Array(60).fill(value))),
    sent: () => {
      const frames: number[] = []
      while (network.receive((frame) => frames.push(frame[0]!)));
      return frames
    },
  }
}

test('frames go both ways', async () => {
  const { give, send, sent, got } = setUp()
  give(1, 2)
  await vi.waitUntil(() => got.length === 2)
  send(7)
  expect({ got, sent: sent() }).toEqual({ got: [1, 2], sent: [7] })
})

test('frames that are larger than the card’s go by', async () => {
  const { giveLong, got } = setUp()
  giveLong(1, 1518)
  giveLong(2, 1519)
  giveLong(3, 65_534)
  giveLong(4, 60)
  await vi.waitUntil(() => got.includes(4))
  expect(got).toEqual([1, 4])
})

test('what comes while the machine stands still, or its guest has no buffers, waits', async () => {
  const { give, got, port, state } = setUp({ buffers: 1 })
  give(1, 2, 3)
  await vi.waitUntil(() => got.length === 1)
  state.buffers = 5
  state.running = false
  port.turn()
  expect(got).toEqual([1])
  state.running = true
  port.turn()
  expect(got).toEqual([1, 2, 3])
})

test('without a driver it goes by', async () => {
  const { give, got, port, state } = setUp({ buffers: null })
  give(1)
  await new Promise((resolve) => setImmediate(resolve))
  state.buffers = 5
  port.turn()
  give(2)
  await vi.waitUntil(() => got.length > 0)
  expect(got).toEqual([2])
})

test('a link that is down, or cut, passes nothing, and its guest is told; cut and hardware each have their say', async () => {
  const { give, send, sent, got, port, card } = setUp({ up: false })
  send(1)
  port.setLink(true)
  expect(card.status).toBe(1)
  port.setCut(true)
  expect(card.status).toBe(0)
  send(2)
  port.setLink(false)
  port.setCut(false)
  expect(card.status).toBe(0)
  send(3)
  give(4)
  await new Promise((resolve) => setImmediate(resolve))
  port.setLink(true)
  expect(card.status).toBe(1)
  send(5)
  give(6)
  await vi.waitUntil(() => got.length > 0)
  expect({ got, sent: sent() }).toEqual({ got: [6], sent: [5] })
})

test('a card that is gone hears nothing more, and what came stays for the next', async () => {
  const { give, got, port, listeners } = setUp()
  port.close()
  give(1)
  await new Promise((resolve) => setImmediate(resolve))
  expect({ got, listening: listeners.size }).toEqual({ got: [], listening: 0 })
})
