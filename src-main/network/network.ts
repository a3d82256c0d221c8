/**
 * One network, wired: its switch, the cards that are plugged in, and its gateway with all that stands behind it. A changed document is applied without disturbing what did not
 * change; only another kind or another subnet makes the gateway anew.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import { parseIp, type IpAddress } from '../../src-shared/model/ip.ts'
import { hasGateway, subnetsOf, type Network } from '../../src-shared/model/network.ts'
import type { Lease, NetworkAlert, NetworkState, Plug, PortState } from '../../src-shared/threads/network-thread.ts'
import type { Clock } from './clock.ts'
import { parseMac } from './codec/ethernet.ts'
import type { Captures } from './capture/captures.ts'
import { GatewaySide } from './gateway-side.ts'
import { OwnPorts, type OwnPort } from './own-ports.ts'
import { addressOf, hostsOf, type AddressSources } from './machine-hosts.ts'
import { MachinePort, type PortChange } from './machine-port.ts'
import { compilePolicy, GATEWAY_ZONE, OTHER_ZONE } from './policy/policy.ts'
import { PolicyLog } from './policy/policy-log.ts'
import type { PrivateTraffic } from './private-traffic.ts'
import type { NetworkRoutes } from './routers/plan-routes.ts'
import { Leases, type PoolSettings } from './services/dhcp/leases.ts'
import { Switch } from './switch/switch.ts'
import { Uplink, UPLINK_PORT } from './uplink.ts'
import { Watcher, type WatchedPort } from './watch/watcher.ts'

/** ms after which the gateway tells machines that came, all at once, that it is there. */
const ANNOUNCE_AFTER = 500
/** ms after which addresses that machines were heard of under are looked at, all at once. */
const LOOK_AFTER = 200

/** What a network tells the thread's service. */
export interface NetworkListener {
  /** A port or a forward changed. */
  stateChanged(): void
  leaseChanged(change: { kind: 'put' | 'removed'; lease: Lease }): void
  alert(alert: NetworkAlert): void
  /** @param port who sent it; null: nobody's card */
  logged(port: string | null, message: string): void
}

/** What surrounds a network, as it is now. */
export interface NetworkPlace {
  /** What people call machines, by their ids. */
  names: Readonly<Record<string, string>>
  routes: NetworkRoutes
  /** Routers' ports here: they are plugged in before `ownPortsChanged`. */
  routers: readonly OwnPort[]
}

export interface NetworkOptions {
  clock: Clock
  captures: Captures
  /** Of all networks. */
  privates: PrivateTraffic
  /** The entry of the thread that reads TAP devices. */
  tapThread: URL
  listener: NetworkListener
}

export class LiveNetwork implements Disposable {
  #document: Network
  #place: NetworkPlace
  #clock: Clock
  #captures: Captures
  #privates: PrivateTraffic
  #listener: NetworkListener
  #switch: Switch
  #ports = new Map<string, MachinePort>()
  /** By machine. */
  #zones = new Map<string, string>()
  #leases: Leases | null = null
  /** Of an earlier thread, until there is a place for them. */
  #restored: readonly Lease[] = []
  #side: GatewaySide | null
  /** Of bridged networks. */
  #uplink: Uplink | null
  #tapThread: URL
  #own: OwnPorts
  #watcher: Watcher
  #announcing: Disposable | null = null
  #looking: Disposable | null = null
  #policyLog: PolicyLog

  constructor(document: Network, place: NetworkPlace, { clock, captures, privates, tapThread, listener }: NetworkOptions) {
    this.#document = document
    this.#place = place
    this.#clock = clock
    this.#captures = captures
    this.#privates = privates
    this.#tapThread = tapThread
    this.#listener = listener
    this.#switch = new Switch(clock)
    this.#policyLog = new PolicyLog(document.name, clock)
    this.#own = new OwnPorts(document.name, this.#switch, captures, privates)
    this.#switch.onLogged = (from, to, frame) => this.#log(from.id, to.id, frame)
    this.#watcher = new Watcher(document.watch, {
      network: document.name,
      clock,
      ownerOf: (address) => this.#side?.cardOf(address) ?? this.#leaseOwner(address),
      onAlert: (alert) => this.#alert(alert),
    })
    this.#applyPolicy()
    this.#side = this.#makeSide()
    this.#uplink = this.#makeUplink()
    this.#privateChanged()
    this.#hostsChanged()
  }

  get name(): string {
    return this.#document.name
  }

  /** Where routers are plugged in. */
  get board(): Switch {
    return this.#switch
  }

  update(document: Network, place: NetworkPlace): void {
    const before = this.#document
    this.#document = document
    this.#place = place
    if (document.ipv4 === null) this.#forgetLeases()
    if (!isDeepStrictEqual(before.policy, document.policy)) this.#applyPolicy()
    if (!isDeepStrictEqual(before.watch, document.watch)) this.#watcher.set(document.watch)
    if (isDeepStrictEqual(standingOf(before), standingOf(document))) this.#side?.update(document, place.routes)
    else {
      this.#side?.dispose()
      this.#side = this.#makeSide()
    }
    if (before.kind === document.kind && before.hostInterface === document.hostInterface) this.#uplink?.retry()
    else {
      this.#uplink?.dispose()
      this.#uplink = this.#makeUplink()
    }
    this.#hostsChanged()
    for (const port of this.#ports.values()) this.#tap(port)
  }

  /** The gateway, routers or the uplink came or went. */
  ownPortsChanged(): void {
    const own = [...(this.#side ? [this.#side.ownPort] : []), ...this.#place.routers]
    if (this.#uplink) own.push({ id: UPLINK_PORT, name: `uplink of ${this.name}`, mac: null })
    this.#own.set(own, this.#document.captureBytes)
    this.#privateChanged()
  }

  /** Joins a card; one with the same port is unplugged before. @throws AppError `invalid-input` for a ring that is none */
  plug(plug: Plug): void {
    this.unplug(plug.port)
    const port = new MachinePort(plug, this.#switch, this.#clock, () => this.#changed())
    this.#ports.set(plug.port, port)
    // Nobody else speaks for it; it may have other addresses beside this one.
    this.#switch.pin(parseMac(plug.mac), plug.port)
    this.#tap(port)
    this.#privateChanged()
    this.#hostsChanged()
    this.#uplink?.retry()
    this.#changed()
  }

  unplug(id: string): void {
    const port = this.#ports.get(id)
    if (!port) return
    this.#ports.delete(id)
    port.dispose()
    this.#captures.remove(id)
    this.#closeFlows(port)
    this.#hostsChanged()
    this.#listener.stateChanged()
  }

  /** Ends the flows of all cards of a machine. */
  closeFlows(machine: string): void {
    for (const port of this.#ports.values()) if (port.plug.machine === machine) this.#closeFlows(port)
  }

  /** What is absent stays. @throws AppError `not-found` */
  setPort(id: string, settings: PortChange): void {
    const port = this.#ports.get(id)
    if (!port) throw new AppError('not-found', `Nothing is plugged in as “${id}”.`)
    port.set(settings)
    if (settings.private !== undefined) {
      this.#tap(port)
      this.#privateChanged()
    }
    if (settings.cut !== undefined) this.#changed()
  }

  restoreLeases(leases: readonly Lease[]): void {
    if (this.#leases) this.#leases.restore(leases)
    else this.#restored = leases
  }

  leases(): Lease[] {
    return this.#leases?.list() ?? []
  }

  releaseLease(mac: string): void {
    this.#leases?.release(parseMac(mac))
  }

  state(): NetworkState {
    const side = this.#side?.state ?? { gateway: null, flows: { tcp: 0, udp: 0 }, forwards: {} }
    return { network: this.name, ...side, problem: this.#uplink?.problem?.toWire() ?? null }
  }

  portStates(): PortState[] {
    return [...this.#ports.values()].map((port) => ({ ...port.state(), keptBytes: this.#captures.keptBytes(port.plug.port) }))
  }

  dispose(): void {
    for (const id of [...this.#ports.keys()]) this.unplug(id)
    this.#privates.set(this.name, null)
    this.#own.set([], 0)
    this.#uplink?.dispose()
    this.#side?.dispose()
    this.#side = null
    this.#leases?.dispose()
    this.#announcing?.dispose()
    this.#looking?.dispose()
    this.#switch.dispose()
  }

  /** A machine came, or its card is there now. */
  #changed(): void {
    this.#listener.stateChanged()
    this.#announcing ??= this.#clock.after(ANNOUNCE_AFTER, () => {
      this.#announcing = null
      this.#side?.announce()
    })
  }

  /** The card that an address is leased to. */
  #leaseOwner(address: IpAddress): number | null {
    return address.length === 4 ? (this.#leases?.cardOf(address) ?? null) : null
  }

  /** The same, while that card is plugged in. */
  #rightfulOwner(address: IpAddress): number | null {
    const owner = this.#leaseOwner(address)
    return owner !== null && this.#switch.isCard(owner) ? owner : null
  }

  #makeSide(): GatewaySide | null {
    if (!hasGateway(this.#document)) return null
    return new GatewaySide(this.#document, this.#place.routes, {
      lan: this.#switch,
      clock: this.#clock,
      leasesIn: (pool) => this.#leasesIn(pool),
      hosts: () => hostsOf(this.#plugs(), this.#place.names, this.leases(), this.#addresses),
      onNeighbour: () => {
        this.#looking ??= this.#clock.after(LOOK_AFTER, () => {
          this.#looking = null
          this.#hostsChanged()
        })
      },
      ownerOf: (address) => this.#rightfulOwner(address),
      onForwards: () => this.#listener.stateChanged(),
      warn: (message) => console.error(message),
    })
  }

  #makeUplink(): Uplink | null {
    const { kind, hostInterface } = this.#document
    if (kind !== 'bridged') return null
    const onChange = (): void => this.#listener.stateChanged()
    return new Uplink({ card: hostInterface, lan: this.#switch, thread: this.#tapThread, onChange })
  }

  /** Machines, their names or their addresses changed, or what is forwarded to them. */
  #hostsChanged(): void {
    this.#side?.hostsChanged()
    // Guests of a segment are among themselves.
    const { kind, forwards } = this.#document
    const given = kind === 'segment' ? [] : forwards
    this.#side?.setForwards(
      given.map(({ guest, ...forward }) => ({ ...forward, guest: parseIp(guest) ?? addressOf(guest, this.#plugs(), this.#addresses) })),
    )
  }

  #plugs(): Plug[] {
    return [...this.#ports.values()].map(({ plug }) => plug)
  }

  get #addresses(): AddressSources {
    return {
      reservations: this.#document.dhcp.reservations,
      leased: (mac) => this.#leases?.addressOf(mac) ?? null,
      seen: (mac) => this.#side?.addressesOf(mac) ?? [],
    }
  }

  #leasesIn(pool: PoolSettings): Leases {
    if (this.#leases) {
      this.#leases.configure(pool)
      return this.#leases
    }
    const leases = new Leases(this.name, this.#clock, pool)
    leases.restore(this.#restored)
    this.#restored = []
    leases.onChanged((change) => {
      this.#hostsChanged()
      this.#listener.leaseChanged(change)
    })
    return (this.#leases = leases)
  }

  /** There is no place for them any more. */
  #forgetLeases(): void {
    for (const lease of this.leases()) this.#listener.leaseChanged({ kind: 'removed', lease })
    this.#leases?.dispose()
    this.#leases = null
  }

  /** What passes the port is kept, and what its machine sends is watched, where that is wished; of a private one it is learned what to keep nothing of. */
  #tap({ plug, port }: MachinePort): void {
    const { captureBytes, watch } = this.#document
    const bytes = plug.private ? 0 : captureBytes
    this.#captures.put({ port: plug.port, network: this.name, name: `${plug.name}:${plug.nic}`, mac: plug.mac }, bytes)
    const watched: WatchedPort | null = watch.enabled ? { port: plug.port, name: plug.name, mac: parseMac(plug.mac) } : null
    const mac = plug.private ? parseMac(plug.mac) : null
    port.tap =
      bytes === 0 && !watched && mac === null
        ? null
        : (id, frame, direction) => {
            if (mac !== null && direction === 'out') this.#privates.learn(this.name, mac, frame)
            if (bytes > 0 && !this.#privates.covers(this.name, frame)) this.#captures.see(id, frame, direction)
            if (watched && direction === 'out') this.#watcher.see(watched, frame)
          }
  }

  #privateChanged(): void {
    this.#privates.set(this.name, {
      cards: [...this.#ports.values()].flatMap(({ plug }) => (plug.private ? parseMac(plug.mac) : [])),
      subnets: subnetsOf(this.#document),
      ownerOf: (address) => this.#rightfulOwner(address),
      isCard: (mac) => this.#switch.isCard(mac),
      isMachine: (mac) => [...this.#ports.values()].some(({ port }) => port.pinned === mac),
    })
  }

  #alert(alert: NetworkAlert): void {
    if (alert.port !== null) {
      if (alert.count === 1) this.#captures.freeze(alert.id, alert.port, alert.message)
      // Again where a person joined it, and it goes on.
      if (alert.cut) this.setPort(alert.port, { cut: true })
    }
    this.#listener.alert(alert)
  }

  #log(from: string, to: string, frame: Uint8Array): void {
    const nameOf = (port: string): string => this.#ports.get(port)?.plug.name ?? port
    const line = this.#policyLog.line(nameOf(from), nameOf(to), frame, () => this.#privates.covers(this.name, frame))
    if (line !== null) this.#listener.logged(this.#ports.has(from) ? from : null, line)
  }

  #closeFlows({ plug }: MachinePort): void {
    const mac = parseMac(plug.mac)
    const leased = this.#leases?.addressOf(mac)
    for (const address of [...(leased ? [leased] : []), ...(this.#side?.addressesOf(mac) ?? [])]) this.#side?.closeFlows(address)
  }

  #applyPolicy(): void {
    const { policy } = this.#document
    this.#zones = new Map(policy.zones.flatMap(({ name, machines }) => machines.map((machine) => [machine, name])))
    this.#switch.policy = compilePolicy(policy, (port) => this.#zoneOf(port), this.#clock)
  }

  /** What is no machine's is the way out of the network. */
  #zoneOf(port: string): string {
    const plugged = this.#ports.get(port)
    return plugged ? (this.#zones.get(plugged.plug.machine) ?? OTHER_ZONE) : GATEWAY_ZONE
  }
}

/** What a gateway cannot change while it is there. */
function standingOf(document: Network): unknown {
  return [document.kind, document.ipv4, document.ipv6, hasGateway(document)]
}
