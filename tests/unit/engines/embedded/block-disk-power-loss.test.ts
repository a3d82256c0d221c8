/** What a guest was told is flushed outlives a power failure at any moment: its drive, the ring, the order of requests and a qcow2 image together. */
import { expect, onTestFinished, test } from 'vitest'
import { MessageChannel } from 'node:worker_threads'
import { BlockDisk } from '../../../../src-main/engines/embedded/block-disk.ts'
import { createQcow2 } from '../../../../src-main/storage/formats/qcow2/create-qcow2.ts'
import { openQcow2 } from '../../../../src-main/storage/formats/qcow2/open-qcow2.ts'
import { checkQcow2 } from '../../../../src-main/storage/formats/qcow2/check/check.ts'
import type { ByteFile } from '../../../../src-main/storage/file/byte-file.ts'
import { serveBlock } from '../../../../src-main/storage/serve-block.ts'
import { RpcClient } from '../../../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../../../src-shared/threads/block-port.ts'
import { Counters } from '../../../../src-shared/threads/counters.ts'
import { memoryFile } from '../../../support/memory-file.ts'
import { crashes, expectOldOrNew, journalled, type Asked, type Entry } from '../../../support/power-loss.ts'
import { readBytes } from '../../../support/read-bytes.ts'
import { noise, seeded } from '../../../support/seeded.ts'

const SIZE = 192 * 1024
const openDisk = (file: ByteFile) => openQcow2(file, { openBacking: async () => null })

async function guestDisk(file: ByteFile): Promise<BlockDisk> {
  const { port1, port2 } = new MessageChannel()
  serveBlock(await openDisk(file), port1, () => {})
  const client = new RpcClient(portWire(nodePort(port2, 'close', () => port2.close())))
  onTestFinished(() => client.dispose())
  const options = { sectorSize: 512 as const, counters: new Counters(), onError: (error: Error) => expect.unreachable(error.message) }
  return BlockDisk.open(client.service(blockPort), options)
}

test.each([
  ['with its write cache', 1, true],
  ['with its write cache', 2, true],
  ['without its write cache', 3, false],
])('a guest’s disk %s (seed %i)', async (_name, seed, cached) => {
  const random = seeded(seed)
  const empty = memoryFile()
  await createQcow2(empty, { size: SIZE, clusterSize: 4096 })
  const image = empty.bytes().slice()
  const journal: Entry[] = []
  const disk = await guestDisk(journalled(image, journal))
  disk.writeCache = cached
  const model = new Uint8Array(SIZE)
  /** Asked for and not yet told to be stored. */
  const open: Asked[] = []
  const flushes: Promise<void>[] = []
  const write = (): void => {
    const bytes = noise(random, 512 * (1 + random(12)))
    const offset = 512 * random((SIZE - bytes.length) / 512)
    const asked: Asked = { kind: 'asked', offset, bytes }
    journal.push(asked)
    model.set(bytes, offset)
    open.push(asked)
    disk.set(offset, bytes, () => {})
  }
  for (let round = 0; round < 40; round++) {
    for (let n = random(4); n >= 0; n--) write()
    if (random(2)) {
      const flushed = model.slice()
      open.length = 0
      flushes.push(
        new Promise((resolve) =>
          disk.flush((ok) => {
            expect(ok).toBe(true)
            // What was asked for since may be on disk or not.
            journal.push({ kind: 'flushed', disk: flushed, open: [...open] })
            resolve()
          }),
        ),
      )
      // The guest goes on writing while it is flushed, as another program of its does.
      if (random(2)) write()
      await flushes.at(-1)
    }
  }
  await disk.flushed()
  let count = 0
  for await (const { file, flushed, asked } of crashes(image, journal, new Uint8Array(SIZE), random)) {
    if (count++ % 3 !== 0) continue
    const reopened = await openDisk(file)
    expectOldOrNew(await readBytes(reopened, 0, SIZE), flushed, asked)
    await reopened.close()
    expect(await checkQcow2(file, { repair: false })).toMatchObject({ corruptions: 0 })
  }
  expect(count).toBeGreaterThan(100)
})
