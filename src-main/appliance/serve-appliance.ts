/** The appliance service, as its thread serves it. */
import { Emitter } from '../../src-shared/base/event.ts'
import { Turns } from '../../src-shared/base/turns.ts'
import type { RpcServer } from '../../src-shared/rpc/server.ts'
import { applianceThread, type ApplianceProgress } from '../../src-shared/threads/appliance-thread.ts'
import { coppiceLinux } from './coppice-linux.ts'
import { obtainFirmware } from './firmware.ts'

export function serveAppliance(server: RpcServer): void {
  const progress = new Emitter<ApplianceProgress>()
  const turns = new KeyedTurns()
  const reporter = (job: string): ((step: string, done: number, total: number) => void) => {
    let last = ''
    return (step, done, total) => {
      const key = `${step}\0${done}`
      if (key === last) return
      last = key
      progress.fire({ job, step, done, total })
    }
  }
  server.register(applianceThread, {
    // One after the other for the same result, so that two callers at once do not build it twice.
    coppiceLinux: ({ job, arch, cacheFolder, resources }, { signal }) =>
      turns.run(`${arch}:${cacheFolder}`, signal, () => coppiceLinux({ arch, cacheFolder, resources, onProgress: reporter(job), signal })),
    firmware: ({ job, cacheFolder }, { signal }) =>
      turns.run(`firmware:${cacheFolder}`, signal, () => obtainFirmware({ cacheFolder, onProgress: reporter(job), signal })),
    progress: progress.event,
  })
}

/** Runs works of the same key one after another. */
class KeyedTurns {
  #byKey = new Map<string, Turns>()

  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const turns = this.#byKey.get(key) ?? new Turns()
    this.#byKey.set(key, turns)
    try {
      return await turns.run(() => {
        signal.throwIfAborted()
        return work()
      })
    } finally {
      if (!turns.busy) this.#byKey.delete(key)
    }
  }
}
