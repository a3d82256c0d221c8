/** The `networks` service: the document of the library's networks, what is plugged into them, and what the network thread knows of it. */
import type { MachineChange, MachineView } from '../../../src-shared/api/machines.ts'
import type { networks, NetworkView } from '../../../src-shared/api/networks.ts'
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import { NO_IMPAIRMENT, type Networks, type PortSettings } from '../../../src-shared/model/network.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import type { NetworkAlert, PortCounters } from '../../../src-shared/threads/network-thread.ts'
import type { Log } from '../log/log.ts'
import type { EngineFinder } from '../machines/engines/engine-finder.ts'
import { bridgesOf, hasVmnet, type Bridges } from '../planner/plan-bridge.ts'
import type { TaskService } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { AlertList } from './alert-list.ts'
import { subnetsOfComputer } from './choose-subnet.ts'
import { LeasesFile } from './leases-file.ts'
import { MachinePlugs, type NetworkMachines } from './machine-plugs.ts'
import {
  makeDefault,
  withForward,
  withNetwork,
  withoutForward,
  withoutNetwork,
  withoutRouter,
  withPatch,
  withPort,
  withRouter,
} from './network-edits.ts'
import { NetworksFile } from './networks-file.ts'
import { NetworkTeller } from './network-teller.ts'
import { networkViews, looseNics, routerViews, type NetworkFacts } from './network-views.ts'
import { NetworkWiring } from './network-wiring.ts'
import { noNetwork } from './no-network.ts'
import { PacketRequests } from './packet-requests.ts'
import { Traffic } from './traffic.ts'

export interface NetworkServiceParts {
  /** Absolute. */
  file: string
  leasesFile: string
  thread: SharedThread
  tasks: TaskService
  log: Log
  machines: NetworkMachines
  engines: Pick<EngineFinder, 'current' | 'onFound'>
}

export class NetworkService implements Disposable {
  #parts: NetworkServiceParts
  #file: NetworksFile
  #leases: LeasesFile
  #wiring: NetworkWiring
  #traffic: Traffic
  #plugs: MachinePlugs
  #packets: PacketRequests
  #alerts: AlertList
  #teller: NetworkTeller
  /** By machine: what of it networks depend on. */
  #seen = new Map<string, string>()
  #store = new DisposableStore()

  readonly handlers: Handlers<typeof networks>

  static async open(parts: NetworkServiceParts): Promise<NetworkService> {
    const file = await NetworksFile.open(parts.file, (others) => makeDefault(others, subnetsOfComputer()), parts.log)
    return new NetworkService(parts, file, await LeasesFile.open(parts.leasesFile, parts.log))
  }

  private constructor(parts: NetworkServiceParts, file: NetworksFile, leases: LeasesFile) {
    const { thread, machines, tasks, log } = parts
    this.#parts = parts
    this.#file = this.#store.add(file)
    this.#leases = leases
    const source = {
      networks: () => file.current,
      bridges: () => this.bridges,
      machines: () => machines.active(),
      names: () => Object.fromEntries(machines.views().flatMap(({ id, name, config }) => (config?.nics.length ? [[id, name]] : []))),
      leases: () => leases.all(),
    }
    this.#wiring = this.#store.add(new NetworkWiring(thread, source, log))
    this.#plugs = new MachinePlugs(machines)
    this.#packets = new PacketRequests({ wiring: this.#wiring, file, plugs: this.#plugs, tasks })
    this.#alerts = this.#store.add(new AlertList())
    this.#teller = this.#store.add(new NetworkTeller(() => this.#facts()))
    this.#traffic = this.#store.add(
      new Traffic(
        () => this.#counters(),
        () => this.#wiring.busy,
      ),
    )
    this.#store.add(machines.onChanged((change) => this.#onMachine(change)))
    this.#store.add(parts.engines.onFound(() => this.#teller.tell()))
    this.#store.add(file.onChanged((now) => this.#onDocument(now)))
    this.#store.add(
      this.#wiring.onState(() => {
        this.#traffic.update()
        this.#teller.tell()
        // Machines that were told of these networks find them again.
        if (this.#wiring.busy) void file.keep().catch((error: unknown) => log.error('networks', asAppError(error).message, { error }))
      }),
    )
    this.#store.add(
      this.#wiring.onLeases((changes) => {
        for (const { kind, lease } of changes)
          if (kind === 'put') leases.put(lease)
          else leases.remove(lease.network, lease.mac)
        this.#teller.tell()
      }),
    )
    this.#store.add(this.#wiring.onAlert((alert) => this.#onAlert(alert)))
    this.handlers = this.#makeHandlers()
  }

  #makeHandlers(): Handlers<typeof networks> {
    const computer = subnetsOfComputer
    return {
      list: async () => {
        await this.#parts.machines.all()
        const facts = this.#facts()
        return {
          networks: networkViews(facts),
          routers: routerViews(facts),
          loose: looseNics(facts),
          map: facts.document.map,
          problem: this.#file.problem?.toWire() ?? null,
        }
      },
      get: async ({ name }) => {
        await this.#parts.machines.all()
        return this.#view(name)
      },
      create: async (wish) => {
        await this.#change((now) => withNetwork(now, wish, computer()))
        return this.#view(wish.name)
      },
      update: async ({ name, patch }) => {
        await this.#change((now) => withPatch(now, name, patch, computer()))
        return this.#view(name)
      },
      remove: ({ name, unplug }, { signal }) => this.#remove(name, unplug, signal),
      addForward: async ({ name, forward }) => {
        if (!forward.guest.match(/[.:]/)) await this.#parts.machines.find(forward.guest)
        await this.#change((now) => withForward(now, name, forward))
        return this.#view(name)
      },
      removeForward: async ({ name, id }) => {
        await this.#change((now) => withoutForward(now, name, id))
        return this.#view(name)
      },
      putRouter: async (router) => {
        const now = await this.#change((before) => withRouter(before, router))
        return routerViews({ document: now }).find((view) => view.router.name === router.name)!
      },
      removeRouter: async ({ name }) => void (await this.#change((now) => withoutRouter(now, name))),
      connect: async ({ machine, nic, network }, { signal }) => {
        if (network !== null && !this.has(network)) throw new AppError('not-found', noNetwork(network), { subject: network })
        await this.#plugs.connect(machine, nic, network, signal)
        await this.#wiring.settled()
      },
      impair: async ({ target, impairment }) => {
        if ('network' in target)
          await this.#change((now) => withPatch(now, target.network, { impairment: impairment ?? NO_IMPAIRMENT }, computer()))
        else {
          if (impairment !== null) this.#plugs.refuseJoined(await this.#plugs.find(target.machine, target.nic))
          await this.#setPort(target.machine, target.nic, { impairment: impairment ?? NO_IMPAIRMENT })
        }
      },
      cut: ({ machine, nic, cut }) => this.#setPort(machine, nic, { cut }),
      place: async ({ key, x, y }) => void (await this.#change((now) => ({ ...now, map: { ...now.map, [key]: { x, y } } }))),
      unplace: async ({ keys }) => {
        const gone = new Set(keys)
        await this.#change((now) => ({ ...now, map: Object.fromEntries(Object.entries(now.map).filter(([key]) => !gone.has(key))) }))
      },
      leases: ({ name }) => {
        this.#file.get(name)
        return this.#leases.lasting(name)
      },
      releaseLease: async ({ name, mac }) => {
        this.#file.get(name)
        await this.#wiring.ask((service) => service.releaseLease({ network: name, mac }))
        this.#leases.remove(name, mac)
        this.#teller.tell()
      },
      counters: async () => (await this.#counters()) ?? {},
      capture: (order) => this.#packets.capture(order),
      packets: ({ target, filter, kept }, stream) => this.#packets.list(target, filter, kept, stream),
      packet: ({ id }) => this.#packets.packet(id),
      flow: ({ id }) => this.#packets.flow(id),
      alerts: () => this.#alerts.all(),
      dismissAlert: ({ id }) => this.#alerts.dismiss(id),
      changed: this.#teller.onChanged,
      traffic: this.#traffic.sample,
      alert: this.#alerts.onAlert,
      alertDismissed: this.#alerts.onDismissed,
    }
  }

  /** What was wrong with the file of the networks, and what became of it; null: nothing. */
  get problem(): AppError | null {
    return this.#file.problem
  }

  has(name: string): boolean {
    return this.#file.current.networks.some((network) => network.name === name)
  }

  /** For those who plan machines. */
  get bridges(): Bridges {
    return bridgesOf(this.#file.current.networks, process.platform)
  }

  /** Resolves when the thread is in line with what is known now. Never rejects. */
  settled(): Promise<void> {
    return this.#wiring.settled()
  }

  /** Resolves when everything that was learned is kept. */
  async close(): Promise<void> {
    this.dispose()
    await this.#leases.close()
  }

  dispose(): void {
    this.#store.dispose()
  }

  #view(name: string): NetworkView {
    const found = networkViews(this.#facts()).find(({ network }) => network.name === name)
    if (!found) throw new AppError('not-found', noNetwork(name), { subject: name })
    return found
  }

  /** In force when it resolves. */
  async #change(edit: (now: Networks) => Networks): Promise<Networks> {
    const now = await this.#file.change(edit)
    await this.#wiring.settled()
    return now
  }

  async #remove(name: string, unplug: boolean, signal: AbortSignal): Promise<void> {
    // What may not go says so before anything is plugged out.
    withoutNetwork(this.#file.current, name)
    await this.#plugs.clear(name, unplug, signal)
    await this.#change((now) => withoutNetwork(now, name))
  }

  async #setPort(machine: string, nic: string, change: Partial<Pick<PortSettings, 'impairment' | 'cut'>>): Promise<void> {
    await this.#plugs.find(machine, nic)
    const there = new Set(this.#parts.machines.views().map(({ id }) => id))
    await this.#change((now) => withPort(now, { machine, nic, ...change }, (id) => there.has(id)))
  }

  async #counters(): Promise<Record<string, PortCounters> | null> {
    const state = await this.#wiring.ask((service) => service.state({}))
    if (!state) return null
    const gateways = state.networks.flatMap(({ network, gateway }) => (gateway ? [[network, gateway] as const] : []))
    return Object.fromEntries([
      ...gateways,
      ...state.ports.map(
        ({ port, framesOut, bytesOut, framesIn, bytesIn, dropped, lost, denied }) =>
          [port, { framesOut, bytesOut, framesIn, bytesIn, dropped, lost, denied }] as const,
      ),
    ])
  }

  #onMachine(change: MachineChange): void {
    const id = change.kind === 'put' ? change.machine.id : change.id
    const seen = change.kind === 'put' ? dependsOn(change.machine) : undefined
    if (this.#seen.get(id) === seen) return
    if (change.kind === 'put' && change.machine.state === 'suspending')
      void this.#wiring.ask((service) => service.closeFlows({ machine: id })).catch(() => {})
    if (seen === undefined) this.#seen.delete(id)
    else this.#seen.set(id, seen)
    this.#wiring.update()
    this.#teller.tell()
  }

  #onDocument(now: Networks): void {
    this.#leases.keepOnly(new Set(now.networks.map(({ name }) => name)))
    this.#wiring.update()
    this.#teller.tellDocument(now)
  }

  #onAlert(alert: NetworkAlert): void {
    this.#alerts.add(alert)
    // The link of who did it is cut for good, until a person joins it again.
    const [machine, nic] = alert.port?.split('/') ?? []
    if (alert.cut && machine !== undefined && nic !== undefined)
      this.#setPort(machine, nic, { cut: true }).catch((error: unknown) =>
        this.#parts.log.error('networks', 'A link could not be cut.', { error: asAppError(error) }),
      )
  }

  #facts(): NetworkFacts {
    const { networks, ports } = this.#wiring.state
    return {
      ...{ document: this.#file.current, machines: this.#parts.machines.views(), networks, ports },
      ...{
        leases: this.#leases.all(),
        problem: this.#wiring.problem,
        computer: subnetsOfComputer(),
        platform: process.platform,
        now: Date.now(),
        vmnet: hasVmnet(this.#parts.engines.current.qemu),
        joined: this.#plugs.joined(),
      },
    }
  }
}

/** What of a machine networks depend on, as text. */
function dependsOn({ name, state, engine, config, interfaces }: MachineView): string {
  return JSON.stringify([name, state, engine, config?.nics, config?.private, interfaces])
}
