/** The storage thread, which dies when a guest writes blocks that begin with 66. */
import { writeFile } from 'node:fs/promises'
import type { MessagePort } from 'node:worker_threads'
import { RpcServer } from '../../../../src-shared/rpc/server.ts'
import { nodePort, portWire } from '../../../../src-shared/rpc/wires/message-port-wire.ts'
import { blockPort } from '../../../../src-shared/threads/block-port.ts'
import { storageThread } from '../../../../src-shared/threads/storage-thread.ts'
import { serveThread } from '../../../../src-main/threads/serve-thread.ts'
import { Emitter } from '../../../../src-shared/base/event.ts'

const none = (): never => {
  throw new Error('The test’s storage thread has no jobs.')
}
const progress = new Emitter<{ job: string; done: number; total: number }>()

serveThread((server) =>
  server.register(storageThread, {
    open: ({ port }) => {
      const blocks = new RpcServer()
      const info = { size: 1024 * 1024, readOnly: false, format: 'raw' as const }
      blocks.register(blockPort, {
        info: () => info,
        read: ({ length }) => new Uint8Array(length),
        write: ({ bytes }) => {
          if (bytes[0] === 66) process.exit(5)
        },
        flush: () => {},
      })
      const messages = port as MessagePort
      blocks.attach(portWire(nodePort(messages, 'close', () => messages.close())), { kind: 'thread' })
      return info
    },
    close: () => {},
    copy: () => ({ bytes: 0 }),
    inspect: none,
    // The engine asks this thread for the disk's bytes; the planner wants to see a file.
    create: async ({ path }) => {
      await writeFile(path, new Uint8Array(512))
      return { size: 512 }
    },
    convert: none,
    resize: none,
    compact: none,
    check: none,
    merge: none,
    progress: progress.event,
  }),
)
