/**
 * Who has which address (RFC 2131, 3.1 and 4.3.1). Theory of operation:
 *
 * Each address of the pool is in one of five states: free (nothing here knows it), offered (for a moment, to one card), leased, remembered (its lease ended, its card gets
 * it again when it comes back, unless somebody else needs it first), set aside (somebody uses it who has no lease). The table has the last four, by address and by card.
 * Nothing runs by timers: whether a lease still lasts is asked of the clock when it matters, so an idle network costs nothing.
 *
 * Cards are known by their MAC address and not by the client identifier (option 61), which RFC 2131 prefers: in a virtual network MAC addresses are unique, but machines
 * that were cloned from one disk show the same identifier (RFC 4361 makes it from what lies on the disk), and a machine that boots from the network shows two in a row.
 *
 * New cards get the lowest address that nobody ever had; where all were had, the one whose lease ended longest ago. So a machine that was off for long has its address
 * still, and one that floods the pool with made-up cards takes no address of a card that is known before it had all others.
 */
import { Emitter } from '../../../../src-shared/base/event.ts'
import { addressIn, formatIp, inSubnet, ordinalIn, parseIp, type IpAddress, type Subnet } from '../../../../src-shared/model/ip.ts'
import type { Lease } from '../../../../src-shared/threads/network-thread.ts'
import type { Clock } from '../../clock.ts'
import { formatMac, parseMac } from '../../codec/ethernet.ts'

/** Addresses that a network knows of at once. */
export const MAX_LEASES = 4096
/** ms that an offer waits for its request; clients ask within seconds. */
const OFFER_TIME = 30_000
/** ms that an address is set aside which somebody uses without a lease. */
const DECLINE_TIME = 600_000

export interface PoolSettings {
  subnet: Subnet
  /** First and last address that is leased; null: from the first, to the last of the subnet. */
  from: IpAddress | null
  to: IpAddress | null
  /** Of the gateway and routers: never leased. */
  taken: readonly IpAddress[]
  /** May lie outside of the pool. Their addresses are leased to nobody else. */
  reservations: readonly { mac: number; address: IpAddress }[]
}

interface Entry {
  ordinal: number
  /** Null: set aside. */
  mac: number | null
  /** Was leased once, and is told of. */
  told: boolean
  hostName: string | null
  /** ms since 1970: of the lease, or since when and how long it is offered or set aside. */
  from: number
  until: number
}

export class Leases {
  /** By the address's place in the subnet. */
  readonly #byAddress = new Map<number, Entry>()
  readonly #byMac = new Map<number, Entry>()
  readonly #network: string
  readonly #clock: Clock
  readonly #changed = new Emitter<{ kind: 'put' | 'removed'; lease: Lease }>()
  #subnet: Subnet
  #first = 0
  #last = 0
  #taken = new Set<number>()
  #reservedFor = new Map<number, number>()
  #reserved = new Set<number>()
  /** No address of the pool below this one is unknown to the table. */
  #lowest = 0
  /** ms since 1970: before, nothing in the table is over. */
  #soonest = 0

  /**
   * Leases that began, were renewed or ended early (put), and those that are forgotten (removed). That time ends one is told to nobody: it says so itself, and is worth
   * keeping, for its card gets the same address again.
   */
  readonly onChanged = this.#changed.event

  constructor(network: string, clock: Clock, pool: PoolSettings) {
    this.#network = network
    this.#clock = clock
    this.#subnet = pool.subnet
    this.configure(pool)
  }

  /** In force for what is leased or renewed from now on; leases that have no place in it are forgotten. */
  configure({ subnet, from, to, taken, reservations }: PoolSettings): void {
    const moved = formatIp(subnet.address) !== formatIp(this.#subnet.address) || subnet.prefix !== this.#subnet.prefix
    const known = moved ? this.#all() : []
    if (moved) for (const entry of [...this.#byAddress.values()]) this.#drop(entry, false)
    const broadcast = 2 ** (32 - subnet.prefix) - 1
    this.#subnet = subnet
    this.#first = Math.max(1, from === null ? 1 : ordinalIn(subnet, from))
    this.#last = Math.min(broadcast - 1, to === null ? broadcast - 1 : ordinalIn(subnet, to))
    this.#taken = new Set(taken.map((address) => ordinalIn(subnet, address)))
    this.#reservedFor = new Map(reservations.map(({ mac, address }) => [mac, ordinalIn(subnet, address)]))
    this.#reserved = new Set(reservations.map(({ address }) => ordinalIn(subnet, address)))
    this.#lowest = this.#first
    this.#soonest = 0
    this.restore(known)
    for (const lease of known) if (!this.#byMac.has(parseMac(lease.mac))) this.#changed.fire({ kind: 'removed', lease })
    // First those that sit where others have a reservation: these are free then.
    const place = ({ ordinal }: Entry): number => (this.#reserved.has(ordinal) ? 0 : 1)
    for (const entry of [...this.#byAddress.values()].sort((a, b) => place(a) - place(b)))
      if (entry.mac !== null && !this.#isFor(entry.mac, entry.ordinal)) this.#forget(entry)
  }

  /** Leases of an earlier run. What does not fit the pool any more is left out. */
  restore(leases: readonly Lease[]): void {
    for (const { network, mac, address, hostName, from, until } of leases) {
      const bytes = parseIp(address)
      if (network !== this.#network || bytes?.length !== 4 || !inSubnet(bytes, this.#subnet)) continue
      const ordinal = ordinalIn(this.#subnet, bytes)
      const card = parseMac(mac)
      if (!this.#isFor(card, ordinal) || this.#byAddress.has(ordinal) || this.#byMac.has(card)) continue
      if (this.#byAddress.size < MAX_LEASES) this.#put({ ordinal, mac: card, told: true, hostName, from, until })
    }
  }

  /** Those that last now, in the order of their addresses. */
  list(): Lease[] {
    const now = this.#clock.date()
    const lasting = [...this.#byAddress.values()].filter(({ told, until }) => told && until > now)
    return lasting.sort((a, b) => a.ordinal - b.ordinal).map((entry) => this.#leaseOf(entry))
  }

  /** The address that a card has a lease of now. */
  addressOf(mac: number): IpAddress | null {
    const entry = this.#byMac.get(mac)
    return entry?.told && entry.until > this.#clock.date() ? addressIn(this.#subnet, entry.ordinal) : null
  }

  /** The card that has a lease of the address now; null: none. */
  cardOf(address: IpAddress): number | null {
    const entry = inSubnet(address, this.#subnet) ? this.#byAddress.get(ordinalIn(this.#subnet, address)) : undefined
    return entry?.told && entry.until > this.#clock.date() ? entry.mac : null
  }

  /** Entries of all kinds, for tests and counters: never more than MAX_LEASES. */
  get size(): number {
    return this.#byAddress.size
  }

  /**
   * An address for a card, kept for it for a moment: the one that it has or had, else its reservation, else the one that it wishes for, else another. Null: there is none.
   * @param wish 4 bytes
   */
  offer(
    mac: number,
    wish: IpAddress | null,
  ): { address: IpAddress; /** The card has or had it: nobody else should answer there. */ known: boolean } | null {
    const now = this.#clock.date()
    const had = this.#byMac.get(mac)
    const reserved = this.#reservedFor.get(mac)
    if (had && this.#isFor(mac, had.ordinal)) {
      if (!had.told) had.until = now + OFFER_TIME
      return { address: addressIn(this.#subnet, had.ordinal), known: had.told }
    }
    const wished = wish && inSubnet(wish, this.#subnet) ? ordinalIn(this.#subnet, wish) : null
    const ordinal =
      reserved !== undefined && this.#isFree(reserved)
        ? reserved
        : wished !== null && this.#isFor(mac, wished) && this.#isFree(wished)
          ? wished
          : this.#unused()
    if (ordinal === null || !this.#makeRoom(ordinal)) return null
    if (had) this.#forget(had)
    this.#put({ ordinal, mac, told: false, hostName: null, from: now, until: now + OFFER_TIME })
    return { address: addressIn(this.#subnet, ordinal), known: false }
  }

  /**
   * Leases an address to a card, or renews its lease. Null: it may not have this one.
   * @param seconds how long
   */
  grant(mac: number, address: IpAddress, seconds: number, hostName: string | null): Lease | null {
    if (!inSubnet(address, this.#subnet)) return null
    const ordinal = ordinalIn(this.#subnet, address)
    const had = this.#byMac.get(mac)
    if (!this.#isFor(mac, ordinal)) return null
    if (had?.ordinal !== ordinal) {
      // One lease for each card: it asks for another than it has only where it has forgotten, and is told so.
      if (had?.told && had.until > this.#clock.date() && this.#isFor(mac, had.ordinal)) return null
      if (!this.#isFree(ordinal) || !this.#makeRoom(ordinal)) return null
    }
    const now = this.#clock.date()
    const from = had?.told && had.ordinal === ordinal && had.until > now ? had.from : now
    // What it did not say again it still is called.
    const name = hostName ?? (had?.ordinal === ordinal ? had.hostName : null)
    if (had) this.#drop(had, had.ordinal !== ordinal)
    const entry: Entry = { ordinal, mac, told: true, hostName: name, from, until: now + seconds * 1000 }
    this.#put(entry)
    const lease = this.#leaseOf(entry)
    this.#changed.fire({ kind: 'put', lease })
    return lease
  }

  /** The card took another server's offer. */
  withdraw(mac: number): void {
    const entry = this.#byMac.get(mac)
    if (entry && !entry.told) this.#forget(entry)
  }

  /** The card gives its address back; it gets it again where nobody else needed it (RFC 2131, 4.3.4). */
  end(mac: number, address: IpAddress): void {
    const entry = this.#byMac.get(mac)
    const now = this.#clock.date()
    if (!entry?.told || entry.until <= now || formatIp(address) !== formatIp(addressIn(this.#subnet, entry.ordinal))) return
    entry.until = now
    this.#soonest = now
    this.#changed.fire({ kind: 'put', lease: this.#leaseOf(entry) })
  }

  /** Somebody uses this address without a lease: the card that was to have it gets another. False: it was not this card's. */
  decline(mac: number, address: IpAddress): boolean {
    const entry = this.#byMac.get(mac)
    if (!entry || formatIp(address) !== formatIp(addressIn(this.#subnet, entry.ordinal))) return false
    this.#forget(entry)
    const now = this.#clock.date()
    this.#put({ ordinal: entry.ordinal, mac: null, told: false, hostName: null, from: now, until: now + DECLINE_TIME })
    return true
  }

  /** Forgets what the card has or had. */
  release(mac: number): void {
    const entry = this.#byMac.get(mac)
    if (entry) this.#forget(entry)
  }

  dispose(): void {
    this.#changed.dispose()
  }

  #all(): Lease[] {
    return [...this.#byAddress.values()].flatMap((entry) => (entry.told ? [this.#leaseOf(entry)] : []))
  }

  #leaseOf({ ordinal, mac, hostName, from, until }: Entry): Lease {
    return { network: this.#network, mac: formatMac(mac!), address: formatIp(addressIn(this.#subnet, ordinal)), hostName, from, until }
  }

  /** Whether the card may have the address, as far as the settings go. */
  #isFor(mac: number, ordinal: number): boolean {
    if (this.#taken.has(ordinal)) return false
    const reserved = this.#reservedFor.get(mac)
    if (reserved === ordinal) return true
    // Its reservation comes first, unless somebody sits there.
    if (reserved !== undefined && this.#isFree(reserved)) return false
    return !this.#reserved.has(ordinal) && ordinal >= this.#first && ordinal <= this.#last
  }

  /** Nobody has it now: it is unknown, or what was with it is over. */
  #isFree(ordinal: number): boolean {
    const entry = this.#byAddress.get(ordinal)
    return entry === undefined || entry.until <= this.#clock.date()
  }

  /** The lowest address of the pool that the table does not know, else the one that is over the longest. */
  #unused(): number | null {
    if (this.#byAddress.size < MAX_LEASES) {
      while (this.#lowest <= this.#last && (this.#byAddress.has(this.#lowest) || !this.#inPool(this.#lowest))) this.#lowest++
      if (this.#lowest <= this.#last) return this.#lowest
    }
    // A flood of requests that cannot be met costs no look at the whole table for each.
    const now = this.#clock.date()
    if (now < this.#soonest) return null
    const oldest = this.#oldest(({ ordinal }) => this.#inPool(ordinal))
    if (oldest === null) this.#soonest = Math.min(...[...this.#byAddress.values()].map(({ until }) => (until > now ? until : Infinity)))
    return oldest?.ordinal ?? null
  }

  #inPool(ordinal: number): boolean {
    return ordinal >= this.#first && ordinal <= this.#last && !this.#taken.has(ordinal) && !this.#reserved.has(ordinal)
  }

  /** What is over the longest. What was never leased comes before what a card may come back for. */
  #oldest(accept: (entry: Entry) => boolean): Entry | null {
    const now = this.#clock.date()
    let oldest: Entry | null = null
    for (const entry of this.#byAddress.values()) {
      if (entry.until > now || !accept(entry)) continue
      if (oldest === null || (entry.told === oldest.told ? entry.until < oldest.until : oldest.told)) oldest = entry
    }
    return oldest
  }

  /** Forgets what was with this address, or, where the table is full, something else that is over. False: there is no room. */
  #makeRoom(ordinal: number): boolean {
    const before = this.#byAddress.get(ordinal)
    if (before) this.#forget(before)
    if (this.#byAddress.size < MAX_LEASES) return true
    const oldest = this.#oldest(() => true)
    if (oldest) this.#forget(oldest)
    return oldest !== null
  }

  #put(entry: Entry): void {
    this.#byAddress.set(entry.ordinal, entry)
    this.#soonest = Math.min(this.#soonest, entry.until)
    if (entry.mac !== null) this.#byMac.set(entry.mac, entry)
  }

  #forget(entry: Entry): void {
    this.#drop(entry, true)
  }

  #drop(entry: Entry, tell: boolean): void {
    if (this.#byAddress.get(entry.ordinal) !== entry) return
    this.#byAddress.delete(entry.ordinal)
    this.#lowest = Math.min(this.#lowest, Math.max(this.#first, entry.ordinal))
    if (entry.mac !== null) this.#byMac.delete(entry.mac)
    if (tell && entry.told) this.#changed.fire({ kind: 'removed', lease: this.#leaseOf(entry) })
  }
}
