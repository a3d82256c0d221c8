/** What a router can do in each of its networks, as the networks are now. */
import { formatIp, inSubnet, ordinalIn, parseIp, parseSubnet, sameIp, type IpAddress, type Subnet } from './ip.ts'
import { gatewayOf, hasGateway, subnetsOf, type Network, type Router } from './network.ts'

export interface RouterInterface {
  network: string
  /** Null: it hands on no packets of that family there. */
  ipv4: { address: IpAddress; subnet: Subnet } | null
  ipv6: { address: IpAddress; subnet: Subnet } | null
  /** A sentence: why an address that is set, or the network, cannot be used. */
  problem: string | null
}

/** One for each network that the router stands in; of several in one network the first. */
export function interfacesOf(router: Router, networks: readonly Network[]): RouterInterface[] {
  return router.interfaces
    .filter(({ network }, at, all) => all.findIndex((other) => other.network === network) === at)
    .map(({ network: name, ipv4, ipv6 }) => {
      const network = networks.find((one) => one.name === name)
      if (!network) return { network: name, ipv4: null, ipv6: null, problem: `There is no network “${name}”.` }
      if (network.kind === 'bridged')
        return {
          network: name,
          ipv4: null,
          ipv6: null,
          problem: `“${name}” is the network of this computer’s card: a router cannot stand in it.`,
        }
      const [four, fourProblem] = usable(network, ipv4, network.ipv4)
      const [six, sixProblem] = usable(network, ipv6, network.ipv6)
      const none = four || six ? null : noAddress(network)
      return { network: name, ipv4: four, ipv6: six, problem: fourProblem ?? sixProblem ?? none }
    })
}

function noAddress(network: Network): string {
  const { name } = network
  if (subnetsOf(network).length === 0)
    return `“${name}” has no subnet: nothing is handed on there. Give it one, and the router an address in it.`
  return `It has no address in “${name}”: nothing is handed on there. Give it one.`
}

/**
 * What people must know of how machines that run learn of the router, a sentence for each network; where a gateway is the machines' way to everything, as in NAT networks, and for
 * IPv6, which is told at once, there is nothing to know.
 */
export function learningOf(router: Router, networks: readonly Network[]): string[] {
  return interfacesOf(router, networks).flatMap(({ network: name, ipv4 }) => {
    const network = networks.find((one) => one.name === name)!
    if (!ipv4 || network.kind === 'nat') return []
    const via = hasGateway(network) ? gatewayOf(network.ipv4!) : formatIp(ipv4.address)
    if (!network.dhcp.enabled) return [`Machines in “${name}” need a route through ${via} that is set in them: no DHCP tells them of it.`]
    return [
      `Machines that already run in “${name}” learn the way with their next lease, most of them within five minutes, or at once when you cut their link and join it again. ` +
        `Those with a fixed address need a route through ${via}.`,
    ]
  })
}

function usable(
  network: Network,
  text: string | null,
  around: string | null,
): [{ address: IpAddress; subnet: Subnet } | null, string | null] {
  const address = text === null ? null : parseIp(text)
  if (!address) return [null, null]
  const subnet = around === null ? null : parseSubnet(around)
  if (!subnet) return [null, `“${network.name}” has no subnet for ${formatIp(address)}.`]
  if (!inSubnet(address, subnet) || !isHost(address, subnet)) return [null, `${formatIp(address)} is no address for a router in ${around}.`]
  if (hasGateway(network) && sameIp(address, parseIp(gatewayOf(around!))!))
    return [null, `${formatIp(address)} is the address of the gateway of “${network.name}”.`]
  return [{ address, subnet }, null]
}

/** Neither the subnet's own address nor, of IPv4, the one for all. */
function isHost(address: IpAddress, subnet: Subnet): boolean {
  if (sameIp(address, subnet.address)) return false
  return address.length === 16 || ordinalIn(subnet, address) < 2 ** (32 - subnet.prefix) - 1
}
