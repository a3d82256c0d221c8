/** Machines with Coppice Linux in networks of a whole host. */
import { expect, onTestFinished } from 'vitest'
import { networks } from '../../../src-shared/api/index.ts'
import type { NewMachine } from '../../../src-shared/api/machines.ts'
import { inSubnet, parseIp, parseSubnet } from '../../../src-shared/model/ip.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import type { TestHost } from '../../integration/machines/support/test-host.ts'
import { until } from '../../support/until.ts'
import { collect, type Executed } from './exec.ts'

/** ms for what takes seconds, on a computer that is busy. */
const SETTLED_WITHIN = 120_000

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

/**
 * Waits until its first card has by itself what it needs in a network, and nothing of any other: the leased address, one of IPv6 that nobody else has, and one
 * way out for each.
 */
export async function settledIn(guest: Networked, network: string): Promise<void> {
  const { network: document, gateway } = await networksOf(guest.host).get({ name: network })
  const inside = (address: string, subnet: string): true | string => inSubnet(parseIp(address)!, parseSubnet(subnet)!) || address
  const found = async (command: string, which: RegExp): Promise<string[]> =>
    (await guest.sh(command)).split('\n').flatMap((line) => which.exec(line)?.[1] ?? [])
  const own = async (): Promise<object> => ({
    ipv4: (await found('ip -4 addr show eth0', /inet ([\d.]+)/)).map((address) => inside(address, document.ipv4!)),
    ipv6: (await found('ip -6 addr show eth0', /inet6 ([\da-f:]+)\/64 scope global (?!tentative)/)).map((address) =>
      inside(address, document.ipv6!),
    ),
    ways: await found('ip route', /^default via (\S+)/),
    routes: await found('ip -6 route', /^(default|[\da-f:]+\/\d+) .*dev eth0/),
    names: await found('cat /etc/resolv.conf', /^nameserver (\S+)/),
  })
  const { ipv4 } = gateway!
  await expect
    .poll(own, { timeout: SETTLED_WITHIN, interval: 500 })
    .toEqual({ ipv4: [true], ipv6: [true], ways: [ipv4], routes: [document.ipv6, 'fe80::/64', 'default'], names: [ipv4] })
  expect(await found('ip -4 addr show eth0', /inet ([\d.]+)/)).toEqual([await leased(guest, network)])
}

function succeeded(script: string, { exitCode, out, err }: Executed): string {
  if (exitCode !== 0) throw new Error(`“${script}” ended with ${exitCode}:\n${out}${err}`)
  return out
}
