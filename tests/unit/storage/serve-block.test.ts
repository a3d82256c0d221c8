import fc from 'fast-check'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { serveBlock } from '../../../src-main/storage/serve-block.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort, MAX_TRANSFER } from '../../../src-shared/threads/block-port.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const SIZE = 8192

async function serve(size = SIZE) {
  const path = join(await tempFolder(), 'disk.img')
  await writeFile(path, new Uint8Array(size))
  const { port1, port2 } = new MessageChannel()
  const { promise: closed, resolve } = Promise.withResolvers<unknown>()
  const served = serveBlock(await openImage({ path, format: 'raw', readOnly: false }), port1, resolve)
  const client = new RpcClient(portWire(nodePort(port2, 'close', () => port2.close())))
  return { path, served, closed, client, block: client.service(blockPort) }
}

describe('a served block device', () => {
  test('info, read, write, flush', async () => {
    const { path, served, client, block } = await serve()
    expect(await block.info({})).toEqual({ size: SIZE, readOnly: false, format: 'raw' })
    await block.write({ offset: 100, bytes: new Uint8Array([1, 2, 3]) })
    await block.flush({})
    expect([...(await readFile(path)).subarray(99, 104)]).toEqual([0, 1, 2, 3, 0])
    expect([...(await block.read({ offset: 100, length: 3 }))]).toEqual([1, 2, 3])
    await served.close()
    client.dispose()
  })

  test('requests that are not waited for act as if done in their order (compared with a plain array)', async () => {
    const { served, client, block } = await serve()
    const model = new Uint8Array(SIZE)
    const request = fc.record({
      kind: fc.constantFrom('read', 'write', 'flush'),
      offset: fc.integer({ min: 0, max: SIZE - 1 }),
      length: fc.integer({ min: 1, max: 3000 }),
      value: fc.integer({ min: 0, max: 255 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(request, { maxLength: 40 }), async (requests) => {
        const answers = requests.map(async ({ kind, offset, length: wish, value }) => {
          const length = Math.min(wish, SIZE - offset)
          if (kind === 'flush') return block.flush({})
          if (kind === 'write') {
            model.fill(value, offset, offset + length)
            return block.write({ offset, bytes: new Uint8Array(length).fill(value) })
          }
          const expected = model.slice(offset, offset + length)
          expect(Buffer.compare(await block.read({ offset, length }), expected)).toBe(0)
        })
        await Promise.all(answers)
      }),
      { numRuns: 50 },
    )
    await served.close()
    client.dispose()
  })

  test('what is too large or outside is refused, and the next request works', async () => {
    const { served, client, block } = await serve()
    await expect(block.read({ offset: 0, length: MAX_TRANSFER + 1 })).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(block.read({ offset: SIZE, length: 1 })).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(block.write({ offset: 0, bytes: 'text' as never })).rejects.toMatchObject({ code: 'invalid-input' })
    expect(await block.read({ offset: 0, length: SIZE })).toHaveLength(SIZE)
    await served.close()
    client.dispose()
  })

  test('the peer’s end of the port closes the image, with all that was written', async () => {
    const { path, closed, client, block } = await serve()
    const writing = block.write({ offset: 0, bytes: new Uint8Array(SIZE).fill(5) })
    await writing
    client.dispose()
    expect(await closed).toBeNull()
    expect((await readFile(path)).every((byte) => byte === 5)).toBe(true)
    await (await openImage({ path, format: 'raw', readOnly: false })).close()
  })

  test('close is done when the image can be opened again; calls then fail', async () => {
    const { path, served, closed, client, block } = await serve()
    await Promise.all([served.close(), served.close()])
    expect(await closed).toBeNull()
    await (await openImage({ path, format: 'raw', readOnly: false })).close()
    await expect(block.read({ offset: 0, length: 1 })).rejects.toMatchObject({ code: 'disconnected' })
    client.dispose()
  })
})
