/**
 * A network's DNS: answers what it knows (zone.ts), asks elsewhere for the rest (resolver.ts), and never leaves who asks without an answer, but for who floods it.
 */
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import { addressIn } from '../../../../src-shared/model/ip.ts'
import { domainOf, subnetsOf, type Network } from '../../../../src-shared/model/network.ts'
import type { CardShare } from '../../card-share.ts'
import type { Clock } from '../../clock.ts'
import type { UdpReply, UdpRequest, UdpService } from '../../gateway/udp-service.ts'
import { reportFault } from '../../faults.ts'
import { FLAG, RCODE, recordAt, scanDns, type DnsRecord } from './codec.ts'
import { hostLookup, hostServers } from './host-resolver.ts'
import type { DnsUpstream } from './exchange.ts'
import type { KnownHost } from './known-hosts.ts'
import { buildAnswer, buildRefusal, fitAnswer, parseQuery, refusalOf, type DnsQuery } from './query.ts'
import { Resolver, type ResolverOptions } from './resolver.ts'
import { Zone, type ZoneAnswer, type ZoneSettings } from './zone.ts'

const PORT = 53
/** Questions of one card that wait for other servers. */
const MAX_WAITING_EACH = 64

export interface DnsSettings extends ZoneSettings {
  /** Who is asked for what is not known here; empty: as this computer finds names. Null: nobody, the network has no way out. */
  upstream: readonly DnsUpstream[] | null
}

/** Null: the network has no DNS. */
export function dnsSettings(network: Network): DnsSettings | null {
  const subnets = subnetsOf(network)
  const { dns } = network
  if (!dns.enabled || subnets.length === 0) return null
  const given = dns.upstream.map((address) => ({ address, port: PORT }))
  return {
    domain: domainOf(network),
    gateway: subnets.map((subnet) => addressIn(subnet, 1)),
    subnets,
    records: dns.records,
    upstream: network.kind === 'nat' || given.length > 0 ? given : null,
  }
}

export interface DnsCounters {
  queries: number
  /** Asked elsewhere, or known from there. */
  forwarded: number
  /** Malformed, and too many at once. */
  refused: number
}

export class DnsServer implements UdpService, Disposable {
  readonly port = PORT
  readonly counters: DnsCounters = { queries: 0, forwarded: 0, refused: 0 }
  readonly #zone: Zone
  readonly #host: Omit<ResolverOptions, 'servers'>
  /** By card. */
  readonly #waiting = new Map<number, number>()
  readonly #shareOf: CardShare
  #resolver: Resolver | null
  #upstream: string
  #disposed = false

  /**
   * @param hosts machines and their addresses, as they are now; see `hostsChanged`
   * @param shareOf whom a card's questions count for
   * @param host how this computer finds names
   */
  constructor(
    settings: DnsSettings,
    hosts: () => readonly KnownHost[],
    clock: Clock,
    shareOf: CardShare = (mac) => mac,
    host: Pick<ResolverOptions, 'hostServers' | 'hostLookup'> = { hostServers, hostLookup },
  ) {
    this.#zone = new Zone(settings, hosts)
    this.#shareOf = shareOf
    this.#host = { ...host, clock }
    this.#upstream = JSON.stringify(settings.upstream)
    this.#resolver = settings.upstream && new Resolver({ ...this.#host, servers: settings.upstream })
  }

  configure(settings: DnsSettings): void {
    this.#zone.configure(settings)
    const upstream = JSON.stringify(settings.upstream)
    if (upstream === this.#upstream) return
    this.#upstream = upstream
    this.#resolver?.dispose()
    this.#resolver = settings.upstream && new Resolver({ ...this.#host, servers: settings.upstream })
  }

  /** Machines, their names or their addresses changed. Costs nothing until the next question. */
  hostsChanged(): void {
    this.#zone.changed()
  }

  receive({ payload, sourceMac }: UdpRequest, reply: UdpReply): void {
    void this.answer(payload.slice(), 'udp', sourceMac).then((answer) => {
      if (answer && !this.#disposed) reply(answer)
    })
  }

  /**
   * @param query a message, not changed; may be anything
   * @param card that asks
   * @returns null: not to be answered. Never rejects
   */
  async answer(query: Uint8Array, over: 'udp' | 'tcp', card: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const parsed = parseQuery(query)
    if (!parsed) return null
    this.counters.queries++
    if ('wrong' in parsed) {
      this.counters.refused++
      return buildRefusal(parsed.id, parsed.wrong)
    }
    const refusal = refusalOf(parsed)
    if (refusal !== null) return this.#own(parsed, over, { rcode: refusal })
    try {
      return await this.#answer(parsed, over, this.#shareOf(card))
    } catch (error) {
      reportFault(error)
      return buildRefusal(parsed.id, RCODE.failure)
    }
  }

  dispose(): void {
    this.#disposed = true
    this.#resolver?.dispose()
  }

  async #answer(parsed: DnsQuery, over: 'udp' | 'tcp', client: number): Promise<Uint8Array<ArrayBuffer>> {
    const known = this.#zone.answer(parsed.key, parsed.type)
    if (known && known.elsewhere === null) return this.#own(parsed, over, known, FLAG.authoritative)
    const target = known ? { ...parsed, name: known.elsewhere!, key: known.elsewhere! } : parsed
    const found = await this.#ask(target, client)
    if (typeof found === 'number') return this.#own(parsed, over, { rcode: found })
    const scan = scanDns(found)!
    // Servers that understood nothing leave the question out.
    if (!known) return scan.question ? fitAnswer(found, parsed, over) : this.#own(parsed, over, { rcode: scan.flags & 15 })
    // An alias of ours, and what it leads to elsewhere.
    const answers: DnsRecord[] = [...known.answers]
    for (const place of scan.records) {
      const record = place.section === 'answer' ? recordAt(found, place) : null
      if (record) answers.push(record)
    }
    return this.#own(parsed, over, { rcode: scan.flags & 15, answers })
  }

  /** An answer, or the code of why there is none. */
  async #ask(query: DnsQuery, client: number): Promise<Uint8Array<ArrayBuffer> | number> {
    const resolver = this.#resolver
    // Who does not want to be asked for elsewhere asks servers that know of themselves (RFC 1035, 4.3.1).
    if (!resolver || !query.recurse) return RCODE.refused
    const waiting = this.#waiting.get(client) ?? 0
    if (waiting >= MAX_WAITING_EACH) {
      this.counters.refused++
      return RCODE.failure
    }
    this.counters.forwarded++
    this.#waiting.set(client, waiting + 1)
    try {
      return (await resolver.resolve(query)) ?? RCODE.failure
    } finally {
      const rest = this.#waiting.get(client)! - 1
      if (rest === 0) this.#waiting.delete(client)
      else this.#waiting.set(client, rest)
    }
  }

  #own(query: DnsQuery, over: 'udp' | 'tcp', answer: Partial<ZoneAnswer> & { rcode: number }, flags = 0): Uint8Array<ArrayBuffer> {
    const recursion = this.#resolver ? FLAG.recursion : 0
    return fitAnswer(buildAnswer(query, { ...answer, flags: flags | recursion }), query, over, answer.rcode > 15 ? answer.rcode : 0)
  }
}
