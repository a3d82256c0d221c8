/**
 * Where a switch saw which address last. Theory of operation: a table of a fixed size in sets of WAYS slots, as switches have in hardware; an address can stand in one set alone. An
 * entry that was not refreshed for AGEING ms is free. Where a set is full, the new address takes the place of one whose port has the most addresses, and is not learned if
 * that is its own port: a machine that makes up addresses without end pushes out its own, never those of others, and the switch goes on switching.
 */
/** ms (IEEE 802.1Q, 8.8.3). */
export const AGEING = 300_000
export const MAX_ADDRESSES = 4096
const WAYS = 8
const SET_BITS = 9
const NEVER_AGES = Infinity

/** Whoever an address is learned for. */
export interface AddressOwner {
  /** How many the table has of it, aged ones included: kept by the table. */
  addresses: number
}

export class AddressTable<Owner extends AddressOwner> {
  #low = new Int32Array(MAX_ADDRESSES)
  #high = new Uint16Array(MAX_ADDRESSES)
  /** ms. */
  #seen = new Float64Array(MAX_ADDRESSES)
  #owners = new Array<Owner | null>(MAX_ADDRESSES).fill(null)

  /** Notes the address at `at` in `frame` as the owner's. False: it is pinned to another. @param now ms */
  learn(frame: Uint8Array, at: number, owner: Owner, now: number): boolean {
    const high = highAt(frame, at)
    const low = lowAt(frame, at)
    const first = setOf(high, low)
    let place = -1
    for (let slot = first; slot < first + WAYS; slot++) {
      const holder = this.#owners[slot]!
      if (holder === null) {
        place = slot
        continue
      }
      if (this.#low[slot] === low && this.#high[slot] === high) {
        if (this.#seen[slot] === NEVER_AGES) return holder === owner
        if (holder !== owner) this.#give(slot, owner)
        this.#seen[slot] = now
        return true
      }
      if (place < 0 && now - this.#seen[slot]! > AGEING) place = slot
    }
    if (place < 0) place = this.#cheapest(first, owner)
    if (place >= 0) this.#put(place, high, low, owner, now)
    return true
  }

  /** Whose the address at `at` in `frame` is; null: it was not seen of late. */
  find(frame: Uint8Array, at: number, now: number): Owner | null {
    const high = highAt(frame, at)
    const low = lowAt(frame, at)
    const first = setOf(high, low)
    for (let slot = first; slot < first + WAYS; slot++)
      if (this.#low[slot] === low && this.#high[slot] === high && this.#owners[slot] !== null)
        return now - this.#seen[slot]! > AGEING ? null : this.#owners[slot]!
    return null
  }

  /** The address stays the owner's, whoever claims it, until `forget`; where it is pinned already, the first owner's. */
  pin(mac: number, owner: Owner): void {
    const high = Math.floor(mac / 0x1_0000_0000)
    const low = mac | 0
    const first = setOf(high, low)
    let place = first
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.#low[slot] === low && this.#high[slot] === high && this.#owners[slot] !== null) {
        if (this.#seen[slot] === NEVER_AGES) return
        place = slot
        break
      }
      if (this.#seen[slot] !== NEVER_AGES) place = slot
    }
    this.#put(place, high, low, owner, NEVER_AGES)
  }

  forget(owner: Owner): void {
    if (owner.addresses === 0) return
    for (let slot = 0; slot < MAX_ADDRESSES; slot++) if (this.#owners[slot] === owner) this.#give(slot, null)
  }

  /** The slot of a full set to be used again; -1: none, because the newcomer's owner has more than those in it. */
  #cheapest(first: number, newcomer: Owner): number {
    let found = -1
    for (let slot = first; slot < first + WAYS; slot++)
      if (this.#seen[slot] !== NEVER_AGES && (found < 0 || this.#isCheaper(slot, found))) found = slot
    return found >= 0 && this.#owners[found]!.addresses >= newcomer.addresses ? found : -1
  }

  #isCheaper(slot: number, than: number): boolean {
    const [a, b] = [this.#owners[slot]!.addresses, this.#owners[than]!.addresses]
    return a > b || (a === b && this.#seen[slot]! < this.#seen[than]!)
  }

  #put(slot: number, high: number, low: number, owner: Owner, seen: number): void {
    this.#give(slot, owner)
    this.#high[slot] = high
    this.#low[slot] = low
    this.#seen[slot] = seen
  }

  #give(slot: number, owner: Owner | null): void {
    const before = this.#owners[slot]!
    if (before) before.addresses--
    if (owner) owner.addresses++
    else this.#seen[slot] = 0
    this.#owners[slot] = owner
  }
}

function highAt(frame: Uint8Array, at: number): number {
  return (frame[at]! << 8) | frame[at + 1]!
}

function lowAt(frame: Uint8Array, at: number): number {
  return (frame[at + 2]! << 24) | (frame[at + 3]! << 16) | (frame[at + 4]! << 8) | frame[at + 5]!
}

/** First slot of the set in which the address stands if anywhere. */
function setOf(high: number, low: number): number {
  return (Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b) >>> (32 - SET_BITS)) * WAYS
}
