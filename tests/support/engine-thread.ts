import { Worker } from 'node:worker_threads'
import { threadUrl } from '../../src-main/threads/thread-url.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import type { Client } from '../../src-shared/rpc/service.ts'
import { engineThread } from '../../src-shared/threads/engine-thread.ts'
import { qemuThread } from '../../src-shared/threads/qemu-thread.ts'

export interface OpenThread {
  engine: Client<typeof engineThread>
  /** Of the QEMU thread only. */
  qemu: Client<typeof qemuThread>
  close(): Promise<void>
}

/** The product's own thread of an engine. @param env variables that differ from this process's */
export function engineThreadOf(name: 'embedded' | 'qemu', env: Record<string, string> = {}): OpenThread {
  const worker = new Worker(threadUrl(name), { env: { ...process.env, ...env } })
  const rpc = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  return {
    engine: rpc.service(engineThread),
    qemu: rpc.service(qemuThread),
    close: async () => {
      rpc.dispose()
      await worker.terminate()
    },
  }
}
