/** The network thread's work: keeps the networks that it is told of, joins machines' cards to them, and says how they do. */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../src-shared/errors/app-error.ts'
import type { Network } from '../../src-shared/model/network.ts'
import type { Handlers } from '../../src-shared/rpc/service.ts'
import type { NetworkAlert, networkThread, Plug } from '../../src-shared/threads/network-thread.ts'
import { REAL_CLOCK, type Clock } from './clock.ts'
import { Captures } from './capture/captures.ts'
import { LeaseChanges } from './lease-changes.ts'
import { LiveNetwork, type NetworkListener, type NetworkPlace } from './network.ts'
import { PrivateTraffic } from './private-traffic.ts'
import { planRoutes } from './routers/plan-routes.ts'
import { routerPort } from './routers/router.ts'
import { Routers } from './routers/routers.ts'

export class NetworkService implements Disposable {
  #tapThread: URL
  #clock: Clock
  #captures = new Captures()
  #privates = new PrivateTraffic()
  #routers: Routers
  #networks = new Map<string, LiveNetwork>()
  /** In which network each port is. */
  #where = new Map<string, LiveNetwork>()
  #stateChanged = new Emitter<{ network: string }>()
  #leaseChanges: LeaseChanges
  #alert = new Emitter<NetworkAlert>()
  #logged = new Emitter<{ network: string; port: string | null; message: string }>()

  /** @param tapThread the entry of the thread that reads TAP devices */
  constructor(tapThread: URL, clock: Clock = REAL_CLOCK) {
    this.#tapThread = tapThread
    this.#clock = clock
    this.#leaseChanges = new LeaseChanges(clock)
    this.#routers = new Routers({ clock, warn: (message) => console.error(message) })
  }

  readonly handlers: Handlers<typeof networkThread> = {
    configure: ({ networks, routers, names }) => {
      const plan = planRoutes(networks, routers)
      const there = new Set(networks.map(({ name }) => name))
      for (const document of networks) {
        const routers = plan.routers.flatMap(({ name, interfaces }) =>
          interfaces.flatMap(({ network, mac }) =>
            network === document.name ? [{ id: routerPort(name), name: `router ${name}`, mac }] : [],
          ),
        )
        const place = { names, routes: plan.networks.get(document.name)!, routers }
        const network = this.#networks.get(document.name)
        if (network) network.update(document, place)
        else this.#add(document, place)
      }
      this.#routers.configure(plan.routers, (name) => this.#networks.get(name)!.board)
      for (const network of this.#networks.values())
        if (there.has(network.name)) network.ownPortsChanged()
        else this.#remove(network)
    },
    restoreLeases: ({ leases }) => {
      const known = Map.groupBy(leases, ({ network }) => network)
      for (const [name, network] of this.#networks) network.restoreLeases(known.get(name) ?? [])
    },
    plug: (plug) => this.#plug(plug),
    unplug: ({ port }) => this.#unplug(port),
    setPort: ({ port, ...settings }) => {
      const network = this.#where.get(port)
      if (!network) throw new AppError('not-found', `Nothing is plugged in as “${port}”.`)
      network.setPort(port, settings)
    },
    closeFlows: ({ machine }) => {
      for (const network of this.#networks.values()) network.closeFlows(machine)
    },
    releaseLease: ({ network, mac }) => this.#network(network).releaseLease(mac),
    state: () => {
      const networks = [...this.#networks.values()]
      return { networks: networks.map((network) => network.state()), ports: networks.flatMap((network) => network.portStates()) }
    },
    leases: ({ network }) => this.#network(network).leases(),
    capture: ({ target, id, ...order }, { signal }) => this.#captures.save(target, order, signal, id),
    endCapture: ({ id }) => this.#captures.end(id),
    packets: ({ target, filter, kept }, stream, { signal }) => {
      void this.#captures.watch(target, filter, kept, stream, signal).catch((error: unknown) => stream.close(asAppError(error)))
    },
    packet: ({ id }) => this.#captures.packet(id),
    flow: ({ id }) => this.#captures.flow(id),
    leasesChanged: (listener) => this.#leaseChanges.event(listener),
    stateChanged: this.#stateChanged.event,
    alert: this.#alert.event,
    logged: this.#logged.event,
  }

  dispose(): void {
    this.#routers.dispose()
    for (const network of this.#networks.values()) network.dispose()
    for (const emitter of [this.#stateChanged, this.#leaseChanges, this.#alert, this.#logged]) emitter.dispose()
  }

  #add(document: Network, place: NetworkPlace): void {
    const listener: NetworkListener = {
      stateChanged: () => this.#stateChanged.fire({ network: document.name }),
      leaseChanged: (change) => this.#leaseChanges.add(change),
      alert: (alert) => this.#alert.fire(alert),
      logged: (port, message) => this.#logged.fire({ network: document.name, port, message }),
    }
    const parts = { clock: this.#clock, captures: this.#captures, privates: this.#privates, tapThread: this.#tapThread, listener }
    this.#networks.set(document.name, new LiveNetwork(document, place, parts))
  }

  /** @throws AppError `not-found` */
  #network(name: string): LiveNetwork {
    const network = this.#networks.get(name)
    if (!network) throw new AppError('not-found', `There is no network “${name}”.`)
    return network
  }

  #plug(plug: Plug): void {
    const network = this.#network(plug.network)
    this.#unplug(plug.port)
    network.plug(plug)
    this.#where.set(plug.port, network)
  }

  #unplug(port: string): void {
    this.#where.get(port)?.unplug(port)
    this.#where.delete(port)
  }

  #remove(network: LiveNetwork): void {
    for (const [port, where] of this.#where) if (where === network) this.#where.delete(port)
    this.#networks.delete(network.name)
    network.dispose()
  }
}
