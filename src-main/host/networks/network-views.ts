/** Networks as the window and the command line see them. Pure. */
import type { MachineView } from '../../../src-shared/api/machines.ts'
import type { NetworkView, NicView, RouterView } from '../../../src-shared/api/networks.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { Subnet } from '../../../src-shared/model/ip.ts'
import { formatSubnet, parseIp } from '../../../src-shared/model/ip.ts'
import { gatewayMac } from '../../../src-shared/model/mac.ts'
import { domainOf, gatewayOf, hasGateway, type Forward, type Network, type Networks, subnetsOf } from '../../../src-shared/model/network.ts'
import type { Lease, NetworkState, PortState } from '../../../src-shared/threads/network-thread.ts'
import { subnetsMeet } from './choose-subnet.ts'
import { portOf, routerProblem } from './network-edits.ts'

/** All that views follow from. */
export interface NetworkFacts {
  document: Networks
  machines: readonly MachineView[]
  /** Of the thread; empty where none runs. */
  networks: ReadonlyMap<string, NetworkState>
  ports: ReadonlyMap<string, PortState>
  leases: readonly Lease[]
  /** Why there is no thread, though it is needed. */
  problem: AppError | null
  /** Subnets that this computer is in. */
  computer: readonly Subnet[]
  platform: NodeJS.Platform
  now: number
}

export function networkViews(facts: NetworkFacts): NetworkView[] {
  const nics = nicViews(facts)
  return facts.document.networks.map((network) => networkView(network, nics, facts))
}

/** Cards that are plugged in nowhere, or into a network that is not there. */
export function looseNics(facts: NetworkFacts): NicView[] {
  const there = new Set(facts.document.networks.map(({ name }) => name))
  return nicViews(facts).filter(({ network }) => network === null || !there.has(network))
}

export function routerViews({ document }: Pick<NetworkFacts, 'document'>): RouterView[] {
  return document.routers.map((router) => ({ router, problem: routerProblem(router, document)?.toWire() ?? null }))
}

function networkView(network: Network, nics: readonly NicView[], facts: NetworkFacts): NetworkView {
  const { name, ipv4, ipv6 } = network
  const state = facts.networks.get(name)
  const problem = state?.problem ?? problemOf(network, facts)?.toWire() ?? null
  return {
    network,
    gateway: hasGateway(network) ? { ipv4: ipv4 && gatewayOf(ipv4), ipv6: ipv6 && gatewayOf(ipv6), mac: gatewayMac(name) } : null,
    domain: domainOf(network),
    nics: nics.filter((nic) => nic.network === name),
    forwards: Object.fromEntries(network.forwards.map((forward) => [forward.id, forwardState(forward, state)])),
    problem,
  }
}

function forwardState({ id }: Forward, state: NetworkState | undefined): NetworkView['forwards'][string] {
  const problem = state?.forwards[id]
  if (problem === undefined) return { state: 'waiting', problem: null }
  return problem === null ? { state: 'listening', problem } : { state: 'failed', problem }
}

function problemOf(network: Network, { problem, computer, platform, machines }: NetworkFacts): AppError | null {
  const { name, kind } = network
  if (kind === 'bridged' && platform !== 'linux') {
    const text =
      platform === 'darwin'
        ? 'Bridged networks need QEMU’s vmnet, which macOS lets the administrator alone use; Coppice never asks for that.'
        : 'Bridged networks need a driver (TAP), which Coppice does not install.'
    return new AppError('unsupported', `“${name}” is not joined to this computer’s network: ${text} Use a NAT network with forwards.`, {
      subject: name,
    })
  }
  if (problem && machines.some(({ state, config }) => state === 'running' && config?.nics.some((nic) => nic.network === name)))
    return problem
  if (kind !== 'nat') return null
  const met = subnetsOf(network).flatMap((subnet) => computer.filter((other) => other.prefix > 0 && subnetsMeet(subnet, other)))[0]
  if (!met) return null
  const text = `This computer is in the network ${formatSubnet(met)} itself, whose addresses “${name}” has too: its machines cannot reach that one. Give it another subnet.`
  return new AppError('wrong-state', text, { subject: name })
}

function nicViews({ document, machines, ports, leases, now }: NetworkFacts): NicView[] {
  return machines.flatMap(({ id: machine, name, config, interfaces }) =>
    (config?.nics ?? []).map(({ id: nic, mac, network }): NicView => {
      const { impairment, cut } = portOf(document, machine, nic)
      const port = ports.get(`${machine}/${nic}`)
      const told = interfaces.filter((one) => one.nic === nic).flatMap(({ addresses }) => addresses)
      const leased = leases.filter((lease) => lease.mac === mac && lease.network === network && lease.until > now)
      const addresses = told.length > 0 ? told : port ? leased.map(({ address }) => address) : []
      return {
        ...{ machine, name, nic, mac, network, impairment, cut },
        connected: port?.connected === true && port.network === network && !cut,
        addresses: addresses.filter((address) => parseIp(address) !== null),
      }
    }),
  )
}
