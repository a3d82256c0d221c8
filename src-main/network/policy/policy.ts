/**
 * Who may talk to whom on one network. Theory of operation: rules are about who begins. The first that fits a frame decides, and what is let through is remembered as a conversation,
 * whose other direction passes without being asked about again; so "lab → server tcp 80" needs no second rule for the answers. Conversations are few facts each, bounded in number and
 * forgotten when nothing passes. Who is where (ARP, neighbour solicitations) may be asked between two zones where anything may pass between them, either way, and
 * by rules for `arp`; who is the way out is told by the network's own ports alone, as another's word for it would turn a machine's traffic round to where no rule lets it begin.
 * Later fragments of a datagram have no ports: they pass with the first one, and else a rule for a port denies them too. So does each rule that denies, where a packet does
 * not show what it is.
 */
import { TtlMap } from './ttl-map.ts'
import type { Policy, PolicyRule } from '../../../src-shared/model/network.ts'
import type { Clock } from '../clock.ts'
import { ETHERNET_HEADER, ETHERTYPE, tagBytesOf } from '../codec/ethernet.ts'
import { ICMPV6 } from '../codec/icmp.ts'
import { EXTENSION, parseIp, PROTOCOL, type IpPacket } from '../codec/ip.ts'

export type Verdict = 'allow' | 'deny' | 'log'
/** @param from port that sends, @param to port that would get the frame; `gateway`: the network's own */
export type Judge = (from: string, to: string, frame: Uint8Array) => Verdict

export const GATEWAY_ZONE = 'gateway'
export const OTHER_ZONE = 'others'
const MAX_CONVERSATIONS = 65_536
/** ms without a frame: longer than TCP's customary keep-alive would be for ever, shorter loses idle shells. */
const FORGOTTEN_AFTER = { tcp: 7_200_000, other: 120_000, fragments: 30_000 } as const

interface Asked {
  kind: 'tcp' | 'udp' | 'icmp' | 'resolution' | 'way-out' | 'unreadable' | 'other'
  /** Of the destination; null: it has none, or the frame does not tell. */
  port: number | null
  /** The conversation that it belongs to, as who began it and as who answers would name it; null: it is not remembered. */
  there: string | null
  back: string | null
  /** Of a fragment: names its datagram. */
  datagram: string | null
  /** A later fragment. */
  portUnknown: boolean
}

/** @param zoneOf of a port; null where everything passes */
export function compilePolicy(policy: Policy, zoneOf: (port: string) => string, clock: Clock): Judge | null {
  if (policy.rules.length === 0 && policy.otherwise === 'allow') return null
  const conversations = new TtlMap<string, Verdict>(MAX_CONVERSATIONS, clock)
  const reachable = new Map<string, boolean>()
  const mayTalk = (a: string, b: string): boolean => {
    const key = `${a} ${b}`
    let found = reachable.get(key)
    if (found === undefined) reachable.set(key, (found = anythingPasses(policy, a, b) || anythingPasses(policy, b, a)))
    return found
  }
  return (from, to, frame) => {
    const [a, b] = [zoneOf(from), zoneOf(to)]
    const asked = ask(frame)
    if (asked.kind === 'resolution' || (asked.kind === 'way-out' && a === GATEWAY_ZONE)) {
      const named = policy.rules.find((rule) => rule.protocol === 'arp' && fitsZones(rule, a, b))
      return named ? named.action : mayTalk(a, b) ? 'allow' : 'deny'
    }
    // Between these two ports: another's frames with the same addresses are no part of it.
    const [there, back, datagram] = [named(from, to, asked.there), named(to, from, asked.back), named(from, to, asked.datagram)]
    const life = asked.kind === 'tcp' ? FORGOTTEN_AFTER.tcp : FORGOTTEN_AFTER.other
    const known = asked.portUnknown ? datagram : there
    if (known !== null && conversations.touch(known, life)) {
      if (datagram !== null && !asked.portUnknown) conversations.set(datagram, 'allow', FORGOTTEN_AFTER.fragments)
      return 'allow'
    }
    const verdict = policy.rules.find((rule) => fits(rule, a, b, asked))?.action ?? policy.otherwise
    if (verdict === 'deny') return verdict
    if (there !== null) conversations.set(there, verdict, life)
    if (back !== null) conversations.set(back, verdict, life)
    if (datagram !== null) conversations.set(datagram, verdict, FORGOTTEN_AFTER.fragments)
    return verdict
  }
}

function named(from: string, to: string, what: string | null): string | null {
  return what === null ? null : `${from} ${to} ${what}`
}

function fits(rule: PolicyRule, from: string, to: string, { kind, port, portUnknown }: Asked): boolean {
  if (!fitsZones(rule, from, to)) return false
  if (rule.protocol === 'arp') return false
  if (kind === 'unreadable') return rule.action === 'deny' || (rule.protocol === 'any' && rule.port === null)
  if (rule.protocol !== 'any' && rule.protocol !== (kind === 'way-out' ? 'icmp' : kind)) return false
  if (rule.port === null) return true
  return portUnknown ? rule.action === 'deny' : rule.port === port
}

function fitsZones(rule: PolicyRule, from: string, to: string): boolean {
  return (rule.from === '*' || rule.from === from) && (rule.to === '*' || rule.to === to)
}

function anythingPasses({ rules, otherwise }: Policy, from: string, to: string): boolean {
  for (const rule of rules) {
    if (rule.protocol === 'arp' || !fitsZones(rule, from, to)) continue
    if (rule.action !== 'deny') return true
    if (rule.protocol === 'any' && rule.port === null) return false
  }
  return otherwise === 'allow'
}

const UNKNOWN: Asked = { kind: 'other', port: null, there: null, back: null, datagram: null, portUnknown: false }
const RESOLUTION: Asked = { ...UNKNOWN, kind: 'resolution' }
const UNREADABLE: Asked = { ...UNKNOWN, kind: 'unreadable' }
/** Headers of IPv6 that would have to be read on behind a fragment's (RFC 7112: then it is none that is to be believed), and that of authentication (RFC 4302). */
const HIDING: readonly number[] = [EXTENSION.hopByHop, EXTENSION.routing, EXTENSION.fragment, EXTENSION.destination, 51]

function ask(frame: Uint8Array): Asked {
  const tags = tagBytesOf(frame)
  if (tags === null) return UNREADABLE
  const ethertype = (frame[12 + tags]! << 8) | frame[13 + tags]!
  if (ethertype === ETHERTYPE.arp) return RESOLUTION
  if (ethertype !== ETHERTYPE.ipv4 && ethertype !== ETHERTYPE.ipv6) return UNKNOWN
  const packet = parseIp(frame, ETHERNET_HEADER + tags)
  if (!packet || HIDING.includes(packet.protocol)) return UNREADABLE
  const { protocol, payload, fragment } = packet
  const kind = protocol === PROTOCOL.tcp ? 'tcp' : protocol === PROTOCOL.udp ? 'udp' : isIcmp(protocol) ? 'icmp' : 'other'
  const datagram = fragment && `${ends(packet)} f${fragment.id}`
  if (fragment && fragment.offset > 0) return { ...UNKNOWN, kind, datagram, portUnknown: true }
  if (kind === 'icmp') return { ...askIcmp(packet), datagram }
  if (kind === 'other') return { ...UNKNOWN, there: ends(packet), back: reversed(packet), datagram }
  if (payload.length < 4) return { ...UNKNOWN, kind, portUnknown: true }
  const source = (payload[0]! << 8) | payload[1]!
  const port = (payload[2]! << 8) | payload[3]!
  return {
    kind,
    port,
    there: `${ends(packet)} ${source} ${port}`,
    back: `${reversed(packet)} ${port} ${source}`,
    datagram,
    portUnknown: false,
  }
}

function isIcmp(protocol: number): boolean {
  return protocol === PROTOCOL.icmp || protocol === PROTOCOL.icmpv6
}

/** Echoes are a conversation by their identifier; an error goes with what it is about, and is judged like a message of its own. */
function askIcmp(packet: IpPacket): Asked {
  const { payload, protocol } = packet
  const type = payload[0] ?? -1
  if (protocol === PROTOCOL.icmpv6 && (type === ICMPV6.routerAdvertisement || type === ICMPV6.redirect))
    return { ...UNKNOWN, kind: 'way-out', there: `${ends(packet)} r` }
  if (protocol === PROTOCOL.icmpv6 && type >= ICMPV6.routerSolicitation && type <= ICMPV6.neighbourAdvertisement) return RESOLUTION
  const id = payload.length >= 6 ? (payload[4]! << 8) | payload[5]! : 0
  return { ...UNKNOWN, kind: 'icmp', there: `${ends(packet)} e${id}`, back: `${reversed(packet)} e${id}` }
}

function ends({ protocol, source, destination }: IpPacket): string {
  return `${protocol} ${source.join('.')} ${destination.join('.')}`
}

function reversed({ protocol, source, destination }: IpPacket): string {
  return `${protocol} ${destination.join('.')} ${source.join('.')}`
}
