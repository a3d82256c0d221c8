/**
 * Which card has which address: the cache of ARP (RFC 1122, 2.3.2) and of neighbour discovery (RFC 4861, 5 and 7.3) in one.
 *
 * An address is learned from what its neighbour sends: from its ARP and neighbour discovery, and from its first packet. Later packets of another card do not take it over;
 * only its ARP or advertisement does. Where it is not known yet, a few packets wait while the network is asked, three times within as many seconds.
 *
 * Time is not looked at for each packet: a neighbour is marked when it is heard and when something is sent to it, and a sweep each half minute looks at the marks. One that
 * was used but not heard is asked whether it is still there; one that does not say so by the next sweep is forgotten, and so is one that was silent for ten minutes. The
 * sweep runs only while there are neighbours.
 *
 * A card that makes up addresses pushes out its own: each has a share, and where all is full, the one with the most makes room.
 */
import type { Disposable } from '../../../src-shared/base/disposable.ts'
import { sameIp, type IpAddress } from '../../../src-shared/model/ip.ts'
import { mixAddress } from '../address-key.ts'
import type { CardShare } from '../card-share.ts'
import type { Clock } from '../clock.ts'

/** Of one network: a thousand machines with an IPv4 and three IPv6 addresses each. */
export const MAX_NEIGHBOURS = 4096
/** Of one card (CardShare): a machine with many machines in it. */
export const MAX_NEIGHBOURS_OF_CARD = 256
/** Addresses that are asked for at a time, in all and on one card's behalf, and packets that wait for each. */
const MAX_ASKED = 256
const MAX_ASKED_OF_CARD = 64
const MAX_WAITING = 4
/** No card's share. */
const OURSELVES = -1
const ASK_MS = 1000
const MAX_ASKS = 3
const SWEEP_MS = 30_000
const MAX_SILENT_SWEEPS = 20

/** A packet that waits. `lost` is called where nobody has the address. */
interface Waiting {
  /** With headers; not in its frame yet. */
  packet: Uint8Array
  lost: ((packet: Uint8Array) => void) | null
}

/** What one card is known to have. */
interface Share {
  readonly owner: number
  /** Those that were learned first stand first. */
  readonly members: Set<Neighbour>
}

interface Neighbour {
  readonly address: IpAddress
  /** -1: not known yet. */
  mac: number
  heard: boolean
  used: boolean
  /** Sweeps since it was heard. */
  silent: number
  /** It was asked at the last sweep, or how often it was asked for. */
  asks: number
  waiting: Waiting[] | null
  /** Null while its card is not known. */
  share: Share | null
  /** Another with the same key. */
  next: Neighbour | null
}

export interface NeighbourLink {
  /** Asks who has the address; a card that is named is asked alone. */
  ask(address: IpAddress, mac: number | null): void
  /** A packet that waited goes to the card. */
  transmit(packet: Uint8Array, mac: number): void
  /** Whether the card may have the address; absent: any may. */
  mayHave?(address: IpAddress, mac: number): boolean
  /** An address is known now, or is another card's. */
  learned?(): void
  /** Whom a card's addresses count for. */
  shareOf: CardShare
}

export class Neighbours implements Disposable {
  readonly #clock: Clock
  readonly #link: NeighbourLink
  readonly #seed = Math.floor(Math.random() * 0x1_0000_0000) | 0
  #byKey = new Map<number, Neighbour>()
  #size = 0
  #last: Neighbour | null = null
  /** With on whose behalf. */
  #asked = new Map<Neighbour, number>()
  #shares = new Map<number, Share>()
  #sweep: Disposable | null = null
  #asking: Disposable | null = null

  constructor(clock: Clock, link: NeighbourLink) {
    this.#clock = clock
    this.#link = link
  }

  get size(): number {
    return this.#size
  }

  /** The card with the address, marked as used; -1: not known. */
  find(address: IpAddress): number {
    const found = this.#entry(address)
    if (!found) return -1
    found.used = true
    return found.mac
  }

  /** Of a card, in no order. Looks at all. */
  addressesOf(mac: number): IpAddress[] {
    const found: IpAddress[] = []
    for (const first of this.#byKey.values())
      for (let one: Neighbour | null = first; one; one = one.next) if (one.mac === mac) found.push(one.address.slice())
    return found
  }

  /** A packet came from this address and card. @returns whether the card is the one that has the address */
  heard(address: IpAddress, mac: number): boolean {
    const found = this.#entry(address)
    if (!found || found.mac === -1) {
      this.learn(address, mac)
      return true
    }
    if (found.mac !== mac) return false
    found.heard = true
    return true
  }

  /** The address's neighbour says what card it has. @param take also where another card had it */
  learn(address: IpAddress, mac: number, take = true): void {
    if (this.#link.mayHave?.(address, mac) === false) return
    const known = this.#entry(address)
    if (known && known.mac !== -1 && known.mac !== mac && !take) return
    const isNew = known?.mac !== mac
    const found = isNew ? this.#enter(known, address, mac) : known
    found.mac = mac
    found.heard = true
    found.asks = 0
    this.#asked.delete(found)
    const { waiting } = found
    found.waiting = null
    if (waiting) for (const { packet } of waiting) this.#link.transmit(packet, mac)
    if (isNew) this.#link.learned?.()
  }

  /** As `learn`, but only where somebody asked or it is known already (RFC 826; RFC 4861, 7.2.5). */
  update(address: IpAddress, mac: number, take = true): void {
    if (this.#entry(address)) this.learn(address, mac, take)
  }

  /**
   * Keeps a packet until it is known who has the address.
   * @param packet is copied
   * @param of whose it is: the card that sent it (absent: it is our own), and who hears where nobody has the address
   * @returns false where there is no room
   */
  wait(address: IpAddress, packet: Uint8Array, of: { asker?: number; lost: Waiting['lost'] } = { lost: null }): boolean {
    const { asker, lost } = of
    const share = asker === undefined ? null : this.#link.shareOf(asker)
    let found = this.#entry(address)
    if (!found) {
      if (this.#asked.size >= MAX_ASKED || (share !== null && this.#askedBy(share) >= MAX_ASKED_OF_CARD)) return false
      if (this.#size >= MAX_NEIGHBOURS) this.#removeFirst(this.#largest())
      found = this.#add(address)
    }
    if (found.waiting && found.waiting.length >= MAX_WAITING) return false
    found.waiting ??= []
    found.waiting.push({ packet: packet.slice(), lost })
    if (!this.#asked.has(found)) {
      this.#asked.set(found, share ?? OURSELVES)
      found.asks = 1
      this.#asking ??= this.#clock.after(ASK_MS, () => this.#askAgain())
      this.#link.ask(found.address, null)
    }
    return true
  }

  dispose(): void {
    this.#sweep?.dispose()
    this.#asking?.dispose()
    this.#byKey.clear()
    this.#shares.clear()
    this.#asked.clear()
    this.#last = null
    this.#size = 0
  }

  #entry(address: IpAddress): Neighbour | null {
    const last = this.#last
    if (last && sameIp(last.address, address)) return last
    for (let found = this.#byKey.get(this.#key(address)) ?? null; found; found = found.next)
      if (sameIp(found.address, address)) return (this.#last = found)
    return null
  }

  #key(address: IpAddress): number {
    return mixAddress(this.#seed, address, 0, address.length)
  }

  /** Puts an address into its card's share, which makes room for it where it must. */
  #enter(known: Neighbour | null, address: IpAddress, mac: number): Neighbour {
    const owner = this.#link.shareOf(mac)
    const share = this.#shares.get(owner) ?? { owner, members: new Set() }
    if (known?.share !== share) {
      const { size } = share.members
      if (size >= MAX_NEIGHBOURS_OF_CARD) this.#removeFirst(share)
      else if (!known && this.#size >= MAX_NEIGHBOURS) {
        const largest = this.#largest()
        this.#removeFirst(largest && size < largest.members.size ? largest : share)
      }
    }
    const found = known ?? this.#add(address)
    this.#leaveShare(found)
    found.share = share
    share.members.add(found)
    this.#shares.set(owner, share)
    return found
  }

  /** Null: nobody's card is known. */
  #largest(): Share | null {
    let largest: Share | null = null
    for (const share of this.#shares.values()) if (share.members.size > (largest?.members.size ?? 0)) largest = share
    return largest
  }

  #removeFirst(share: Share | null): void {
    for (const first of share?.members ?? []) return this.#remove(first)
  }

  #leaveShare(neighbour: Neighbour): void {
    const { share } = neighbour
    neighbour.share = null
    share?.members.delete(neighbour)
    if (share?.members.size === 0) this.#shares.delete(share.owner)
  }

  #add(address: IpAddress): Neighbour {
    const key = this.#key(address)
    const next = this.#byKey.get(key) ?? null
    const neighbour: Neighbour = {
      ...{ address: address.slice(), mac: -1, heard: false, used: false, silent: 0, asks: 0, waiting: null, share: null, next },
    }
    this.#byKey.set(key, neighbour)
    this.#size++
    this.#sweep ??= this.#clock.after(SWEEP_MS, () => this.#look())
    return neighbour
  }

  /** Takes one out of its chain. */
  #remove(neighbour: Neighbour): void {
    const key = this.#key(neighbour.address)
    const first = this.#byKey.get(key) ?? null
    if (first === neighbour) {
      if (neighbour.next) this.#byKey.set(key, neighbour.next)
      else this.#byKey.delete(key)
    } else {
      let before = first
      while (before && before.next !== neighbour) before = before.next
      if (before) before.next = neighbour.next
    }
    this.#leaveShare(neighbour)
    this.#size--
    this.#asked.delete(neighbour)
    if (this.#last === neighbour) this.#last = null
  }

  #askedBy(share: number): number {
    let count = 0
    for (const one of this.#asked.values()) if (one === share) count++
    return count
  }

  #askAgain(): void {
    this.#asking = null
    const lost: Waiting[] = []
    for (const neighbour of [...this.#asked.keys()]) {
      if (neighbour.asks < MAX_ASKS) {
        neighbour.asks++
        this.#link.ask(neighbour.address, null)
        continue
      }
      lost.push(...(neighbour.waiting ?? []))
      this.#remove(neighbour)
    }
    for (const waiting of lost) waiting.lost?.(waiting.packet)
    if (this.#asked.size > 0) this.#asking ??= this.#clock.after(ASK_MS, () => this.#askAgain())
  }

  #look(): void {
    this.#sweep = null
    const all: Neighbour[] = []
    for (const first of this.#byKey.values()) for (let one: Neighbour | null = first; one; one = one.next) all.push(one)
    for (const neighbour of all) {
      if (neighbour.mac === -1) continue
      const { heard, used } = neighbour
      neighbour.silent = heard ? 0 : neighbour.silent + 1
      neighbour.heard = neighbour.used = false
      if (heard) neighbour.asks = 0
      else if (neighbour.asks > 0 || neighbour.silent >= MAX_SILENT_SWEEPS) this.#remove(neighbour)
      else if (used) {
        neighbour.asks = 1
        this.#link.ask(neighbour.address, neighbour.mac)
      }
    }
    if (this.#size > 0) this.#sweep ??= this.#clock.after(SWEEP_MS, () => this.#look())
  }
}
