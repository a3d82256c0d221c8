/** The network thread's work: keeps the networks that it is told of, joins machines' cards to them, and says how they do. */
import type { Disposable } from '../../src-shared/base/disposable.ts'
import { Emitter } from '../../src-shared/base/event.ts'
import { AppError } from '../../src-shared/errors/app-error.ts'
import type { Handlers } from '../../src-shared/rpc/service.ts'
import type { Lease, NetworkAlert, networkThread, Plug } from '../../src-shared/threads/network-thread.ts'
import { REAL_CLOCK, type Clock } from './clock.ts'
import type { MachinePort } from './machine-port.ts'
import { LiveNetwork } from './network.ts'

export class NetworkService implements Disposable {
  #clock: Clock
  #networks = new Map<string, LiveNetwork>()
  /** In which network each port is. */
  #where = new Map<string, LiveNetwork>()
  #stateChanged = new Emitter<{ network: string }>()
  #leaseChanged = new Emitter<{ kind: 'put' | 'removed'; lease: Lease }>()
  #alert = new Emitter<NetworkAlert>()
  #logged = new Emitter<{ network: string; port: string | null; message: string }>()

  constructor(clock: Clock = REAL_CLOCK) {
    this.#clock = clock
  }

  readonly handlers: Handlers<typeof networkThread> = {
    configure: ({ networks }) => {
      const names = new Set(networks.map(({ name }) => name))
      for (const network of this.#networks.values()) if (!names.has(network.name)) this.#remove(network)
      for (const document of networks) {
        const network = this.#networks.get(document.name)
        if (network) network.update(document)
        else
          this.#networks.set(
            document.name,
            new LiveNetwork(document, this.#clock, { stateChanged: (network) => this.#stateChanged.fire({ network }) }),
          )
      }
    },
    restoreLeases: notThere,
    plug: (plug) => this.#plug(plug),
    unplug: ({ port }) => this.#unplug(port),
    setPort: ({ port, ...settings }) => this.#port(port).set(settings),
    closeFlows: notThere,
    releaseLease: notThere,
    state: () => {
      const networks = [...this.#networks.values()]
      return { networks: networks.map((network) => network.state()), ports: networks.flatMap((network) => network.portStates()) }
    },
    leases: notThere,
    capture: notThere,
    packets: notThere,
    packet: notThere,
    flow: notThere,
    leaseChanged: this.#leaseChanged.event,
    stateChanged: this.#stateChanged.event,
    alert: this.#alert.event,
    logged: this.#logged.event,
  }

  dispose(): void {
    for (const network of this.#networks.values()) network.dispose()
    for (const emitter of [this.#stateChanged, this.#leaseChanged, this.#alert, this.#logged]) emitter.dispose()
  }

  #plug(plug: Plug): void {
    const network = this.#networks.get(plug.network)
    if (!network) throw new AppError('not-found', `There is no network “${plug.network}”.`)
    this.#unplug(plug.port)
    network.plug(plug)
    this.#where.set(plug.port, network)
  }

  #unplug(port: string): void {
    this.#where.get(port)?.unplug(port)
    this.#where.delete(port)
  }

  #port(port: string): MachinePort {
    const network = this.#where.get(port)
    if (!network) throw new AppError('not-found', `Nothing is plugged in as “${port}”.`)
    return network.port(port)
  }

  #remove(network: LiveNetwork): void {
    for (const [port, where] of this.#where) if (where === network) this.#where.delete(port)
    this.#networks.delete(network.name)
    network.dispose()
  }
}

function notThere(): never {
  throw new AppError('unavailable', 'This version of the network thread cannot do that yet.')
}
