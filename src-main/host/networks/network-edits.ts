/** Changes of the networks' document. Pure: each takes the document and gives the next one, or throws every reason why not, with the field. */
import { isDeepStrictEqual } from 'node:util'
import { newId } from '../../../src-shared/base/ids.ts'
import { AppError, type FieldError } from '../../../src-shared/errors/app-error.ts'
import { fieldErrors } from '../../../src-shared/errors/field-errors.ts'
import { addressIn, formatIp, inSubnet, ordinalIn, parseIp, parseSubnet, sameIp, type Subnet } from '../../../src-shared/model/ip.ts'
import {
  DEFAULT_NETWORK,
  hasGateway,
  isImpaired,
  MAX_NETWORKS,
  MAX_PORTS,
  MAX_ROUTERS,
  networkSchema,
  newNetworkSchema,
  NO_IMPAIRMENT,
  subnetsOf,
  type Forward,
  type Network,
  type NetworkPatch,
  type Networks,
  type NewNetwork,
  type PortSettings,
  type Router,
} from '../../../src-shared/model/network.ts'
import { interfacesOf } from '../../../src-shared/model/router-interfaces.ts'
import { freeIpv4, freeIpv6, subnetsMeet, unusableAs } from './choose-subnet.ts'
import { noNetwork } from './no-network.ts'

/** @param computer subnets that this computer is in */
export function makeDefault(others: readonly Network[], computer: readonly Subnet[]): Network {
  return completed({ ...newNetworkSchema.parse({ name: DEFAULT_NETWORK }), ipv4: null, ipv6: null }, others, computer)
}

/** @throws AppError `already-exists`, `invalid-input` */
export function withNetwork(now: Networks, wish: NewNetwork, computer: readonly Subnet[]): Networks {
  if (now.networks.some(({ name }) => name === wish.name))
    throw new AppError('already-exists', `There is a network “${wish.name}” already. Choose another name.`, {
      subject: wish.name,
      fields: [{ path: 'name', message: 'There is a network of that name already.' }],
    })
  if (now.networks.length >= MAX_NETWORKS) throw new AppError('invalid-input', `A library has at most ${MAX_NETWORKS} networks.`)
  const { ipv4, ipv6 } = wish
  const network = completed({ ...wish, ipv4: ipv4 ?? null, ipv6: ipv6 ?? null }, now.networks, computer, {
    ipv4: ipv4 === undefined,
    ipv6: ipv6 === undefined,
  })
  return { ...now, networks: [...now.networks, sensible(checked(network, now), null)] }
}

/** Absent fields stay. A network that comes to need subnets gets some. @throws AppError `not-found`, `invalid-input` with every wrong field */
export function withPatch(now: Networks, name: string, patch: NetworkPatch, computer: readonly Subnet[]): Networks {
  const before = find(now, name)
  const others = now.networks.filter((network) => network !== before)
  const given = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)) as Partial<Network>
  const merged = { ...before, ...given }
  const bare = merged.ipv4 === null && merged.ipv6 === null && patch.ipv4 === undefined && patch.ipv6 === undefined
  const next = bare ? completed(merged, others, computer) : merged
  return replaced(now, before, sensible(checked(next, { ...now, networks: others }), before))
}

/** With all that refers to it. @throws AppError `not-found`, `wrong-state` for the default network */
export function withoutNetwork(now: Networks, name: string): Networks {
  const network = find(now, name)
  if (name === DEFAULT_NETWORK)
    throw new AppError('wrong-state', `The network “${DEFAULT_NETWORK}” stays: new machines are plugged into it.`, { subject: name })
  const { [`network/${name}`]: _, ...map } = now.map
  return {
    ...now,
    networks: now.networks.filter((one) => one !== network),
    routers: now.routers.map((router) => ({ ...router, interfaces: router.interfaces.filter((one) => one.network !== name) })),
    map,
  }
}

/** @throws AppError `not-found`, `wrong-state` where this kind of network has none, `invalid-input`, also where another forward listens there */
export function withForward(now: Networks, name: string, forward: Omit<Forward, 'id'>): Networks {
  const network = find(now, name)
  const { protocol, hostPort } = forward
  const none = noForwards(network)
  if (none) throw none
  const other = network.forwards.find((one) => listenAlike(one, forward))
  if (other) {
    const message = `${protocol.toUpperCase()} port ${hostPort} of ${other.hostAddress} is forwarded in the network “${name}” already. Choose another port, or remove that forward.`
    throw AppError.invalid([{ path: `forwards.${network.forwards.length}.hostPort`, message }])
  }
  const next = { ...network, forwards: [...network.forwards, { ...forward, id: newId() }] }
  return replaced(now, network, checked(next, { ...now, networks: now.networks.filter((one) => one !== network) }))
}

/** @throws AppError `not-found` */
export function withoutForward(now: Networks, name: string, id: string): Networks {
  const network = find(now, name)
  if (!network.forwards.some((forward) => forward.id === id))
    throw new AppError('not-found', `The network “${name}” has no such forward (any more).`, { subject: id })
  return replaced(now, network, { ...network, forwards: network.forwards.filter((forward) => forward.id !== id) })
}

/** Addresses that are left out are chosen. @throws AppError `invalid-input` */
export function withRouter(now: Networks, wish: Router): Networks {
  const fields: FieldError[] = []
  const others = now.routers.filter(({ name }) => name !== wish.name)
  const interfaces = wish.interfaces.map((one, at) => {
    const network = now.networks.find(({ name }) => name === one.network)
    if (!network) fields.push({ path: `interfaces.${at}.network`, message: noNetwork(one.network) })
    else if (wish.interfaces.findIndex((other) => other.network === one.network) < at)
      fields.push({ path: `interfaces.${at}.network`, message: `The router is in “${one.network}” already.` })
    return network ? addressed(one, network, others) : one
  })
  const router = { ...wish, interfaces }
  interfacesOf(router, now.networks).forEach(({ problem }, at) => {
    const { ipv4, ipv6 } = interfaces[at]!
    // Without any address it waits until its network has a subnet.
    if (problem !== null && (ipv4 !== null || ipv6 !== null))
      fields.push({ path: `interfaces.${at}.${ipv4 === null ? 'ipv6' : 'ipv4'}`, message: problem })
  })
  if (fields.length > 0) throw AppError.invalid(fields)
  if (others.length >= MAX_ROUTERS) throw new AppError('invalid-input', `A library has at most ${MAX_ROUTERS} routers.`)
  return { ...now, routers: [...others, router] }
}

/** The last address of the network that no other router has; of IPv6, with as large a number behind the prefix. */
function addressed(one: Router['interfaces'][number], network: Network, others: readonly Router[]): Router['interfaces'][number] {
  const free = (text: string | null, family: 'ipv4' | 'ipv6', last: number): string | null => {
    const subnet = text === null ? null : parseSubnet(text)
    if (!subnet) return null
    const taken = others.flatMap(({ interfaces }) => interfaces.map((other) => (other.network === network.name ? other[family] : null)))
    for (let nth = last; nth > 1; nth--) {
      const address = formatIp(addressIn(subnet, nth))
      if (!taken.includes(address)) return address
    }
    return null
  }
  const { ipv4, ipv6 } = network
  return {
    ...one,
    ipv4: one.ipv4 ?? free(ipv4, 'ipv4', ipv4 === null ? 0 : 2 ** (32 - parseSubnet(ipv4)!.prefix) - 2),
    ipv6: one.ipv6 ?? free(ipv6, 'ipv6', 0xfffe),
  }
}

/** @throws AppError `not-found` */
export function withoutRouter(now: Networks, name: string): Networks {
  if (!now.routers.some((router) => router.name === name))
    throw new AppError('not-found', `There is no router “${name}”.`, { subject: name })
  const { [`router/${name}`]: _, ...map } = now.map
  return { ...now, routers: now.routers.filter((router) => router.name !== name), map }
}

/**
 * What a card has beside its network. What is as everywhere is not kept.
 * @param isThere whether there is a machine of that id; those that are gone, and may come back, lose theirs where there is no room for more
 */
export function withPort(
  now: Networks,
  { machine, nic, ...change }: Pick<PortSettings, 'machine' | 'nic'> & Partial<PortSettings>,
  isThere: (machine: string) => boolean = () => true,
): Networks {
  const port = { ...portOf(now, machine, nic), ...change }
  const others = now.ports.filter((one) => one.machine !== machine || one.nic !== nic)
  if (isPlain(port)) return { ...now, ports: others }
  const kept = others.length < MAX_PORTS ? others : others.filter((one) => isThere(one.machine))
  return { ...now, ports: [...kept, port] }
}

export function portOf({ ports }: Pick<Networks, 'ports'>, machine: string, nic: string): PortSettings {
  return ports.find((one) => one.machine === machine && one.nic === nic) ?? { machine, nic, impairment: NO_IMPAIRMENT, cut: false }
}

/** What a router cannot do as its networks are; null: nothing. */
export function routerProblem(router: Router, { networks }: Pick<Networks, 'networks'>): AppError | null {
  const { name, interfaces } = router
  const found = interfaces.map(({ network }) => networks.find((one) => one.name === network)!)
  for (const [at, network] of found.entries())
    for (const other of found.slice(at + 1))
      for (const subnet of subnetsOf(network))
        if (subnetsOf(other).some((one) => subnetsMeet(one, subnet)))
          return new AppError(
            'wrong-state',
            `The router “${name}” cannot tell “${network.name}” from “${other.name}”: they have the same addresses. Give one of them another subnet.`,
            { subject: name },
          )
  const problems = interfacesOf(router, networks).flatMap(({ problem }) => problem ?? [])
  return problems.length === 0 ? null : new AppError('wrong-state', `The router “${name}”: ${problems.join(' ')}`, { subject: name })
}

function isPlain({ impairment, cut }: PortSettings): boolean {
  return !cut && !isImpaired(impairment)
}

function find({ networks }: Networks, name: string): Network {
  const found = networks.find((network) => network.name === name)
  if (!found) throw new AppError('not-found', noNetwork(name), { subject: name })
  return found
}

function replaced(now: Networks, before: Network, next: Network): Networks {
  return { ...now, networks: now.networks.map((one) => (one === before ? next : one)) }
}

/** With subnets, where its kind has some of its own. */
function completed(
  network: Network,
  others: readonly Network[],
  computer: readonly Subnet[],
  wanted: { ipv4: boolean; ipv6: boolean } = { ipv4: true, ipv6: true },
): Network {
  if (network.kind !== 'nat' && network.kind !== 'host-only') return network
  const taken = [...others.flatMap(subnetsOf), ...computer]
  return {
    ...network,
    ipv4: wanted.ipv4 ? freeIpv4(taken) : network.ipv4,
    ipv6: wanted.ipv6 && network.mtu >= 1280 ? freeIpv6(taken) : network.ipv6,
  }
}

/** @throws AppError */
function checked(network: Network, { networks }: Pick<Networks, 'networks'>): Network {
  const parsed = networkSchema.safeParse(network)
  if (!parsed.success) throw AppError.invalid(fieldErrors(parsed.error))
  const subnets = subnetsOf(network)
  const fields: FieldError[] = []
  network.forwards.forEach((forward, at) => {
    const { guest, protocol, hostPort } = forward
    const address = parseIp(guest)
    if (address && subnets.length > 0 && !subnets.some((subnet) => inSubnet(address, subnet)))
      fields.push({ path: `forwards.${at}.guest`, message: `${guest} is not in the network “${network.name}”.` })
    const other = networks.find(({ forwards }) => forwards.some((one) => listenAlike(one, forward)))
    if (other)
      fields.push({
        path: `forwards.${at}.hostPort`,
        message: `${protocol.toUpperCase()} port ${hostPort} is forwarded into the network “${other.name}” already. Choose another port.`,
      })
  })
  if (fields.length > 0) throw AppError.invalid(fields)
  return parsed.data
}

/** Why no port of this computer leads into such a network; null: ports can. */
export function noForwards({ name, kind }: Pick<Network, 'name' | 'kind'>): AppError | null {
  if (kind === 'nat' || kind === 'host-only') return null
  const why =
    kind === 'segment'
      ? `Machines in “${name}” are among themselves: a LAN segment forwards no ports. Choose a NAT or host-only network.`
      : `Machines in “${name}” are reached at their own addresses: a bridged network forwards no ports.`
  return new AppError('wrong-state', why, { subject: name })
}

/**
 * What no person means, though it can be. What was so before may stay: other things of the network can still be changed.
 * @param before null: it is new
 * @throws AppError `invalid-input`
 */
function sensible(network: Network, before: Network | null): Network {
  const fields: FieldError[] = []
  for (const family of ['ipv4', 'ipv6'] as const) {
    const why = network[family] === before?.[family] || network[family] === null ? null : unusableAs(parseSubnet(network[family])!)
    if (why !== null) fields.push({ path: family, message: why })
  }
  network.watch.patterns.forEach(({ bytes }, at) => {
    const isNew = !before?.watch.patterns.some((one) => one.bytes === bytes)
    if (isNew && /^0x/i.test(bytes) && !/^0x([0-9a-f]{2})+$/i.test(bytes))
      fields.push({
        path: `watch.patterns.${at}.bytes`,
        message: `“${bytes}” is neither text nor bytes. Write two digits for each byte, as in 0xdeadbeef.`,
      })
  })
  const subnet = network.ipv4 === null ? null : parseSubnet(network.ipv4)
  if (subnet && (!isDeepStrictEqual(network.dhcp, before?.dhcp) || network.ipv4 !== before?.ipv4)) {
    const nth = (text: string): number => ordinalIn(subnet, parseIp(text)!)
    const { from, to, reservations } = network.dhcp
    if (from !== null && to !== null && nth(from) > nth(to))
      fields.push({ path: 'dhcp.from', message: `The range begins at ${from}, behind its end ${to}. Write the lower address first.` })
    reservations.forEach(({ address }, at) => {
      if (hasGateway(network) && nth(address) === 1)
        fields.push({ path: `dhcp.reservations.${at}.address`, message: `${address} is the gateway’s address. Choose another one.` })
    })
  }
  if (fields.length > 0) throw AppError.invalid(fields)
  return network
}

/** Whether the two cannot both listen. Those of one family's "any" address take no port of the other family. */
function listenAlike(one: Omit<Forward, 'id'>, other: Omit<Forward, 'id'>): boolean {
  if (one.protocol !== other.protocol || one.hostPort !== other.hostPort) return false
  const [a, b] = [parseIp(one.hostAddress)!, parseIp(other.hostAddress)!]
  const isAny = (address: Uint8Array): boolean => address.every((byte) => byte === 0)
  return a.length === b.length && (sameIp(a, b) || isAny(a) || isAny(b))
}
