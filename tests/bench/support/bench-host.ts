/** A host in this process with a library of its own, its sockets in a private folder, and the sample in it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { machines, networks, snapshots, tasks } from '../../../src-shared/api/index.ts'
import type { NewMachine } from '../../../src-shared/api/machines.ts'
import { RpcClient } from '../../../src-shared/rpc/client.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import { memoryWirePair } from '../../../src-shared/rpc/wires/memory-wire.ts'
import { startHost } from '../../../src-main/host/host.ts'
import { defaultHostOptions } from '../../support/host-options.ts'

export interface BenchHost {
  machines: Client<typeof machines>
  networks: Client<typeof networks>
  snapshots: Client<typeof snapshots>
  /** Coppice Linux. */
  id: string
  /** For what a figure needs beside the host. */
  folder: string
  /** Resolves with the task's result; rejects with its error. */
  finish(task: string): Promise<string | undefined>
  close(): Promise<void>
}

export async function benchHost(wish: Partial<NewMachine> = {}): Promise<BenchHost> {
  // Short: sockets lie in it.
  const folder = await mkdtemp(path.join(tmpdir(), 'cb-'))
  process.env['XDG_RUNTIME_DIR'] = folder
  const host = await startHost(defaultHostOptions(path.join(folder, 'library')))
  const [here, there] = memoryWirePair()
  host.server.attach(there, { kind: 'test' })
  const rpc = new RpcClient(here)
  const close = async (): Promise<void> => {
    rpc.dispose()
    await host.quiesce('powerOff')
    await host.close()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const service = rpc.service(machines)
    const finish = async (task: string): Promise<string | undefined> => {
      const ended = await rpc.service(tasks).wait({ id: task })
      if (ended.state !== 'done') throw new Error(ended.error?.message ?? ended.state)
      return ended.result?.id
    }
    const { task } = await service.create({ name: 'bench', source: { kind: 'sample' }, ...wish })
    return {
      machines: service,
      networks: rpc.service(networks),
      snapshots: rpc.service(snapshots),
      id: (await finish(task))!,
      folder,
      finish,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Types a sum at the prompt of its console and waits for the result. */
export async function answersAtPrompt(service: Client<typeof machines>, id: string, sum: number): Promise<void> {
  const { stream, opening } = await service.console({ id, port: 0, from: null })
  let seen = ''
  let skip = opening.end - opening.start
  const decoder = new TextDecoder()
  await stream.write(new TextEncoder().encode(`echo $((${sum}+7000))\n`))
  for await (const bytes of stream) {
    const fresh = bytes.subarray(Math.min(skip, bytes.length))
    skip -= bytes.length - fresh.length
    seen += decoder.decode(fresh, { stream: true })
    if (seen.includes(`\n${sum + 7000}`)) break
  }
  stream.close()
}
