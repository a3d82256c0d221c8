import fc from 'fast-check'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MessageChannel } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { openImage } from '../../../src-main/storage/open-image.ts'
import { serveBlock } from '../../../src-main/storage/serve-block.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../../src-shared/threads/block-port.ts'
import { RING_BYTES } from '../../../src-shared/threads/block-ring.ts'
import { openRing } from '../../../src-main/engines/ring-client.ts'
import { readRing } from '../../support/read-ring.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const SIZE = 8192

async function serve(size = SIZE) {
  const path = join(await tempFolder(), 'disk.img')
  await writeFile(path, new Uint8Array(size))
  const { port1, port2 } = new MessageChannel()
  const { promise: closed, resolve } = Promise.withResolvers<unknown>()
  const served = serveBlock(await openImage({ path, format: 'raw', readOnly: false }), port1, resolve)
  const client = new RpcClient(portWire(nodePort(port2, 'close', () => port2.close())))
  const block = client.service(blockPort)
  return { path, served, closed, client, block, ring: openRing(block) }
}

describe('a served block device', () => {
  test('info, read, write, flush', async () => {
    const { path, served, client, block, ring } = await serve()
    expect(await block.info({})).toEqual({ size: SIZE, readOnly: false, format: 'raw' })
    await ring.write(100, new Uint8Array([1, 2, 3])).done
    await ring.flush()
    expect([...(await readFile(path)).subarray(99, 104)]).toEqual([0, 1, 2, 3, 0])
    expect([...(await readRing(ring, 100, 3))]).toEqual([1, 2, 3])
    await served.close()
    client.dispose()
  })

  test('requests that are not waited for act as if done in their order (compared with a plain array)', async () => {
    const { served, client, ring } = await serve()
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
          if (kind === 'flush') return ring.flush()
          if (kind === 'write') {
            model.fill(value, offset, offset + length)
            return ring.write(offset, new Uint8Array(length).fill(value)).done
          }
          const expected = model.slice(offset, offset + length)
          expect(Buffer.compare(await readRing(ring, offset, length), expected)).toBe(0)
        })
        await Promise.all(answers)
      }),
      { numRuns: 50 },
    )
    await served.close()
    client.dispose()
  })

  test('what is outside is refused with its reason, and the next request works', async () => {
    const { served, client, block, ring } = await serve()
    await expect(ring.read(SIZE, 1)).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(ring.read(-1, 1)).rejects.toMatchObject({ code: 'invalid-input' })
    await expect(ring.write(SIZE - 1, new Uint8Array(2)).done).rejects.toMatchObject({ code: 'invalid-input' })
    expect(await readRing(ring, 0, SIZE)).toHaveLength(SIZE)
    await expect(block.ring({ memory: new SharedArrayBuffer(RING_BYTES) })).rejects.toMatchObject({ code: 'wrong-state' })
    await expect(block.ring({ memory: new ArrayBuffer(RING_BYTES) as never })).rejects.toMatchObject({ code: 'invalid-input' })
    await served.close()
    client.dispose()
  })

  test('the peer’s end of the port closes the image, with all that was written', async () => {
    const { path, closed, client, block, ring } = await serve()
    await block.info({})
    // Its writer does not wait: what is in the ring is written, whoever is gone.
    ring.write(0, new Uint8Array(SIZE).fill(5)).done.catch(() => {})
    client.dispose()
    expect(await closed).toBeNull()
    expect((await readFile(path)).every((byte) => byte === 5)).toBe(true)
    await (await openImage({ path, format: 'raw', readOnly: false })).close()
  })

  test('close is done when the image can be opened again; calls then fail', async () => {
    const { path, served, closed, client, ring } = await serve()
    await Promise.all([served.close(), served.close()])
    expect(await closed).toBeNull()
    await (await openImage({ path, format: 'raw', readOnly: false })).close()
    await expect(ring.read(0, 1)).rejects.toMatchObject({ code: 'disconnected' })
    client.dispose()
  })
})
