/** Machines with Coppice Linux in networks of a whole host. */
import { onTestFinished } from 'vitest'
import { networks } from '../../../src-shared/api/index.ts'
import type { NewMachine } from '../../../src-shared/api/machines.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import type { TestHost } from '../../integration/machines/support/test-host.ts'
import { until } from '../../support/until.ts'
import { collect, type Executed } from './exec.ts'

export interface Networked {
  id: string
  host: TestHost
  /** A shell's command. @throws where it fails */
  sh(script: string): Promise<string>
}

export const networksOf = (host: TestHost): Client<typeof networks> => host.rpc.service(networks)

/** Booted, and its agent answers. */
export async function startNetworked(host: TestHost, machine: Omit<NewMachine, 'source'>): Promise<Networked> {
  const { result } = await host.done(host.machines.create({ ...machine, source: { kind: 'sample' } }))
  const id = result!.id!
  onTestFinished(async () => void (await host.machines.powerOff({ id }).catch(() => {})))
  await host.machines.start({ id })
  await host.until(id, ({ agent }) => agent)
  return { id, host, sh: async (script) => succeeded(script, await execIn(host, id, script)) }
}

export async function execIn(host: TestHost, id: string, script: string): Promise<Executed> {
  const { stream } = await host.machines.exec({ id, command: { path: 'sh', args: ['-c', script], env: [], input: false, limitMs: null } })
  return collect(stream)
}

/** The IPv4 address that its network leased to its first card. */
export async function leased({ id, host }: Networked, network: string): Promise<string> {
  const service = networksOf(host)
  const find = async (): Promise<string | undefined> => {
    const { nics } = await service.get({ name: network })
    const mac = nics.find(({ machine }) => machine === id)?.mac
    return (await service.leases({ name: network })).find((lease) => lease.mac === mac)?.address
  }
  await until(async () => (await find()) !== undefined)
  return (await find())!
}

function succeeded(script: string, { exitCode, out, err }: Executed): string {
  if (exitCode !== 0) throw new Error(`“${script}” ended with ${exitCode}:\n${out}${err}`)
  return out
}
