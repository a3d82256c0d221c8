import { execFile, spawn } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openRing } from '../../src-main/engines/ring-client.ts'
import { openImage } from '../../src-main/storage/open-image.ts'
import { threadUrl } from '../../src-main/threads/thread-url.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../src-shared/threads/block-port.ts'
import { storageThread } from '../../src-shared/threads/storage-thread.ts'
import { tempFolder } from '../support/temp-folder.ts'

function startThread() {
  const worker = new Worker(threadUrl('storage'))
  onTestFinished(() => worker.terminate().then(() => {}))
  const rpc = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  const storage = rpc.service(storageThread)
  const open = async (handle: string, path: string) => {
    const { port1, port2 } = new MessageChannel()
    const client = new RpcClient(portWire(nodePort(port2, 'close', () => port2.close())))
    const info = await storage.open({ handle, path, format: 'raw', readOnly: false, port: port1 }, { transfer: [port1] })
    return { info, client, ring: openRing(client.service(blockPort)) }
  }
  return { worker, rpc, storage, open }
}

async function image(bytes = 4096): Promise<string> {
  const path = join(await tempFolder(), 'disk.img')
  await writeFile(path, new Uint8Array(bytes))
  return path
}

describe('the storage thread', () => {
  test('opens an image, serves it port to port, closes it', async () => {
    const { storage, open } = startThread()
    const path = await image()
    const { info, ring } = await open('a', path)
    expect(info).toEqual({ size: 4096, readOnly: false, format: 'raw' })
    await ring.write(512, new Uint8Array(512).fill(3)).done
    await ring.flush()
    expect((await readFile(path))[512]).toBe(3)
    await expect(open('b', path)).rejects.toMatchObject({ code: 'busy' })
    await expect(open('a', await image())).rejects.toMatchObject({ code: 'already-exists' })
    await storage.close({ handle: 'a' })
    await storage.close({ handle: 'never opened' })
    expect((await open('a', path)).info.size).toBe(4096)
  })

  test('a failed open closes the port, so that nobody waits on it', async () => {
    const { storage } = startThread()
    const { port1, port2 } = new MessageChannel()
    const client = new RpcClient(portWire(nodePort(port2, 'close', () => port2.close())))
    const waiting = client.service(blockPort).info({})
    const path = join(await tempFolder(), 'none.img')
    const refused = storage.open({ handle: 'a', path, format: 'raw', readOnly: true, port: port1 }, { transfer: [port1] })
    await expect(refused).rejects.toMatchObject({ code: 'not-found', details: { subject: path } })
    await expect(waiting).rejects.toMatchObject({ code: 'disconnected' })
  })

  test('another thread of this process is refused while the first lives, and takes over when it was killed', async () => {
    const first = startThread()
    const path = await image()
    await first.open('a', path)
    const second = startThread()
    await expect(second.open('a', path)).rejects.toMatchObject({ code: 'busy' })
    await first.worker.terminate()
    expect((await second.open('a', path)).info.size).toBe(4096)
  })

  test.skipIf(process.platform === 'win32')(
    'another process is refused while it lives, and a killed one leaves nothing behind',
    async () => {
      const path = await image()
      const entry = new URL('../../src-main/storage/open-image.ts', import.meta.url).href
      const script = `const { openImage } = await import(${JSON.stringify(entry)})
      await openImage({ path: ${JSON.stringify(path)}, format: 'raw', readOnly: false })
      console.log('open'); setInterval(() => {}, 1000)`
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
      onTestFinished(() => void child.kill('SIGKILL'))
      await new Promise((resolve) => child.stdout.once('data', resolve))
      await expect(openImage({ path, format: 'raw', readOnly: true })).rejects.toMatchObject({
        code: 'busy',
        message: expect.stringContaining(`process ${child.pid}`) as string,
      })
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
      await (await openImage({ path, format: 'raw', readOnly: false })).close()
      expect(await readdir(join(path, '..'))).toEqual(['disk.img'])
    },
  )

  test('copies with progress, and a cancel leaves nothing behind', async () => {
    const { storage } = startThread()
    const path = await image(32 * 1024 * 1024)
    const told: string[] = []
    storage.progress(({ job, done, total }) => told.push(`${job} ${done}/${total}`))
    const to = join(path, '..', 'copy.img')
    expect(await storage.copy({ job: 'j1', from: path, to })).toEqual({ bytes: 32 * 1024 * 1024 })
    expect(told.at(-1)).toBe('j1 33554432/33554432')
    const caller = new AbortController()
    const copying = storage.copy({ job: 'j2', from: path, to: join(path, '..', 'second.img') }, { signal: caller.signal })
    caller.abort()
    await expect(copying).rejects.toMatchObject({ code: 'cancelled' })
    // A cancelled call answers at once; the thread then cleans up. The next request on the same image comes after it.
    await storage.copy({ job: 'j3', from: path, to: join(path, '..', 'third.img') })
    expect((await readdir(join(path, '..'))).sort()).toEqual(['copy.img', 'disk.img', 'third.img'])
    expect((await promisify(execFile)('cmp', [path, to])).stdout).toBe('')
  })
})
