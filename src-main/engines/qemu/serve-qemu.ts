/** Serves the QEMU engine, and what its thread does beside being one. */
import { Counters } from '../../../src-shared/threads/counters.ts'
import { qemuThread } from '../../../src-shared/threads/qemu-thread.ts'
import type { RpcServer } from '../../../src-shared/rpc/server.ts'
import { serveEngine } from '../serve-engine.ts'
import { findQemu } from './find/find-qemu.ts'
import { QemuEngine } from './qemu-engine.ts'

export function serveQemu(server: RpcServer): void {
  const engine = new QemuEngine()
  const served = serveEngine(server, engine)
  server.register(qemuThread, {
    find: findQemu,
    survivors: async () =>
      (await engine.survivors()).map(({ record: { spec } }) => ({ machine: spec.id, name: spec.name, logFolder: spec.logFolder })),
    adopt: async ({ machine: id, logFolder, counters }) => {
      const { machine, spec, startedAt, running } = await engine.adopt(id, logFolder, new Counters(counters))
      served.adopt(id, spec.logFolder, machine)
      if (running) await machine.resume()
      return { state: running ? 'running' : 'paused', startedAt, spec }
    },
  })
}
