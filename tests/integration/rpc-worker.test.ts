/** Calls, events, streams and transfers between real threads. */
import { MessageChannel, Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { threadService } from './fixtures/rpc-thread-service.ts'

function startThread() {
  const worker = new Worker(new URL('./fixtures/rpc-thread.ts', import.meta.url))
  onTestFinished(() => worker.terminate().then(() => {}))
  const client = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  return { worker, client, api: client.service(threadService) }
}

describe('rpc with a worker thread', () => {
  test('calls, and bytes that are cloned', async () => {
    const { api } = startThread()
    expect(await api.sum({ bytes: new Uint8Array([1, 2, 3]) })).toBe(6)
    await expect(api.sum({ bytes: 'x' as never })).rejects.toMatchObject({ code: 'invalid-input' })
  })

  test('a port changes hands, and calls go through it past the host', async () => {
    const { api } = startThread()
    const { port1, port2 } = new MessageChannel()
    await api.serveOn({ port: port1 }, { transfer: [port1] })
    const direct = new RpcClient(portWire(nodePort(port2, 'close', () => port2.close())))
    expect(await direct.service(threadService).sum({ bytes: new Uint8Array([40, 2]) })).toBe(42)
    direct.dispose()
  })

  test('shared memory is shared', async () => {
    const { api } = startThread()
    const shared = new SharedArrayBuffer(8)
    await api.mark({ shared })
    expect(new Uint8Array(shared)[3]).toBe(99)
  })

  test('a stream of megabytes both ways', async () => {
    const { api } = startThread()
    const { stream } = await api.echo({})
    const sent = new Uint8Array(5 * 1024 * 1024).map((_, at) => at * 7)
    void stream.write(sent).then(() => stream.end())
    let at = 0
    for await (const chunk of stream) {
      expect(Buffer.compare(chunk, sent.subarray(at, at + chunk.length))).toBe(0)
      at += chunk.length
    }
    expect(at).toBe(sent.length)
  })

  test('a thread that is killed fails what is pending, calls and streams', async () => {
    const { worker, api, client } = startThread()
    const { stream } = await api.echo({})
    const closed = new Promise<void>((resolve) => client.onClose(resolve))
    const call = api.hang({})
    const reading = stream.read()
    await Promise.all([
      expect(call).rejects.toMatchObject({ code: 'disconnected' }),
      expect(reading).rejects.toMatchObject({ code: 'disconnected' }),
      closed,
      worker.terminate(),
    ])
  })

  test('a thread that throws fails what is pending', async () => {
    const { worker, api } = startThread()
    worker.on('error', () => {}) // seen below by its effect
    await expect(api.die({})).rejects.toMatchObject({ code: 'disconnected' })
  })
})
