/**
 * DHCPv4 (RFC 2131): the only server of its network, so it says no (NAK) to whoever asks for what it cannot have, and gives who comes with an address that nobody has
 * that same address, even where it does not know of it (a library that lost its leases changes no machine's address).
 *
 * Which state a client asks from shows in what its REQUEST has (4.3.2): a server's identifier (SELECTING), else a wished address (INIT-REBOOT), else its own (RENEWING and
 * REBINDING, which differ in nothing but how they are sent).
 */
import { formatIp, inSubnet, type IpAddress } from '../../../../src-shared/model/ip.ts'
import type { Disposable } from '../../../../src-shared/base/disposable.ts'
import type { Clock } from '../../clock.ts'
import { BROADCAST } from '../../codec/ethernet.ts'
import { IPV4_BROADCAST, isZero } from '../../gateway/addresses.ts'
import type { UdpReply, UdpRequest, UdpService } from '../../gateway/udp-service.ts'
import { RateLimit } from '../../rate-limit.ts'
import { buildDhcp, DHCP, parseDhcp, type DhcpMessage } from './codec.ts'
import type { Leases } from './leases.ts'
import { addresses, addressOf, classlessRoutes, hostNameOf, maskOf, OPTION, seconds, secondsOf, text, word, wordOf } from './options.ts'
import type { DhcpSettings } from './settings.ts'

/** RFC 2131, 4.1. */
const SERVER_PORT = 67
const CLIENT_PORT = 68
/** Bytes of IPv4 and UDP headers, and of the largest datagram that every client takes (RFC 2132, 9.10). */
const HEADERS = 28
const LEAST_SIZE = 576
const SHORTEST_LEASE = 60
/** Cards whose offers are tried at once, and addresses that are tried for one of them: the next is offered as it is. */
const MAX_PROBED = 64
const MAX_TRIES = 4
/** Messages of a second, and at once: each lease is told of to whoever keeps them. A thousand machines may begin together. */
const MESSAGES = { rate: 100, burst: 4096 } as const

export interface DhcpCounters {
  /** Machines that got no answer, for there was no address left. */
  starved: number
  /** Messages that are none, too many, or came by a relay. */
  refused: number
  acknowledged: number
  denied: number
  declined: number
}

/** Whether another card than `mac` answers at an address that is to be offered to it for the first time (2.2). */
export type DhcpProbe = (address: IpAddress, mac: number) => Promise<boolean>

export class DhcpServer implements UdpService, Disposable {
  readonly port = SERVER_PORT
  readonly counters: DhcpCounters = { starved: 0, refused: 0, acknowledged: 0, denied: 0, declined: 0 }
  #settings: DhcpSettings
  readonly #leases: Leases
  readonly #probe: DhcpProbe | null
  readonly #probed = new Set<number>()
  readonly #limit: RateLimit
  #disposed = false

  /**
   * @param leases of the same network; not owned
   * @param probe null: addresses are offered without trying them
   */
  constructor(settings: DhcpSettings, leases: Leases, clock: Clock, probe: DhcpProbe | null = null) {
    this.#settings = settings
    this.#limit = new RateLimit(clock, MESSAGES)
    this.#leases = leases
    this.#probe = probe
  }

  /** For answers from now on; the leases' pool is set too. */
  configure(settings: DhcpSettings): void {
    this.#settings = settings
    this.#leases.configure(settings.pool)
  }

  receive({ payload, source, sourceMac }: UdpRequest, reply: UdpReply): void {
    // A copy: offers may be made later.
    const message = this.#limit.take() ? parseDhcp(payload.slice()) : null
    // Relays ask from other networks, of which nothing is known here.
    if (message?.op !== 'request' || !isZero(message.giaddr)) {
      this.counters.refused++
      return
    }
    // A lease is ended by its own card alone: who says so for another wants its address.
    const isOwn = message.chaddr === sourceMac
    switch (message.type) {
      case DHCP.discover:
        this.#discover(message, reply)
        return
      case DHCP.request:
        this.#request(message, reply)
        return
      case DHCP.decline:
        if (isOwn) this.#decline(message)
        return
      case DHCP.release:
        if (isOwn && this.#isOurs(message)) this.#leases.end(message.chaddr, message.ciaddr)
        return
      case DHCP.inform:
        this.#inform(message, isZero(message.ciaddr) ? source : message.ciaddr, sourceMac, reply)
        return
      default:
        this.counters.refused++
    }
  }

  dispose(): void {
    this.#disposed = true
  }

  /** 4.3.1 */
  #discover(message: DhcpMessage, reply: UdpReply, tries = 1): void {
    const { chaddr: mac, options } = message
    // It asks again while its offer is tried.
    if (this.#probed.has(mac)) return
    const offered = this.#leases.offer(mac, addressOf(options.get(OPTION.requestedAddress)))
    if (!offered) {
      this.counters.starved++
      return
    }
    const { address, known } = offered
    if (known || !this.#probe || this.#probed.size >= MAX_PROBED || tries > MAX_TRIES) {
      this.#answer(message, DHCP.offer, address, reply)
      return
    }
    this.#probed.add(mac)
    void this.#probe(address, mac)
      .catch(() => false)
      .then((used) => {
        this.#probed.delete(mac)
        if (this.#disposed) return
        if (!used) {
          this.#answer(message, DHCP.offer, address, reply)
          return
        }
        if (this.#leases.decline(mac, address)) this.counters.declined++
        this.#discover(message, reply, tries + 1)
      })
  }

  /** 4.3.2 */
  #request(message: DhcpMessage, reply: UdpReply): void {
    if (message.options.has(OPTION.serverId) && !this.#isOurs(message)) {
      this.#leases.withdraw(message.chaddr)
      return
    }
    const wanted = addressOf(message.options.get(OPTION.requestedAddress)) ?? message.ciaddr
    const { leaseTime } = this.#settings
    const wish = secondsOf(message.options.get(OPTION.leaseTime)) ?? leaseTime
    const time = Math.max(SHORTEST_LEASE, Math.min(wish, leaseTime))
    const lease = this.#leases.grant(message.chaddr, wanted, time, hostNameOf(message.options))
    if (lease) this.#answer(message, DHCP.ack, wanted, reply, time)
    else this.#deny(message, reply)
  }

  /** 4.3.3: only who was to have the address may say that it is used. */
  #decline(message: DhcpMessage): void {
    const address = addressOf(message.options.get(OPTION.requestedAddress))
    if (address && this.#isOurs(message) && this.#leases.decline(message.chaddr, address)) this.counters.declined++
  }

  /** 4.3.5: a machine that has its address otherwise. */
  #inform(message: DhcpMessage, address: IpAddress, mac: number, reply: UdpReply): void {
    if (address.length !== 4 || !inSubnet(address, this.#settings.subnet)) return
    const options = new Map([...this.#identity(message), ...this.#parameters(message)])
    const bytes = buildDhcp({ ...this.#header(message), type: DHCP.ack, ciaddr: message.ciaddr, options }, this.#maxBytes(message))
    reply(bytes, { source: this.#settings.gateway, destination: address, destinationPort: CLIENT_PORT, toMac: mac })
  }

  /** OFFER and ACK. @param time seconds */
  #answer(message: DhcpMessage, type: number, address: IpAddress, reply: UdpReply, time = this.#settings.leaseTime): void {
    const options = new Map([
      ...this.#identity(message),
      [OPTION.leaseTime, seconds(time)],
      // 4.4.5
      [OPTION.renewal, seconds(Math.min(Math.floor(time / 2), this.#settings.renewAfter))],
      [OPTION.rebinding, seconds(Math.floor(time * 0.875))],
      ...this.#parameters(message),
    ])
    const ciaddr = type === DHCP.ack ? message.ciaddr : undefined
    const bytes = buildDhcp(
      { ...this.#header(message), type, ...(ciaddr && { ciaddr }), yiaddr: address, options },
      this.#maxBytes(message),
    )
    if (type === DHCP.ack) this.counters.acknowledged++
    // 4.1: to the address that it has; else to the one that it gets, or where it cannot hear that, to everybody.
    const everybody = isZero(message.ciaddr) && message.broadcast
    reply(bytes, {
      source: this.#settings.gateway,
      destination: everybody ? IPV4_BROADCAST : isZero(message.ciaddr) ? address : message.ciaddr,
      destinationPort: CLIENT_PORT,
      toMac: everybody ? BROADCAST : message.chaddr,
    })
  }

  #deny(message: DhcpMessage, reply: UdpReply): void {
    this.counters.denied++
    const { xid, chaddr, broadcast } = message
    const bytes = buildDhcp({ op: 'reply', xid, chaddr, broadcast, type: DHCP.nak, options: this.#identity(message) })
    reply(bytes, { source: this.#settings.gateway, destination: IPV4_BROADCAST, destinationPort: CLIENT_PORT, toMac: BROADCAST })
  }

  #header({ xid, chaddr, broadcast }: DhcpMessage): Pick<DhcpMessage, 'op' | 'xid' | 'chaddr' | 'broadcast' | 'file' | 'siaddr'> {
    const { boot } = this.#settings
    return { op: 'reply', xid, chaddr, broadcast, file: boot?.file ?? '', siaddr: boot?.server ?? new Uint8Array(4) }
  }

  /** Who answers, and whom (RFC 6842). */
  #identity({ options }: DhcpMessage): Map<number, Uint8Array> {
    const client = options.get(OPTION.clientId)
    return new Map<number, Uint8Array>([
      [OPTION.serverId, this.#settings.gateway],
      ...(client === undefined ? [] : ([[OPTION.clientId, client]] as const)),
    ])
  }

  /** What the client asked for, in its order; all that there is where it did not say. The mask comes before routers (RFC 2132, 3.3). */
  #parameters({ options, chaddr }: DhcpMessage): Map<number, Uint8Array> {
    const all = this.#configured(chaddr)
    const wanted = options.get(OPTION.parameters)
    if (wanted === undefined) return all
    const chosen = new Map<number, Uint8Array>()
    for (const code of [OPTION.mask, ...wanted]) {
      const value = all.get(code)
      if (value !== undefined) chosen.set(code, value)
    }
    return chosen
  }

  #configured(mac: number): Map<number, Uint8Array> {
    const { subnet, router, dns, domain, mtu, ntp, routes, boot, names } = this.#settings
    const all = new Map<number, Uint8Array>([[OPTION.mask, maskOf(subnet)]])
    if (router) all.set(OPTION.router, addresses([router]))
    if (dns.length > 0) all.set(OPTION.dns, addresses(dns))
    all.set(OPTION.domain, text(domain))
    all.set(OPTION.mtu, word(mtu))
    all.set(
      OPTION.broadcast,
      subnet.address.map((byte, at) => byte | (255 - maskOf(subnet)[at]!)),
    )
    const name = names.get(mac)
    if (name !== undefined) all.set(OPTION.hostName, text(name))
    if (ntp.length > 0) all.set(OPTION.ntp, addresses(ntp))
    // RFC 3442: who reads these does not read the router.
    if (routes.length > 0) {
      const out = router ? [{ to: { address: new Uint8Array(4), prefix: 0 }, via: router }] : []
      all.set(OPTION.routes, classlessRoutes([...routes, ...out]))
    }
    if (boot) {
      all.set(OPTION.bootServer, text(formatIp(boot.server)))
      all.set(OPTION.bootFile, text(boot.file))
    }
    return all
  }

  #isOurs({ options }: DhcpMessage): boolean {
    const server = addressOf(options.get(OPTION.serverId))
    return server !== null && formatIp(server) === formatIp(this.#settings.gateway)
  }

  /** Of an answer's message. */
  #maxBytes({ options }: DhcpMessage): number {
    const wish = Math.max(LEAST_SIZE, wordOf(options.get(OPTION.maxSize)) ?? LEAST_SIZE)
    return Math.min(wish, Math.max(LEAST_SIZE, this.#settings.mtu)) - HEADERS
  }
}
