/**
 * Scans as nmap and its kin make them: many ports of one address, one port of many addresses of private networks, or many addresses that are asked for by ARP. People's
 * own programs try many addresses of the world at one port, which is none.
 */
import { formatIp, inSubnet, parseSubnet } from '../../../../src-shared/model/ip.ts'
import { PROTOCOL } from '../../codec/ip.ts'
import type { Detector } from '../seen.ts'
import { WithinWindow } from '../within-window.ts'

const WINDOW = 10_000
const PORTS = 15
const HOSTS = 20
const ASKED = 40
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7', 'fe80::/10'].map((text) =>
  parseSubnet(text)!,
)
/** traceroute counts its steps by them. */
const TRACEROUTE = { first: 33_434, last: 33_634 } as const

export function portScan(): Detector {
  const ports = new WithinWindow(WINDOW, PORTS)
  const hosts = new WithinWindow(WINDOW, HOSTS)
  const asked = new WithinWindow(WINDOW, ASKED)
  return ({ now, port, arp, ip, ports: ends, syn }) => {
    if (arp?.operation === 1 && asked.add(port, arp.targetIp.join('.'), now))
      return {
        about: 'addresses',
        message: `{name} asks for one address after the other: it looks for machines (${ASKED} in ${WINDOW / 1000} s).`,
      }
    if (!ip || !ends || !(syn || ip.protocol === PROTOCOL.udp)) return null
    const { destination } = ends
    if (ip.protocol === PROTOCOL.udp && destination >= TRACEROUTE.first && destination <= TRACEROUTE.last) return null
    const address = formatIp(ip.destination)
    if (ports.add(`${port} ${address} ${ip.protocol}`, destination, now))
      return { about: `ports ${address}`, message: `{name} scans the ports of ${address} (${PORTS} within ${WINDOW / 1000} s).` }
    if (PRIVATE.some((subnet) => inSubnet(ip.destination, subnet)) && hosts.add(`${port} ${destination} ${ip.protocol}`, address, now))
      return {
        about: `hosts ${destination}`,
        message: `{name} tries port ${destination} of one machine after the other (${HOSTS} within ${WINDOW / 1000} s).`,
      }
    return null
  }
}
