/**
 * One network, wired: its switch, the cards that are plugged in, and its gateway with all that stands behind it. A changed document is applied without disturbing what did not
 * change; only another kind or another subnet makes the gateway anew.
 */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { Network } from '../../src-shared/model/network.ts'
import type { Lease, NetworkState, Plug, PortState } from '../../src-shared/threads/network-thread.ts'
import type { Clock } from './clock.ts'
import { parseMac } from './codec/ethernet.ts'
import type { Captures } from './capture/captures.ts'
import { GatewaySide } from './gateway-side.ts'
import { MachinePort, type PortChange } from './machine-port.ts'
import { compilePolicy, GATEWAY_ZONE, OTHER_ZONE } from './policy/policy.ts'
import { Leases, type PoolSettings } from './services/dhcp/leases.ts'
import { Switch } from './switch/switch.ts'

/** ms after which the gateway tells machines that came, all at once, that it is there. */
const ANNOUNCE_AFTER = 500

/** What a network tells the thread's service. */
export interface NetworkListener {
  /** A port or a forward changed. */
  stateChanged(): void
  leaseChanged(change: { kind: 'put' | 'removed'; lease: Lease }): void
}

export interface NetworkOptions {
  clock: Clock
  captures: Captures
  listener: NetworkListener
}

export class LiveNetwork implements Disposable {
  #document: Network
  #clock: Clock
  #captures: Captures
  #listener: NetworkListener
  #switch: Switch
  #ports = new Map<string, MachinePort>()
  /** By machine. */
  #zones = new Map<string, string>()
  #leases: Leases | null = null
  /** Of an earlier thread, until there is a place for them. */
  #restored: readonly Lease[] = []
  #side: GatewaySide | null
  #announcing: Disposable | null = null

  constructor(document: Network, { clock, captures, listener }: NetworkOptions) {
    this.#document = document
    this.#clock = clock
    this.#captures = captures
    this.#listener = listener
    this.#switch = new Switch(clock)
    this.#applyPolicy()
    this.#side = this.#makeSide()
  }

  get name(): string {
    return this.#document.name
  }

  update(document: Network): void {
    const before = this.#document
    this.#document = document
    if (!same(before.policy, document.policy)) this.#applyPolicy()
    if (same(placeOf(before), placeOf(document))) this.#side?.update(document)
    else {
      this.#side?.dispose()
      this.#side = this.#makeSide()
    }
    if (before.captureBytes !== document.captureBytes) for (const port of this.#ports.values()) this.#keep(port)
  }

  /** Joins a card; one with the same port is unplugged before. @throws AppError `invalid-input` for a ring that is none */
  plug(plug: Plug): void {
    this.unplug(plug.port)
    const port = new MachinePort(plug, this.#switch, this.#clock, () => this.#changed())
    this.#ports.set(plug.port, port)
    this.#keep(port)
    this.#changed()
  }

  unplug(id: string): void {
    const port = this.#ports.get(id)
    if (!port) return
    this.#ports.delete(id)
    port.dispose()
    this.#captures.remove(id)
    this.#listener.stateChanged()
  }

  /** What is absent stays. @throws AppError `not-found` */
  setPort(id: string, settings: PortChange): void {
    const port = this.#ports.get(id)
    if (!port) throw new AppError('not-found', `Nothing is plugged in as “${id}”.`)
    port.set(settings)
    if (settings.private !== undefined) this.#keep(port)
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
    return { network: this.name, gateway: this.#side?.counters ?? null, flows: { tcp: 0, udp: 0 }, forwards: {}, problem: null }
  }

  portStates(): PortState[] {
    return [...this.#ports.values()].map((port) => ({ ...port.state(), keptBytes: this.#captures.keptBytes(port.plug.port) }))
  }

  dispose(): void {
    this.#announcing?.dispose()
    this.#side?.dispose()
    this.#leases?.dispose()
    for (const id of [...this.#ports.keys()]) this.unplug(id)
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

  #makeSide(): GatewaySide | null {
    const { kind, ipv4, ipv6 } = this.#document
    if ((kind !== 'nat' && kind !== 'host-only') || (ipv4 === null && ipv6 === null)) return null
    return new GatewaySide({
      document: this.#document,
      lan: this.#switch,
      clock: this.#clock,
      leasesIn: (pool) => this.#leasesIn(pool),
      warn: (message) => console.error(message),
    })
  }

  #leasesIn(pool: PoolSettings): Leases {
    if (this.#leases) {
      this.#leases.configure(pool)
      return this.#leases
    }
    const leases = new Leases(this.name, this.#clock, pool)
    leases.restore(this.#restored)
    this.#restored = []
    leases.onChanged((change) => this.#listener.leaseChanged(change))
    return (this.#leases = leases)
  }

  /** Begins, or ceases, to keep what passes the port. */
  #keep({ plug, port }: MachinePort): void {
    const bytes = plug.private ? 0 : this.#document.captureBytes
    this.#captures.put({ port: plug.port, network: this.name, name: `${plug.name}:${plug.nic}`, mac: plug.mac }, bytes)
    port.tap = bytes === 0 ? null : (id, frame, direction) => this.#captures.see(id, frame, direction)
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
function placeOf({ kind, ipv4, ipv6 }: Network): unknown {
  return [kind, ipv4, ipv6]
}

/** Of two parts of documents. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
