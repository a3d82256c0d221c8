import { Worker } from 'node:worker_threads'
import { threadUrl } from '../../src-main/threads/thread-url.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import { nodePort, portWire } from '../../src-shared/rpc/wires/message-port-wire.ts'
import { engineThread } from '../../src-shared/threads/engine-thread.ts'
import { engineContract } from './engine-contract.ts'

engineContract('embedded', () => {
  const worker = new Worker(threadUrl('embedded'))
  const rpc = new RpcClient(portWire(nodePort(worker, 'exit', () => void worker.terminate())))
  return {
    engine: rpc.service(engineThread),
    close: async () => {
      rpc.dispose()
      await worker.terminate()
    },
  }
})
