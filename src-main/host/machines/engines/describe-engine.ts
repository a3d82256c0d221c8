import { engineThread, type EngineCapabilities } from '../../../../src-shared/threads/engine-thread.ts'
import type { Log } from '../../log/log.ts'
import { HostThread } from '../../threads/thread.ts'

/**
 * What the embedded engine says of itself, from a thread of its own that ends with the answer.
 * @throws AppError why it does not start
 */
export async function describeEngine(log: Log, entry?: URL): Promise<EngineCapabilities> {
  const thread = new HostThread('embedded', { log, label: 'the embedded engine', ...(entry ? { entry } : {}) })
  try {
    return await thread.rpc.service(engineThread).describe({})
  } catch (error) {
    throw thread.deathError ?? error
  } finally {
    await thread.terminate()
  }
}
