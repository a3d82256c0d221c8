import { once } from 'node:events'
import { createServer, connect, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { MAX_UNSENT, socketWire } from '../../../src-main/app/local/socket-wire.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { RpcServer } from '../../../src-shared/rpc/server.ts'
import { call, defineService, event, stream } from '../../../src-shared/rpc/service.ts'
import type { Wire, WireMessage } from '../../../src-shared/rpc/wire.ts'
import { MAX_FRAME } from '../../../src-shared/rpc/wires/frames.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const windows = process.platform === 'win32'
let folder: string
let server: Server
let near: Socket
let far: Socket

beforeEach(async () => {
  folder = await tempFolder()
  const path = windows ? `\\\\.\\pipe\\coppice-test-${process.pid}-${Date.now()}` : join(folder, 'test.sock')
  server = createServer()
  server.listen(path)
  await once(server, 'listening')
  near = connect(path)
  far = ((await once(server, 'connection')) as [Socket])[0]
})
afterEach(async () => {
  near.destroy()
  far.destroy()
  server.close()
})

function nextMessage(wire: Wire): Promise<WireMessage> {
  return new Promise((resolve) => wire.onMessage(resolve))
}
function closed(wire: Wire): Promise<void> {
  return new Promise((resolve) => wire.onClose(resolve))
}

describe('socketWire', () => {
  it('carries calls, events, errors and bytes of any size', async () => {
    const service = defineService('test', {
      echo: call(z.strictObject({ text: z.string() })).returns<string>(),
      tick: event<number>(),
      upper: stream(z.strictObject({})).returns<string>(),
    })
    const tick = new Emitter<number>()
    const rpc = new RpcServer()
    rpc.register(service, {
      echo: ({ text }) => text,
      tick: tick.event,
      upper: (_input, bytes) => {
        void (async () => {
          for await (const chunk of bytes) await bytes.write(chunk.map((byte) => byte ^ 0x20))
          bytes.end()
        })()
        return 'ready'
      },
    })
    const attached = rpc.attach(socketWire(far), { kind: 'test' })
    const client = new RpcClient(socketWire(near))
    const remote = client.service(service)

    const large = 'ä'.repeat(3_000_000)
    expect(await remote.echo({ text: large })).toBe(large)
    await expect(remote.echo({ text: 1 } as never)).rejects.toMatchObject({ code: 'invalid-input' })
    const ticked = new Promise<number>((resolve) => remote.tick(resolve))
    await remote.echo({ text: 'subscribed before' })
    tick.fire(7)
    expect(await ticked).toBe(7)

    const { opening, stream: bytes } = await remote.upper({})
    expect(opening).toBe('ready')
    const sent = new Uint8Array(1_000_000).map((_byte, at) => at % 251)
    const sending = bytes.write(sent).then(() => bytes.end())
    const received: Uint8Array[] = []
    for await (const chunk of bytes) received.push(chunk)
    await sending
    expect(Buffer.concat(received).equals(Buffer.from(sent.map((byte) => byte ^ 0x20)))).toBe(true)
    client.dispose()
    attached.dispose()
  })

  it('tells both ends when one closes, after what was posted before', async () => {
    const [ours, theirs] = [socketWire(near), socketWire(far)]
    const got = nextMessage(theirs)
    const bothClosed = [closed(ours), closed(theirs)]
    ours.post({ t: 'event', id: 1, value: 'x'.repeat(100_000) })
    ours.close()
    expect(await got).toMatchObject({ id: 1 })
    await Promise.all(bothClosed)
    ours.post({ t: 'abort', id: 1 })
  })

  it('closes when the peer dies', async () => {
    const ours = socketWire(near)
    const gone = closed(ours)
    far.destroy()
    await gone
  })

  it.each([
    ['no frame', Buffer.from([0, 0, 0, 4, 255, 255, 255, 255])],
    ['a frame that is too large', Buffer.from([255, 255, 255, 255])],
    ['an unknown kind', Buffer.concat([Buffer.from([0, 0, 0, 21, 0, 0, 0, 17]), Buffer.from('{"t":"x","id":12}')])],
  ])('closes at %s', async (_what, bytes) => {
    const ours = socketWire(near)
    const gone = closed(ours)
    const seen: WireMessage[] = []
    ours.onMessage((message) => seen.push(message))
    far.write(bytes)
    await gone
    expect(seen).toEqual([])
    expect(near.destroyed).toBe(true)
  })

  it('gives up on a peer that does not read, with a bounded queue', async () => {
    far.pause()
    const ours = socketWire(near)
    const gone = closed(ours)
    let open = true
    void gone.then(() => (open = false))
    const value = 'x'.repeat(1024 * 1024)
    let posted = 0
    for (; open && posted < 4 * MAX_UNSENT; posted += value.length) {
      ours.post({ t: 'event', id: 1, value })
      await new Promise((resolve) => setImmediate(resolve))
    }
    await gone
    expect(posted).toBeLessThan(MAX_UNSENT + MAX_FRAME)
  })
})
