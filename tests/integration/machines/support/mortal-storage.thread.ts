/** The storage thread, which dies when a guest writes blocks that begin with 66. */
import { writeFile } from 'node:fs/promises'
import type { MessagePort } from 'node:worker_threads'
import { serveBlock } from '../../../../src-main/storage/serve-block.ts'
import type { Handlers } from '../../../../src-shared/rpc/service.ts'
import { storageThread } from '../../../../src-shared/threads/storage-thread.ts'
import { serveThread } from '../../../../src-main/threads/serve-thread.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'

const none = (): never => {
  throw new Error('The test’s storage thread has no jobs.')
}
const progress = new Emitter<{ job: string; done: number; total: number }>()

/** Whatever the storage thread can do besides. */
const others = Object.fromEntries(Object.keys(storageThread.members).map((name) => [name, none]))
const handlers: Partial<Handlers<typeof storageThread>> = {
  open: ({ port }) => {
    const info = { size: 1024 * 1024, readOnly: false, format: 'raw' as const }
    const device = {
      info,
      read: async (_offset: number, into: Uint8Array) => void into.fill(0),
      write: async (_offset: number, bytes: Uint8Array) => {
        if (bytes[0] === 66) process.exit(5)
      },
      flush: async () => {},
      close: async () => {},
    }
    serveBlock(device, port as MessagePort, () => {})
    return info
  },
  close: () => {},
  copy: () => ({ bytes: 0 }),
  // The engine asks this thread for the disk's bytes; the planner wants to see a file.
  create: async ({ path }) => {
    await writeFile(path, new Uint8Array(512))
    return { size: 512 }
  },
  progress: progress.event,
}

serveThread((server) => server.register(storageThread, { ...others, ...handlers } as Handlers<typeof storageThread>))
