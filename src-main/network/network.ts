/** One network, wired: its switch, and the cards that are plugged in. A changed document is applied without disturbing what did not change. */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { Network } from '../../src-shared/model/network.ts'
import type { NetworkState, Plug, PortState } from '../../src-shared/threads/network-thread.ts'
import type { Clock } from './clock.ts'
import { MachinePort } from './machine-port.ts'
import { compilePolicy, GATEWAY_ZONE, OTHER_ZONE } from './policy/policy.ts'
import { Switch } from './switch/switch.ts'

/** What a network tells the thread's service. */
export interface NetworkListener {
  /** A port or a forward changed. */
  stateChanged(network: string): void
}

export class LiveNetwork implements Disposable {
  #document: Network
  #clock: Clock
  #listener: NetworkListener
  #switch: Switch
  #ports = new Map<string, MachinePort>()
  /** By machine. */
  #zones = new Map<string, string>()

  constructor(document: Network, clock: Clock, listener: NetworkListener) {
    this.#document = document
    this.#clock = clock
    this.#listener = listener
    this.#switch = new Switch(clock)
    this.#applyPolicy()
  }

  get name(): string {
    return this.#document.name
  }

  update(document: Network): void {
    const before = this.#document
    this.#document = document
    if (!same(before.policy, document.policy)) this.#applyPolicy()
  }

  /** Joins a card; one with the same port is unplugged before. @throws AppError `invalid-input` for a ring that is none */
  plug(plug: Plug): void {
    this.unplug(plug.port)
    this.#ports.set(plug.port, new MachinePort(plug, this.#switch, this.#clock, () => this.#listener.stateChanged(this.name)))
    this.#listener.stateChanged(this.name)
  }

  unplug(port: string): void {
    const plugged = this.#ports.get(port)
    if (!plugged) return
    this.#ports.delete(port)
    plugged.dispose()
    this.#listener.stateChanged(this.name)
  }

  /** @throws AppError `not-found` */
  port(port: string): MachinePort {
    const found = this.#ports.get(port)
    if (!found) throw new AppError('not-found', `Nothing is plugged in as “${port}”.`)
    return found
  }

  get ports(): Iterable<MachinePort> {
    return this.#ports.values()
  }

  state(): NetworkState {
    return { network: this.name, gateway: null, flows: { tcp: 0, udp: 0 }, forwards: {}, problem: null }
  }

  portStates(): PortState[] {
    return [...this.#ports.values()].map((port) => port.state())
  }

  dispose(): void {
    for (const port of this.#ports.values()) port.dispose()
    this.#ports.clear()
    this.#switch.dispose()
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

/** Of two parts of documents. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
