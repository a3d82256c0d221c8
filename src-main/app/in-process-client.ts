/** A client of the host in its own process, for what surrounds it: the same calls and events as every window has. */
import { memoryWirePair } from '../../src-shared/rpc/wires/memory-wire.ts'
import { RpcClient } from '../../src-shared/rpc/client.ts'
import type { RpcServer } from '../../src-shared/rpc/server.ts'

/** Dispose it when done. */
export function inProcessClient(server: RpcServer): RpcClient {
  const [ours, theirs] = memoryWirePair()
  server.attach(theirs, { kind: 'window' })
  return new RpcClient(ours)
}
