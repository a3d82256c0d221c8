/** Networks as the window and the command line see them. Pure. */
import type { MachineView } from '../../../src-shared/api/machines.ts'
import type { NetworkView, NicView, RouterView } from '../../../src-shared/api/networks.ts'
import { AppError } from '../../../src-shared/errors/app-error.ts'
import type { Subnet } from '../../../src-shared/model/ip.ts'
import { formatSubnet, parseIp } from '../../../src-shared/model/ip.ts'
import { gatewayMac } from '../../../src-shared/model/mac.ts'
import type { Nic } from '../../../src-shared/model/machine.ts'
import type { MachineState } from '../../../src-shared/model/machine-state.ts'
import { domainOf, gatewayOf, hasGateway, type Forward, type Network, type Networks, subnetsOf } from '../../../src-shared/model/network.ts'
import type { Lease, NetworkState, PortState } from '../../../src-shared/threads/network-thread.ts'
import { bridgesOf, isJoinedStill, unseen, whyNotJoined, type Bridge } from '../planner/plan-bridge.ts'
import { subnetsMeet } from './choose-subnet.ts'
import { noForwards, portOf, routerProblem } from './network-edits.ts'

/** States in which a machine has the hardware that it was started with. */
const PRESENT: readonly MachineState[] = ['running', 'paused', 'suspending', 'stopping']

/** All that views follow from. */
export interface NetworkFacts {
  document: Networks
  machines: readonly MachineView[]
  /** Of the thread; empty where none runs. */
  networks: ReadonlyMap<string, NetworkState>
  ports: ReadonlyMap<string, PortState>
  /** One of each card in a network, at most. */
  leases: readonly Lease[]
  /** Why there is no thread, though it is needed. */
  problem: AppError | null
  /** Subnets that this computer is in. */
  computer: readonly Subnet[]
  platform: NodeJS.Platform
  now: number
  /** Whether a QEMU of this computer can join cards itself; null: there is no QEMU. */
  vmnet: boolean | null
  /** By port: cards that QEMU joined itself. */
  joined: ReadonlyMap<string, Bridge>
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
  // What the thread says of bridges holds for Linux.
  const told = facts.platform === 'linux' ? state?.problem : null
  const problem = told ?? problemOf(network, facts)?.toWire() ?? null
  return {
    network,
    gateway: hasGateway(network) ? { ipv4: ipv4 && gatewayOf(ipv4), ipv6: ipv6 && gatewayOf(ipv6), mac: gatewayMac(name) } : null,
    domain: domainOf(network),
    nics: nics.filter((nic) => nic.network === name),
    forwards: Object.fromEntries(network.forwards.map((forward) => [forward.id, forwardState(forward, network, state, facts)])),
    problem,
  }
}

function forwardState(
  forward: Forward,
  network: Network,
  state: NetworkState | undefined,
  { machines }: NetworkFacts,
): NetworkView['forwards'][string] {
  const none = noForwards(network)
  if (none) return { state: 'failed', problem: none.toWire() }
  const problem = state?.forwards[forward.id]
  if (problem) return { state: 'failed', problem }
  return { state: problem === null ? 'listening' : 'waiting', problem: leadsNowhere(forward, network, machines)?.toWire() ?? null }
}

/** Why nobody is reached by a forward, though it may listen; null: somebody can be. */
function leadsNowhere({ guest }: Forward, { name }: Network, machines: readonly MachineView[]): AppError | null {
  if (parseIp(guest)) return null
  const machine = machines.find(({ id }) => id === guest)
  // One that cannot be read now may come back.
  if (machine && (!machine.config || machine.config.nics.some(({ network }) => network === name))) return null
  const why = machine
    ? `“${machine.name}” has no network card in “${name}”: the forward reaches nobody until it has one.`
    : 'Its machine is gone: the forward reaches nobody. Remove it.'
  return new AppError('wrong-state', why, { subject: name })
}

function problemOf(network: Network, facts: NetworkFacts): AppError | null {
  const { problem, computer, machines } = facts
  const { name, kind } = network
  if (kind === 'bridged' && facts.platform !== 'linux')
    return new AppError('unsupported', bridgedElsewhere(network, facts), { subject: name })
  if (problem && machines.some(({ state, config }) => state === 'running' && config?.nics.some((nic) => nic.network === name)))
    return problem
  if (kind !== 'nat') return null
  const met = subnetsOf(network).flatMap((subnet) => computer.filter((other) => other.prefix > 0 && subnetsMeet(subnet, other)))[0]
  if (!met) return null
  const text = `This computer is in the network ${formatSubnet(met)} itself, whose addresses “${name}” has too: its machines cannot reach that one. Give it another subnet.`
  return new AppError('wrong-state', text, { subject: name })
}

/** Why a bridged network is not joined to this computer's, or what it cannot do where it is. */
function bridgedElsewhere({ name, hostInterface: card }: Network, { platform, vmnet }: NetworkFacts): string {
  if (platform === 'darwin')
    return whyNotJoined({ network: name, card, engine: 'qemu', vmnet }) ?? `Of machines in “${name}”: ${unseen(card!)}`
  return `“${name}” is not joined to this computer’s network: bridged networks need a driver (TAP), which Coppice does not install. Use a NAT network with forwards.`
}

/** Of a card, where networks are joined by QEMU; null: nothing. */
function bridgeProblem(machine: MachineView, { id, network }: Nic, facts: NetworkFacts): string | null {
  const { document, platform, vmnet, joined } = facts
  const bridges = bridgesOf(document.networks, platform)
  const card = network === null ? undefined : bridges.get(network)
  const bridge = joined.get(`${machine.id}/${id}`)
  if (bridge)
    return isJoinedStill(bridge, network, bridges)
      ? unseen(bridge.card)
      : `QEMU joined it to this Mac’s “${bridge.card}” when the machine was started. Its cable is pulled now, and it moves when the machine is started next.`
  if (network === null || card === undefined) return null
  const why = whyNotJoined({ network, card, engine: machine.engine, vmnet })
  if (why !== null) return why
  return PRESENT.includes(machine.state) ? 'It is joined to this Mac’s network when the machine is started next.' : null
}

function nicViews(facts: NetworkFacts): NicView[] {
  const { document, machines, ports, now, joined } = facts
  const leases = new Map(facts.leases.map((lease) => [`${lease.network}/${lease.mac}`, lease]))
  return machines.flatMap((one) => {
    const { id: machine, name, config, interfaces, state } = one
    return (config?.nics ?? []).map((built): NicView => {
      const { id: nic, mac, network } = built
      const { impairment, cut } = portOf(document, machine, nic)
      const port = ports.get(`${machine}/${nic}`)
      const bridge = joined.get(`${machine}/${nic}`)
      const told = interfaces.filter((one) => one.nic === nic).flatMap(({ addresses }) => addresses)
      const lease = leases.get(`${network}/${mac}`)
      const addresses = told.length > 0 ? told : port && lease && lease.until > now ? [lease.address] : []
      return {
        ...{ machine, name, nic, mac, network, impairment, cut },
        connected: bridge
          ? state === 'running' && bridge.network === network && !cut
          : port?.connected === true && port.network === network && !cut,
        addresses: addresses.filter((address) => parseIp(address) !== null),
        problem: bridgeProblem(one, built, facts),
      }
    })
  })
}
