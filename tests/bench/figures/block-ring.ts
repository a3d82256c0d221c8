/** The way between an engine's thread and the storage thread alone: a ring in shared memory, beside messages that hand over their bytes, on a disk in memory. */
import { MessageChannel, Worker } from 'node:worker_threads'
import { openRing } from '../../../src-main/engines/ring-client.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { KiB, MiB } from '../../../src-shared/base/units.ts'
import { blockPort } from '../../../src-shared/threads/block-port.ts'
import type { Figure } from '../figure.ts'
import { atDepth, elapsed } from '../support/bench-storage.ts'
import type { BlockMessage, BlockServerData } from '../support/block-server.thread.ts'

const RUNS = 5
const SIZE = 64 * MiB
/** Bytes of all requests of a run, and their number at most. */
const MOVED = 256 * MiB
const MOST = 4000
const LENGTHS = [4 * KiB, 64 * KiB, MiB]
const DEPTHS = [1, 8]

interface Way {
  read(offset: number, into: Uint8Array): Promise<void>
  write(offset: number, bytes: Uint8Array): Promise<void>
}

export async function blockRingFigures(): Promise<Figure[]> {
  const [blocks, messages] = [new MessageChannel(), new MessageChannel()]
  const workerData: BlockServerData = { ring: blocks.port1, messages: messages.port1, size: SIZE }
  const worker = new Worker(new URL('../support/block-server.thread.ts', import.meta.url), {
    workerData,
    transferList: [blocks.port1, messages.port1],
  })
  const client = new RpcClient(portWire(nodePort(blocks.port2, 'close', () => blocks.port2.close())))
  const ring = openRing(client.service(blockPort))
  const ways: [Way, Way] = [
    {
      async read(offset, into) {
        const lease = await ring.read(offset, into.length)
        into.set(lease.bytes)
        lease.release()
      },
      write: (offset, bytes) => ring.write(offset, bytes).done,
    },
    byMessages(messages.port2),
  ]
  try {
    const figures: Figure[] = []
    for (const kind of ['read', 'write'] as const)
      for (const length of LENGTHS)
        for (const depth of DEPTHS) {
          const values: [number[], number[]] = [[], []]
          // The first round warms up and does not count.
          for (let run = 0; run <= RUNS; run++)
            for (const [at, way] of ways.entries()) {
              const us = await requests(way, kind, length, depth)
              if (run > 0) values[at]!.push(us)
            }
          const name = `Ring of blocks, ${kind} of ${length / KiB} KiB, ${depth} at once`
          figures.push({ name, unit: 'µs', values: values[0], anchor: { name: 'messages', values: values[1] } })
        }
    return figures
  } finally {
    client.dispose()
    messages.port2.close()
    await worker.terminate()
  }
}

/** µs of each. */
async function requests(way: Way, kind: 'read' | 'write', length: number, depth: number): Promise<number> {
  const count = Math.min(MOST, MOVED / length)
  const buffers = Array.from({ length: depth }, () => new Uint8Array(length))
  let at = 0
  const ms = await elapsed(() => atDepth(depth, count, (slot) => way[kind]((at++ * length) % SIZE, buffers[slot]!)))
  return (ms * 1000) / count
}

function byMessages(port: BlockServerData['messages']): Way {
  const pending = new Map<number, (bytes: Uint8Array | null) => void>()
  port.on('message', ({ id, bytes }: BlockMessage) => {
    pending.get(id)!(bytes)
    pending.delete(id)
  })
  let next = 0
  const ask = (offset: number, length: number, bytes: Uint8Array<ArrayBuffer> | null): Promise<Uint8Array | null> => {
    const message: BlockMessage = { id: next++, offset, length, bytes }
    port.postMessage(message, bytes ? [bytes.buffer] : [])
    return new Promise((resolve) => pending.set(message.id, resolve))
  }
  return {
    read: async (offset, into) => into.set((await ask(offset, into.length, null))!),
    write: async (offset, bytes) => void (await ask(offset, 0, bytes.slice())),
  }
}
