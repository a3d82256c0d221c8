/** Threads that die while a ring of blocks is at work between them. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel, Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { openRing } from '../../src-main/engines/ring-client.ts'
import { threadUrl } from '../../src-main/threads/thread-url.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../src-shared/threads/block-port.ts'
import { storageThread } from '../../src-shared/threads/storage-thread.ts'
import { tempFolder } from '../support/temp-folder.ts'

const SIZE = 8 * 1024 * 1024

function startStorage() {
  const worker = new Worker(threadUrl('storage'))
  const rpc = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  onTestFinished(() => worker.terminate().then(() => {}))
  const storage = rpc.service(storageThread)
  const open = async (path: string) => {
    const { port1, port2 } = new MessageChannel()
    await storage.open({ handle: path, path, format: 'raw', readOnly: false, folders: [], port: port1 }, { transfer: [port1] })
    return port2
  }
  return { worker, storage, open }
}

/** Resolves when the storage thread has let go of the image. */
async function reopened(open: (path: string) => Promise<{ close(): void }>, path: string): Promise<void> {
  for (;;) {
    try {
      return void (await open(path)).close()
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/busy|already-exists/) as string })
      await sleep(5)
    }
  }
}

test('an engine’s thread that dies at any moment: what its guest was told is written is in the file, and the image is free again', async () => {
  const { open } = startStorage()
  const folder = await tempFolder()
  for (let round = 0; round < 12; round++) {
    const path = join(folder, `disk${round}.img`)
    await writeFile(path, new Uint8Array(SIZE))
    const port = await open(path)
    /** How many sectors were taken, in order. */
    const taken = new Int32Array(new SharedArrayBuffer(4))
    const writer = new Worker(new URL('./support/ring-writer.thread.ts', import.meta.url), {
      workerData: { port, taken, size: SIZE },
      transferList: [port],
    })
    const gone = new Promise((resolve) => writer.once('exit', resolve))
    await Atomics.waitAsync(taken, 0, 0).value
    await sleep(round)
    await writer.terminate()
    await gone
    const count = Atomics.load(taken, 0)
    await reopened(open, path)
    const bytes = await readFile(path)
    for (let sector = 0; sector < Math.min(count, SIZE / 512); sector++)
      expect(bytes[sector * 512], `sector ${sector} of ${count}`).toBe(1 + (sector % 250))
  }
})

test('a storage thread that dies: what is under way and what waits fails, and so does everything later', async () => {
  const folder = await tempFolder()
  const path = join(folder, 'disk.img')
  await writeFile(path, new Uint8Array(SIZE))
  for (let round = 0; round < 4; round++) {
    const { worker, open } = startStorage()
    const port = await open(path)
    const client = new RpcClient(portWire(nodePort(port, 'close', () => port.close())))
    const ring = openRing(client.service(blockPort))
    await ring.write(0, new Uint8Array(512)).done
    const work: Promise<unknown>[] = []
    for (let n = 0; n < 300; n++)
      work.push(
        ring.write((n * 4096) % SIZE, new Uint8Array(4096)).done,
        ring.read((n * 512) % SIZE, 512).then((lease) => lease.release()),
      )
    work.push(ring.flush())
    const ended = Promise.allSettled(work)
    await sleep(round)
    await worker.terminate()
    for (const result of await ended) if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'disconnected' })
    await expect(ring.read(0, 512)).rejects.toMatchObject({ code: 'disconnected' })
    client.dispose()
  }
})

test('rings that were opened and closed leave nothing behind', async () => {
  const { open, storage } = startStorage()
  const folder = await tempFolder()
  const path = join(folder, 'disk.img')
  await writeFile(path, new Uint8Array(SIZE))
  const ports = (): number => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length
  let before = 0
  for (let round = 0; round < 30; round++) {
    const port = await open(path)
    const client = new RpcClient(portWire(nodePort(port, 'close', () => port.close())))
    const ring = openRing(client.service(blockPort))
    // All of the ring's memory is touched.
    await Promise.all(Array.from({ length: 8 }, (_, n) => ring.write(n * 1024 * 1024, new Uint8Array(1024 * 1024)).done))
    client.dispose()
    await storage.close({ handle: path })
    if (round === 0) before = ports()
  }
  expect(ports()).toBe(before)
})
