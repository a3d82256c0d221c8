/**
 * Keeps the network thread in line with what runs. Theory of operation: what is to be plugged in follows from the networks' document and the machines that run; what the thread was told is
 * remembered; a pass brings the second in line with the first, one pass at a time, anew as long as something changed meanwhile. The thread is leased while a machine that runs has a card in a
 * network, or somebody uses it. Where it dies, its successor is told everything anew; machines run on meanwhile, for their cards' ends (rings, QEMU's sockets) are not the thread's.
 */
import { isDeepStrictEqual } from 'node:util'
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachineState } from '../../../src-shared/model/machine-state.ts'
import type { Networks } from '../../../src-shared/model/network.ts'
import type { Client } from '../../../src-shared/rpc/service.ts'
import {
  networkThread,
  type Lease,
  type LeaseChange,
  type NetworkAlert,
  type NetworkState,
  type Plug,
  type PortState,
} from '../../../src-shared/threads/network-thread.ts'
import type { Log } from '../log/log.ts'
import type { Machine } from '../machines/machine.ts'
import type { Session } from '../machines/running/session.ts'
import type { Lease as ThreadLease, SharedThread } from '../threads/shared-thread.ts'
import { isJoinedStill, type Bridges } from '../planner/plan-bridge.ts'
import { Cables, placeOf, type Cable } from './cables.ts'
import { portOf } from './network-edits.ts'

/** States in which a machine's cards are plugged in. */
const PLUGGED: readonly MachineState[] = ['running', 'paused', 'suspending', 'stopping']
/** ms after which a thread that died too often is tried again. */
const AGAIN = 60_000

export interface WiringSource {
  networks(): Networks
  /** Bridged networks that QEMU joins. */
  bridges(): Bridges
  /** Those that an engine runs. */
  machines(): Iterable<Machine>
  /** Of all machines with a card, by id. */
  names(): Record<string, string>
  /** For the thread's successor. */
  leases(): Lease[]
}

export type NetworkThreadClient = Client<typeof networkThread>
export interface WiringState {
  networks: ReadonlyMap<string, NetworkState>
  ports: ReadonlyMap<string, PortState>
}

interface Wanted {
  plug: Plug
  session: Session
  cable: Cable
}

interface Link {
  lease: ThreadLease
  service: NetworkThreadClient
  told: Map<string, { plug: Plug; session: Session }>
  configured: object | null
  store: DisposableStore
}

const NOTHING: WiringState = { networks: new Map(), ports: new Map() }

export class NetworkWiring implements Disposable {
  #thread: SharedThread
  #source: WiringSource
  #log: Log
  #link: Link | null = null
  #state = NOTHING
  #problem: AppError | null = null
  #users = 0
  #dirty = false
  #passing: Promise<void> | null = null
  #refreshing: Promise<void> | null = null
  #stale = false
  #again: NodeJS.Timeout | null = null
  #cables = new Cables()
  #disposed = false
  #stateChanged = new Emitter<void>()
  #leasesChanged = new Emitter<LeaseChange[]>()
  #alert = new Emitter<NetworkAlert>()

  readonly onState: Event<void> = this.#stateChanged.event
  readonly onLeases: Event<LeaseChange[]> = this.#leasesChanged.event
  readonly onAlert: Event<NetworkAlert> = this.#alert.event

  constructor(thread: SharedThread, source: WiringSource, log: Log) {
    this.#thread = thread
    this.#source = source
    this.#log = log
  }

  /** As the thread told last; empty where none runs. */
  get state(): WiringState {
    return this.#state
  }

  /** Why there is no thread, though it is needed. */
  get problem(): AppError | null {
    return this.#problem
  }

  /** Something that is plugged in runs. */
  get busy(): boolean {
    return this.#link !== null && this.#link.told.size > 0
  }

  /** The machines or the document changed. */
  update(): void {
    this.#dirty = true
    this.#passing ??= this.#run().finally(() => {
      this.#passing = null
      // What changed after the last pass looked, and before this was known.
      if (this.#dirty && !this.#disposed) this.update()
    })
  }

  /** Resolves when the thread is in line with what is known now. Never rejects. */
  async settled(): Promise<void> {
    while (this.#passing) await this.#passing
  }

  /**
   * Uses the thread, which knows all networks and what is plugged in.
   * @throws AppError what `work` throws; why there is no thread
   */
  async use<T>(work: (service: NetworkThreadClient) => Promise<T>): Promise<T> {
    this.#users++
    try {
      this.update()
      await this.settled()
      const link = this.#link
      if (!link) throw this.#problem ?? new AppError('disconnected', 'Coppice is ending.')
      try {
        return await work(link.service)
      } catch (error) {
        throw link.lease.thread.deathError ?? error
      }
    } finally {
      this.#users--
      this.update()
    }
  }

  /** Asks the thread where one runs, and does not start any. */
  async ask<T>(question: (service: NetworkThreadClient) => Promise<T>): Promise<T | null> {
    const link = this.#link
    if (!link) return null
    try {
      return await question(link.service)
    } catch (error) {
      if (asAppError(error).code === 'disconnected') return null
      throw error
    }
  }

  dispose(): void {
    this.#disposed = true
    if (this.#again) clearTimeout(this.#again)
    this.#cables.dispose()
    this.#drop()
    for (const emitter of [this.#stateChanged, this.#leasesChanged, this.#alert]) emitter.dispose()
  }

  async #run(): Promise<void> {
    while (this.#dirty && !this.#disposed) {
      this.#dirty = false
      try {
        await this.#pass()
      } catch (error) {
        const failure = asAppError(error, 'Joining machines to their networks')
        // Of a thread that died: its death begins another pass.
        if (failure.code !== 'disconnected') this.#log.error('networks', failure.message, { error: failure })
      }
    }
  }

  async #pass(): Promise<void> {
    const wanted = await this.#wanted()
    for (const machine of this.#present()) await this.#holdJoined(machine)
    if (this.#disposed) return
    if (wanted.size === 0 && this.#users === 0) return this.#rest()
    const link = this.#link ?? this.#open()
    if (!link) return
    await this.#configure(link)
    for (const port of [...link.told.keys()]) if (!wanted.has(port)) await this.#unplug(link, port)
    for (const one of wanted.values()) await this.#tell(link, one)
    await this.#refresh(link)
  }

  /** Nobody needs the thread. */
  async #rest(): Promise<void> {
    const link = this.#link
    if (!link) return
    // It lingers for the next user.
    for (const port of [...link.told.keys()]) await this.#unplug(link, port)
    this.#drop()
    this.#stateChanged.fire()
  }

  #open(): Link | null {
    if (this.#again) return null
    try {
      const lease = this.#thread.lease()
      const service = lease.thread.rpc.service(networkThread)
      const store = new DisposableStore()
      const link: Link = { lease, service, told: new Map(), configured: null, store }
      store.add(lease.thread.onDeath(() => this.#onDeath(link)))
      store.add(service.stateChanged(() => void this.#refresh(link).catch(() => {})))
      store.add(service.leasesChanged((changes) => this.#leasesChanged.fire(changes)))
      store.add(service.alert((alert) => this.#alert.fire(alert)))
      store.add(service.logged(({ network, port, message }) => this.#log.info('networks', message, { network, port })))
      this.#link = link
      this.#problem = null
      return link
    } catch (error) {
      const cause = asAppError(error)
      if (cause.code === 'disconnected') return null
      this.#problem = new AppError('crashed', `No machine reaches its network now: ${cause.message}`, {}, cause)
      this.#log.error('networks', this.#problem.message, { error: cause })
      this.#again = setTimeout(() => {
        this.#again = null
        this.update()
      }, AGAIN)
      this.#again.unref()
      this.#stateChanged.fire()
      return null
    }
  }

  #onDeath(link: Link): void {
    if (this.#link !== link) return
    this.#drop()
    this.#stateChanged.fire()
    this.update()
  }

  #drop(): void {
    this.#link?.store.dispose()
    this.#link?.lease.release()
    this.#link = null
    this.#state = NOTHING
  }

  async #configure(link: Link): Promise<void> {
    const { networks, routers } = this.#source.networks()
    const configuration = { networks, routers, names: this.#source.names() }
    if (isDeepStrictEqual(link.configured, configuration)) return
    const isFirst = link.configured === null
    // A network that goes takes its ports with it.
    const there = new Set(networks.map(({ name }) => name))
    for (const [port, { plug }] of link.told) if (!there.has(plug.network)) link.told.delete(port)
    await link.service.configure(configuration)
    link.configured = configuration
    const leases = isFirst ? this.#source.leases().filter(({ network }) => there.has(network)) : []
    if (leases.length > 0) await link.service.restoreLeases({ leases })
  }

  async #unplug(link: Link, port: string): Promise<void> {
    const { session, plug } = link.told.get(port)!
    await link.service.unplug({ port })
    link.told.delete(port)
    this.#cables.left(session, plug.nic)
  }

  async #tell(link: Link, { plug, session, cable }: Wanted): Promise<void> {
    const { port, impairment } = plug
    const before = link.told.get(port)
    try {
      if (before?.session === session && isDeepStrictEqual(joint(before.plug), joint(plug))) {
        if (!isDeepStrictEqual(before.plug, plug)) await link.service.setPort({ port, impairment, cut: plug.cut, private: plug.private })
      } else await link.service.plug(plug)
      link.told.set(port, { plug, session })
      await this.#cables.hold(session, plug.nic, cable)
    } catch (error) {
      const failure = asAppError(error)
      if (failure.code === 'disconnected' || session.end) return
      this.#log.error('networks', `The network card “${plug.nic}” of “${plug.name}” could not be plugged in: ${failure.message}`, {
        error: failure,
      })
    }
  }

  /** By port. */
  async #wanted(): Promise<Map<string, Wanted>> {
    const document = this.#source.networks()
    const places = new Map(document.networks.map((network) => [network.name, placeOf(network)]))
    const found = await Promise.all(this.#present().map((machine) => wantedOf(machine, document, places)))
    return new Map(found.flat().map((one) => [one.plug.port, one]))
  }

  #present(): Machine[] {
    return [...this.#source.machines()].filter(({ state }) => PLUGGED.includes(state))
  }

  /** Of cards that QEMU joined to this computer's network itself, the cable alone is ours. */
  async #holdJoined({ id, session, state, bundle: { config } }: Machine): Promise<void> {
    if (!session || session.end || !config) return
    const document = this.#source.networks()
    const bridges = this.#source.bridges()
    for (const { id: nic, model, bridge } of session.spec?.nics ?? []) {
      if (!bridge) continue
      const network = config.nics.find((one) => one.id === nic)?.network ?? null
      const cut = portOf(document, id, nic).cut || !isJoinedStill(bridge, network, bridges)
      await this.#cables.hold(session, nic, { cut, runs: state !== 'paused', isVirtio: model === 'virtio' }).catch((error: unknown) => {
        if (!session.end)
          this.#log.error('networks', `The cable of “${nic}” of “${config.name}” could not be moved.`, { error: asAppError(error) })
      })
    }
  }

  /** Resolves when the state is known as it was at the call, or later. */
  #refresh(link: Link): Promise<void> {
    this.#stale = true
    return (this.#refreshing ??= this.#ask(link).finally(() => {
      this.#refreshing = null
      if (this.#stale && this.#link) void this.#refresh(this.#link).catch(() => {})
    }))
  }

  async #ask(link: Link): Promise<void> {
    while (this.#stale && this.#link === link) {
      this.#stale = false
      const { networks, ports } = await link.service.state({})
      if (this.#link !== link) return
      this.#state = {
        networks: new Map(networks.map((network) => [network.network, network])),
        ports: new Map(ports.map((port) => [port.port, port])),
      }
      this.#stateChanged.fire()
    }
  }
}

/** @param places of networks that there are, by name */
async function wantedOf(machine: Machine, document: Networks, places: ReadonlyMap<string, string>): Promise<Wanted[]> {
  const { session, bundle } = machine
  const { config } = bundle
  const spec = session?.spec
  if (!session || session.end || !spec || !config) return []
  const nics = config.nics.filter(({ id, network }) => network !== null && places.has(network) && spec.nics.some((one) => one.id === id))
  if (nics.length === 0) return []
  // Of a machine that ends meanwhile nothing is to be plugged in.
  const links = await session.nicLinks().catch(() => null)
  return nics.flatMap(({ id: nic, network }): Wanted[] => {
    const built = spec.nics.find(({ id }) => id === nic)!
    const link = links?.[nic]
    if (!link || network === null) return []
    const { impairment, cut } = portOf(document, machine.id, nic)
    const plug: Plug = {
      ...{ port: portName(machine.id, nic), network, machine: machine.id, name: config.name, nic, mac: built.mac, link },
      ...{ counters: session.counters.buffer, impairment, cut: cut || built.linkUp !== true, private: config.private },
    }
    return [
      { plug, session, cable: { cut, place: places.get(network)!, runs: machine.state !== 'paused', isVirtio: built.model === 'virtio' } },
    ]
  })
}

/** What is the same as long as it need not be plugged in anew. The name is in the configuration, too. */
function joint({ impairment: _, cut: __, private: ___, name: ____, ...plug }: Plug): object {
  return plug
}

/** As the network thread calls a card. */
export function portName(machine: string, nic: string): string {
  return `${machine}/${nic}`
}
