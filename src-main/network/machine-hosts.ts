/** Where machines of a network are reached, and by which names. Pure. */
import { parseIp, type IpAddress } from '../../src-shared/model/ip.ts'
import type { Reservation } from '../../src-shared/model/network.ts'
import type { Lease, Plug } from '../../src-shared/threads/network-thread.ts'
import { parseMac } from './codec/ethernet.ts'
import { knownHosts, type KnownHost } from './services/dns/known-hosts.ts'

/** What is known of cards' addresses. */
export interface AddressSources {
  reservations: readonly Reservation[]
  leased(mac: number): IpAddress | null
  /** What the gateway heard from the card, of both families. */
  seen(mac: number): IpAddress[]
}

/** A machine's first card with an address says where it is reached; null: none has one. */
export function addressOf(machine: string, plugs: Iterable<Plug>, { reservations, leased, seen }: AddressSources): IpAddress | null {
  for (const plug of plugs) {
    if (plug.machine !== machine) continue
    const reserved = reservations.find(({ mac }) => mac === plug.mac)
    const mac = parseMac(plug.mac)
    const address = leased(mac) ?? (reserved ? parseIp(reserved.address) : null)
    // Of addresses that nobody gave it those of IPv4 first.
    const found = address ?? seen(mac).sort((a, b) => a.length - b.length)[0]
    if (found) return found
  }
  return null
}

/**
 * Machines with the cards that they have here; of those that are elsewhere, none.
 * @param names of all machines, by their ids
 */
export function hostsOf(
  plugs: Iterable<Plug>,
  names: Readonly<Record<string, string>>,
  leases: readonly Lease[],
  { reservations, seen }: AddressSources,
): KnownHost[] {
  const machines = new Map<string, { name: string; macs: string[] }>()
  for (const plug of plugs) {
    const machine = machines.get(plug.machine) ?? { name: names[plug.machine] ?? plug.name, macs: [] }
    machine.macs.push(plug.mac)
    machines.set(plug.machine, machine)
  }
  // Those that are off have their names still: no machine takes one by saying so.
  for (const [id, name] of Object.entries(names)) if (!machines.has(id)) machines.set(id, { name, macs: [] })
  return knownHosts(machines.values(), reservations, leases, (mac) => seen(parseMac(mac)))
}
