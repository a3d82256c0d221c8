/** Networks in words. Pure. */
import type { NetworkView, NicView, TrafficSample } from '../../../src-shared/api/networks.ts'
import { compareNames } from '../../state/names.ts'
import { formatCount } from '../../../src-shared/base/units.ts'
import type { Impairment, NetworkKind, Watch } from '../../../src-shared/model/network.ts'

export const KIND_WORDS: Record<NetworkKind, { name: string; text: string }> = {
  nat: { name: 'NAT', text: 'Machines reach what this computer reaches. From outside they are reached by forwards alone.' },
  'host-only': { name: 'Host-only', text: 'Machines reach each other, and this computer reaches them by forwards. Nothing leads out.' },
  segment: { name: 'LAN segment', text: 'Machines reach each other, and nothing else.' },
  bridged: { name: 'Bridged', text: 'Machines are in the network of this computer’s own card, like computers of their own.' },
}

export const WATCH_WORDS: Record<Watch | 'policy', string> = {
  'port-scan': 'Port scan',
  'arp-spoofing': 'Address spoofing',
  'mac-flooding': 'Switch flooding',
  'dhcp-starvation': 'Address starvation',
  'dns-tunnel': 'Data in names',
  pattern: 'Pattern',
  policy: 'Policy',
}

/** "1.2 Mbit/s" */
export function bitRate(bytesPerSecond: number): string {
  return formatCount(bytesPerSecond * 8, 'bit/s')
}

/** "10 Mbit/s, 50 ms ± 5 ms, 1 % lost"; null: it does nothing. */
export function impairmentWords({ rate, delay, jitter, loss, duplicate, reorder, corrupt }: Impairment): string | null {
  const parts = [
    rate === null ? null : formatCount(rate, 'bit/s'),
    delay === 0 && jitter === 0 ? null : `${delay} ms${jitter === 0 ? '' : ` ± ${jitter} ms`}`,
    loss === 0 ? null : `${loss} % lost`,
    duplicate === 0 ? null : `${duplicate} % doubled`,
    reorder === 0 ? null : `${reorder} % reordered`,
    corrupt === 0 ? null : `${corrupt} % damaged`,
  ].filter((part) => part !== null)
  return parts.length === 0 ? null : parts.join(', ')
}

/** For a card's choice of a network; empty: none. */
export function networkOptions(networks: readonly NetworkView[]): { value: string; label: string; detail: string }[] {
  return [
    ...networks.map((view) => ({ value: view.network.name, label: view.network.name, detail: networkLine(view) })),
    { value: '', label: 'None', detail: 'The card is plugged in nowhere' },
  ]
}

/** How a card's link stands, in a word. */
export function linkWords({ network, cut, connected }: Pick<NicView, 'network' | 'cut' | 'connected'>): string {
  if (network === null) return 'Not plugged in'
  if (cut) return 'Cut'
  return connected ? 'Connected' : 'Waiting for its machine'
}

/** Machines of cards as choices, in the order of people: id and name. */
export function machinesOf(nics: readonly NicView[]): [id: string, name: string][] {
  return [...new Map(nics.map(({ machine, name }) => [machine, name]))].sort(([, a], [, b]) => compareNames(a, b))
}

/** What a network is, in a line: "NAT, 10.0.2.0/24, fd00::/64". */
export function networkLine({ network }: NetworkView): string {
  return [KIND_WORDS[network.kind].name, network.ipv4, network.ipv6].filter((part) => part !== null).join(', ')
}

/** "3 machines" */
export function machineCount(nics: readonly NicView[]): string {
  const count = new Set(nics.map(({ machine }) => machine)).size
  return count === 1 ? '1 machine' : `${count} machines`
}

/** Bytes per second that all plugs of a network send: each frame counts once. */
export function sentIn({ network, nics }: NetworkView, live: { traffic(port: string): TrafficSample }): number {
  return nics.reduce((sum, { machine, nic }) => sum + live.traffic(`${machine}/${nic}`).outBytes, live.traffic(network.name).outBytes)
}
