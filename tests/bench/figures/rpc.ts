/** What a call and a stream cost on each transport, beside the bare transport in the same run; both ends are in this thread. */
import { MessageChannel } from 'node:worker_threads'
import { z } from 'zod'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { RpcServer } from '../../../src-shared/rpc/server.ts'
import { call, defineService, stream } from '../../../src-shared/rpc/service.ts'
import { socketPair, webSocketPair, WIRE_PAIRS } from '../../support/wire-pairs.ts'
import type { Figure } from '../figure.ts'

const REPETITIONS = 5
const CALLS = 2000
const CHUNK = 64 * 1024
const CHUNKS = 512
const MB = 1e6

/** One way to ask and be answered, and to send `CHUNKS` chunks until all have come. */
interface Subject {
  name: string
  roundTrip(): Promise<unknown>
  bulk(): Promise<void>
  close(): Promise<void>
}

export async function rpcFigures(): Promise<Figure[]> {
  const figures: Figure[] = []
  for (const [transport, makeAnchor] of Object.entries(ANCHORS)) {
    const [ours, anchor] = [await overRpc(transport), await makeAnchor()]
    const micros: [number[], number[]] = [[], []]
    const megabytes: [number[], number[]] = [[], []]
    // The first round warms up and does not count.
    for (let round = 0; round <= REPETITIONS; round++) {
      for (const [at, subject] of [ours, anchor].entries()) {
        const callMs = await elapsed(async () => {
          for (let calls = 0; calls < CALLS; calls++) await subject.roundTrip()
        })
        const bulkMs = await elapsed(() => subject.bulk())
        if (round === 0) continue
        micros[at]!.push((callMs * 1000) / CALLS)
        megabytes[at]!.push((CHUNK * CHUNKS) / MB / (bulkMs / 1000))
      }
    }
    await Promise.all([ours.close(), anchor.close()])
    figures.push(
      { name: `call and answer, ${transport}`, unit: 'µs', values: micros[0], anchor: { name: anchor.name, values: micros[1] } },
      { name: `stream, ${transport}`, unit: 'MB/s', values: megabytes[0], anchor: { name: anchor.name, values: megabytes[1] } },
    )
  }
  return figures
}

async function elapsed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await run()
  return performance.now() - start
}

/** Resolves each time when another `total` bytes have come. */
class Sink {
  #total = CHUNK * CHUNKS
  #come = 0
  #waiting: (() => void) | null = null

  receive(bytes: number): void {
    this.#come += bytes
    if (this.#come < this.#total) return
    this.#come -= this.#total
    this.#waiting?.()
  }

  filled(): Promise<void> {
    return new Promise((resolve) => (this.#waiting = resolve))
  }
}

const benchService = defineService('bench', {
  echo: call(z.strictObject({ n: z.number() })).returns<number>(),
  sink: stream(z.strictObject({})).returns<void>(),
})

async function overRpc(transport: string): Promise<Subject> {
  const pair = await WIRE_PAIRS[transport]!()
  const sink = new Sink()
  const server = new RpcServer()
  server.register(benchService, {
    echo: ({ n }) => n,
    sink: (_input, bytes) => {
      void (async () => {
        for await (const chunk of bytes) sink.receive(chunk.length)
      })().catch(() => {})
    },
  })
  const serving = server.attach(pair.far, { kind: 'test' })
  const client = new RpcClient(pair.near)
  const bench = client.service(benchService)
  const { stream: bytes } = await bench.sink({})
  const chunk = new Uint8Array(CHUNK)
  return {
    name: 'rpc',
    roundTrip: () => bench.echo({ n: 1 }),
    bulk: async () => {
      const filled = sink.filled()
      for (let sent = 0; sent < CHUNKS; sent++) await bytes.write(chunk)
      await filled
    },
    close: async () => {
      bytes.close()
      client.dispose()
      serving.dispose()
      await pair.close()
    },
  }
}

const ANCHORS: Record<string, () => Promise<Subject>> = {
  MessagePort: barePort,
  WebSocket: bareWebSocket,
  'local socket': bareSocket,
}

function barePort(): Promise<Subject> {
  const { port1, port2 } = new MessageChannel()
  const sink = new Sink()
  port2.on('message', (message: unknown) => (message instanceof Uint8Array ? sink.receive(message.length) : port2.postMessage(message)))
  const chunk = new Uint8Array(CHUNK)
  return Promise.resolve({
    name: 'bare postMessage',
    roundTrip: () => new Promise((resolve) => port1.once('message', resolve).postMessage({ n: 1 })),
    bulk: async () => {
      const filled = sink.filled()
      for (let sent = 0; sent < CHUNKS; sent++) {
        const copy = chunk.slice()
        port1.postMessage(copy, [copy.buffer])
      }
      await filled
    },
    close: () => Promise.resolve(port1.close()),
  })
}

async function bareWebSocket(): Promise<Subject> {
  const { near, far, close } = await webSocketPair()
  const sink = new Sink()
  far.on('message', (data: Buffer) => (data.length === CHUNK ? sink.receive(data.length) : far.send(data)))
  const chunk = new Uint8Array(CHUNK)
  return {
    name: 'bare WebSocket',
    roundTrip: () => new Promise((resolve) => near.once('message', resolve).send('{"n":1}')),
    bulk: async () => {
      const filled = sink.filled()
      for (let sent = 0; sent < CHUNKS; sent++) await new Promise((resolve) => near.send(chunk, resolve))
      await filled
    },
    close,
  }
}

async function bareSocket(): Promise<Subject> {
  const { near, far, close } = await socketPair()
  const sink = new Sink()
  let counting = false
  far.on('data', (data) => (counting ? sink.receive(data.length) : far.write(data)))
  const chunk = new Uint8Array(CHUNK)
  return {
    name: 'bare socket',
    roundTrip: () => new Promise((resolve) => near.once('data', resolve).write('{"n":1}')),
    bulk: async () => {
      counting = true
      const filled = sink.filled()
      for (let sent = 0; sent < CHUNKS; sent++) await new Promise((resolve) => near.write(chunk, resolve))
      await filled
      counting = false
    },
    close,
  }
}
