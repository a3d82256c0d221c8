/**
 * Router advertisements of one interface (RFC 4861, 6.2): to who solicits one at once, to that card alone, as often as it asks; and to all when somebody is
 * heard after a silence, and every few minutes from then on as long as somebody is. Where nobody is, nothing is sent, and no timer runs.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import type { Clock } from '../clock.ts'
import type { NeighbourOption } from '../codec/neighbour.ts'
import { ALL_NODES } from './addresses.ts'
import type { IpInterface } from './ip-interface.ts'
import { sendDiscovery } from './neighbour-discovery.ts'

/** Between advertisements to all; RFC 4861, 6.2.1 has 200 to 600 s. */
const INTERVAL_MS = 300_000
/** Seconds for which a router is believed in, the most that RFC 4861, 6.2.1 has: a machine may be silent for long. */
const LIFETIME = 9000
/** Seconds of addresses that machines make up. */
const VALID = 86_400
const PREFERRED = 14_400

export interface Advertisement {
  mtu: number
  /** It is the way to everything. */
  isDefault: boolean
  /** More is had by DHCPv6 without state. */
  dhcp: boolean
  /** Where DNS is had, and what is searched there. */
  servers: Uint8Array[]
  domains: string[]
}

export class Advertiser implements Disposable {
  readonly #card: IpInterface
  readonly #clock: Clock
  #what: Advertisement
  #timer: Disposable | null = null
  /** Somebody was there since the last advertisement to all. */
  #heard = false

  constructor(card: IpInterface, clock: Clock, what: Advertisement) {
    this.#card = card
    this.#clock = clock
    this.#what = what
  }

  /** Told to all, where somebody is and it is not what they know. */
  update(what: Advertisement): void {
    const same = JSON.stringify(what) === JSON.stringify(this.#what)
    this.#what = what
    if (this.#timer && !same) this.#send(LIFETIME)
  }

  /** A frame came. */
  heard(): void {
    this.#heard = true
    if (!this.#timer) this.announce()
  }

  announce(): void {
    this.#timer?.dispose()
    this.#timer = this.#clock.after(INTERVAL_MS, () => this.#due())
    this.#send(LIFETIME)
  }

  /** @param mac of who asks: frames to all go to one card alone, too (RFC 6085) */
  solicited(mac: number): void {
    this.#send(LIFETIME, mac)
  }

  /** Machines look for another router (RFC 4861, 6.2.5). */
  dispose(): void {
    this.#timer?.dispose()
    if (this.#timer && this.#what.isDefault) this.#send(0)
    this.#timer = null
  }

  #due(): void {
    this.#timer = null
    if (!this.#heard) return
    this.#heard = false
    this.announce()
  }

  #send(lifetime: number, mac?: number): void {
    const { ipv6, linkLocal, mac: own } = this.#card
    if (!ipv6 || !linkLocal) return
    const { mtu, isDefault, dhcp, servers, domains } = this.#what
    const { address, prefix } = ipv6.subnet
    const options: NeighbourOption[] = [
      { kind: 'source-mac', mac: own },
      { kind: 'mtu', mtu },
      { kind: 'prefix', address, prefix, onLink: true, autonomous: true, valid: VALID, preferred: PREFERRED },
    ]
    if (servers.length > 0) options.push({ kind: 'servers', lifetime, addresses: servers })
    if (domains.length > 0) options.push({ kind: 'domains', lifetime, names: domains })
    const flags = { hopLimit: 64, managed: false, other: dhcp, lifetime: isDefault ? lifetime : 0, reachable: 0, retransmit: 0 }
    sendDiscovery(this.#card, linkLocal, ALL_NODES, { kind: 'router-advertisement', ...flags, options }, mac)
  }
}
