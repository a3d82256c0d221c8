/**
 * Finds out elsewhere what a network's DNS does not know itself: from servers that are given, or as this computer finds names. Answers are handed on as they came.
 *
 * Servers are asked one after the other, beginning with the one that answered last, each for a moment and then all again for longer. A server that cannot, or will not,
 * is passed over. Where none answers, or none knows the name, and the servers are this computer's own, its system is asked too: it knows its hosts file, and names of
 * private networks that only some of its servers have.
 */
import { randomInt } from 'node:crypto'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import type { IpAddress } from '../../../../src-shared/model/ip.ts'
import type { Clock } from '../../clock.ts'
import { DnsCache } from './cache.ts'
import { buildDns, CLASS_IN, FLAG, RCODE, scanDns, TYPE, type DnsScan } from './codec.ts'
import { exchangeTcp, exchangeUdp, type DnsUpstream } from './exchange.ts'
import { acceptAnswer, buildQuery, type DnsQuery } from './query.ts'

/** Questions that wait for other servers at once, each with a socket. */
const MAX_WAITING = 256
/** Look-ups of the system at once: each takes a thread of the four that the process has for files too. */
const MAX_LOOKUPS = 2
/** ms for each server, in the first round and the second, and for an answer over TCP. */
const PATIENCE = [1500, 3000] as const
const TCP_PATIENCE = 4000
/** ms for which the servers of this computer are taken to be the same. */
const SERVERS_KEPT = 10_000
const NOT_UNDERSTOOD: readonly number[] = [RCODE.malformed, RCODE.notImplemented]
/** Seconds that machines may keep what the system found. */
const LOOKUP_TTL = 60

export interface ResolverOptions {
  /** Empty: of this computer. */
  servers: readonly DnsUpstream[]
  clock: Clock
  hostServers: () => DnsUpstream[]
  hostLookup: (name: string, family: 4 | 6) => Promise<IpAddress[]>
}

export type Question = Omit<DnsQuery, 'id' | 'recurse'>

export class Resolver implements Disposable {
  readonly #options: ResolverOptions
  readonly #cache: DnsCache
  /** By key: machines that ask the same wait for the same. */
  readonly #waiting = new Map<string, Promise<Uint8Array<ArrayBuffer> | null>>()
  readonly #abort = new AbortController()
  #lookups = 0
  /** Which server answered last. */
  #best = 0
  #host: { servers: DnsUpstream[]; at: number } | null = null

  constructor(options: ResolverOptions) {
    this.#options = options
    this.#cache = new DnsCache(options.clock)
  }

  /** A whole answer, with an id of no meaning; null: nobody answered, or too many questions wait. May be changed by who gets it. */
  async resolve(question: Question): Promise<Uint8Array<ArrayBuffer> | null> {
    const { key, type, checkingDisabled, edns } = question
    const index = `${type} ${edns?.dnssecOk ?? false} ${checkingDisabled} ${key}`
    const cached = this.#cache.get(index)
    if (cached) return cached
    let waiting = this.#waiting.get(index)
    if (!waiting) {
      if (this.#waiting.size >= MAX_WAITING || this.#abort.signal.aborted) return null
      waiting = this.#ask(question, index).finally(() => this.#waiting.delete(index))
      this.#waiting.set(index, waiting)
    }
    return (await waiting)?.slice() ?? null
  }

  dispose(): void {
    this.#abort.abort()
    this.#cache.clear()
  }

  async #ask(question: Question, index: string): Promise<Uint8Array<ArrayBuffer> | null> {
    const answer = await this.#askServers(question)
    const scan = answer && scanDns(answer)
    const known = scan !== null && (scan.flags & 15) === RCODE.ok
    const found = known || this.#options.servers.length > 0 ? null : await this.#askSystem(question)
    if (found) {
      this.#cache.put(index, found, scanDns(found)!)
      return found
    }
    if (answer) this.#cache.put(index, answer, scan!)
    return answer
  }

  async #askServers(question: Question): Promise<Uint8Array<ArrayBuffer> | null> {
    const servers = this.#servers()
    const first = this.#best
    let last: Uint8Array<ArrayBuffer> | null = null
    const dead = new Set<number>()
    for (const timeout of PATIENCE)
      for (let turn = 0; turn < servers.length; turn++) {
        const at = (first + turn) % servers.length
        if (dead.has(at)) continue
        const result = await this.#askOne(servers[at]!, question, timeout)
        if (this.#abort.signal.aborted) return null
        if (result === 'timeout') continue
        dead.add(at)
        if (result === 'unreachable') continue
        last = result.bytes
        const rcode = result.scan.flags & 15
        if (rcode !== RCODE.ok && rcode !== RCODE.noName) continue
        this.#best = at
        return last
      }
    return last
  }

  async #askOne(
    server: DnsUpstream,
    question: Question,
    timeout: number,
  ): Promise<{ bytes: Uint8Array<ArrayBuffer>; scan: DnsScan } | 'timeout' | 'unreachable'> {
    const id = randomInt(0x10000)
    const accept = (bytes: Uint8Array): boolean => acceptAnswer(bytes, question, id) !== null
    const options = { timeout, clock: this.#options.clock, accept, signal: this.#abort.signal }
    let query = buildQuery(question, id)
    let bytes = await exchangeUdp(server, query, options)
    // RFC 6891, 7: servers that do not know EDNS say that they do not understand.
    if (typeof bytes !== 'string' && NOT_UNDERSTOOD.includes(scanDns(bytes)!.flags & 15)) {
      query = buildQuery(question, id, true)
      bytes = await exchangeUdp(server, query, options)
    }
    if (typeof bytes === 'string') return bytes
    if (scanDns(bytes)!.flags & FLAG.truncated) {
      const whole = await exchangeTcp(server, query, { ...options, timeout: TCP_PATIENCE })
      // Some servers have no TCP: what is cut is better than nothing.
      if (typeof whole !== 'string') bytes = whole
    }
    return { bytes, scan: scanDns(bytes)! }
  }

  async #askSystem({ name, key, type, class: inClass }: Question): Promise<Uint8Array<ArrayBuffer> | null> {
    const family = type === TYPE.a ? 4 : type === TYPE.aaaa ? 6 : null
    // Names that are not of letters, digits and hyphens are no hosts'.
    if (family === null || !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(key) || this.#lookups >= MAX_LOOKUPS) return null
    this.#lookups++
    try {
      const found = await this.#options.hostLookup(key, family)
      if (found.length === 0) return null
      return buildDns({
        id: 0,
        flags: FLAG.response | FLAG.recursion,
        question: { name, type, class: inClass },
        answers: found.slice(0, 32).map((data) => ({ name, type, class: CLASS_IN, ttl: LOOKUP_TTL, data })),
      })
    } finally {
      this.#lookups--
    }
  }

  #servers(): readonly DnsUpstream[] {
    const { servers, clock, hostServers } = this.#options
    if (servers.length > 0) return servers
    if (!this.#host || clock.now() - this.#host.at >= SERVERS_KEPT) this.#host = { servers: hostServers().slice(0, 3), at: clock.now() }
    return this.#host.servers
  }
}
