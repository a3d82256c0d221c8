/** Networks in words, for people. */
import type { NetworkView, NicView } from '../../../../src-shared/api/networks.ts'
import { formatBytes, formatCount, formatDuration } from '../../../../src-shared/base/units.ts'
import type { Forward, Impairment, Network, PolicyRule } from '../../../../src-shared/model/network.ts'

export const KIND_WORDS: Record<Network['kind'], string> = {
  nat: 'NAT',
  'host-only': 'host-only',
  segment: 'LAN segment',
  bridged: 'bridged',
}

export function subnetWords({ ipv4, ipv6 }: Pick<Network, 'ipv4' | 'ipv6'>, without = 'none'): string {
  return [ipv4, ipv6].filter((subnet) => subnet !== null).join(', ') || without
}

/** "10 Mbit/s, delay 50 ms ± 5 ms, loss 1 %"; empty for nothing. */
export function impairmentWords({ rate, delay, jitter, loss, duplicate, reorder, corrupt }: Impairment): string {
  const chances: [string, number][] = [
    ['loss', loss],
    ['duplicated', duplicate],
    ['reordered', reorder],
    ['corrupted', corrupt],
  ]
  return [
    ...(rate === null ? [] : [formatCount(rate, 'bit/s')]),
    ...(delay > 0 || jitter > 0 ? [`delay ${delay} ms${jitter > 0 ? ` ± ${jitter} ms` : ''}`] : []),
    ...chances.filter(([, chance]) => chance > 0).map(([word, chance]) => `${word} ${chance} %`),
  ].join(', ')
}

/** "127.0.0.1:8080", "[::1]:8080" */
export function endpointWords(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

export function forwardWords(forward: Forward, nameOf: (machine: string) => string): string {
  const { protocol, hostAddress, hostPort, guest, guestPort } = forward
  return `${protocol} ${endpointWords(hostAddress, hostPort)} to ${endpointWords(nameOf(guest), guestPort)}`
}

export function forwardState(state: NetworkView['forwards'][string] | undefined): string {
  if (!state) return ''
  return state.problem?.message ?? state.state
}

/** What `net show` tells. */
export function networkFacts(view: NetworkView, nameOf: (machine: string) => string): [string, string][] {
  const { network, gateway, domain, nics, forwards, problem } = view
  const { dhcp, dns, policy, watch } = network
  const facts: [string, string][] = [
    ['name', network.name],
    ['kind', KIND_WORDS[network.kind]],
    ['subnets', subnetWords(network)],
  ]
  if (problem) facts.push(['problem', problem.message])
  if (gateway) facts.push(['gateway', [gateway.ipv4, gateway.ipv6, gateway.mac].filter((part) => part !== null).join(', ')])
  if (gateway) {
    const range = dhcp.from === null && dhcp.to === null ? '' : `, ${dhcp.from ?? 'the first'} to ${dhcp.to ?? 'the last'}`
    facts.push(['dhcp', dhcp.enabled ? `on, leases of ${formatDuration(dhcp.leaseTime * 1000)}${range}` : 'off'])
    for (const { mac, address, name } of dhcp.reservations)
      facts.push(['reserved', `${address} for ${mac}${name === null ? '' : ` (${name})`}`])
    facts.push(['dns', dns.enabled ? `on, ${domain}` : 'off'])
    for (const { type, name, value } of dns.records) facts.push(['record', `${name} ${type} ${value}`])
    if (dhcp.dns.length > 0) facts.push(['dhcp-dns', dhcp.dns.join(', ')])
    facts.push(['ntp', network.ntp ? 'on' : 'off'])
    if (network.tftp !== null) facts.push(['tftp', network.tftp])
    facts.push(['host-access', network.hostAccess ? 'on: its gateway’s address reaches this computer’s loopback' : 'off'])
    if (network.linkLocalAccess) facts.push(['link-local-access', 'on'])
  }
  if (network.mtu !== 1500) facts.push(['mtu', String(network.mtu)])
  const impaired = impairmentWords(network.impairment)
  if (impaired !== '') facts.push(['impairment', impaired])
  for (const forward of network.forwards) facts.push(['forward', `${forwardWords(forward, nameOf)}, ${forwardState(forwards[forward.id])}`])
  for (const { name, machines } of policy.zones) facts.push(['zone', `${name}: ${machines.map(nameOf).join(', ')}`])
  for (const rule of policy.rules) facts.push(['rule', ruleWords(rule)])
  if (policy.rules.length > 0 || policy.otherwise !== 'allow') facts.push(['otherwise', policy.otherwise])
  facts.push(['capture', network.captureBytes === 0 ? 'off' : `the newest ${formatBytes(network.captureBytes)} of each card`])
  facts.push(['watch', watchWords(watch)])
  for (const { name, bytes } of watch.patterns) facts.push(['pattern', `${name}: ${bytes}`])
  for (const nic of nics) {
    facts.push(['card', nicWords(nic)])
    if (nic.problem) facts.push(['', nic.problem])
  }
  return facts
}

/** As `net set NAME rules=` takes it: "guests:gateway:deny:tcp:25". */
export function ruleWords({ from, to, action, protocol, port }: PolicyRule): string {
  return [from, to, action, ...(protocol === 'any' ? [] : [protocol]), ...(port === null ? [] : [port])].join(':')
}

/** "on; not for dns-tunnel; cuts port-scan" */
function watchWords({ enabled, off, cut }: Network['watch']): string {
  if (!enabled) return 'off'
  return ['on', ...(off.length > 0 ? [`not for ${off.join(', ')}`] : []), ...(cut.length > 0 ? [`cuts ${cut.join(', ')}`] : [])].join('; ')
}

/** "web-1:nic0, 52:54:00:12:34:56, 10.0.2.15, connected" */
export function nicWords({ name, nic, mac, addresses, connected, cut, impairment }: NicView): string {
  const words = [`${name}:${nic}`, mac, ...addresses, cut ? 'cut' : connected ? 'connected' : 'not connected']
  const impaired = impairmentWords(impairment)
  return [...words, ...(impaired === '' ? [] : [impaired])].join(', ')
}
