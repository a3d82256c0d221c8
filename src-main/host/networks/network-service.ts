/** The `networks` service: the document of the library's networks, what is plugged into them, and what the network thread knows of it. */
import { isDeepStrictEqual } from 'node:util'
import type { MachineChange, MachineView } from '../../../src-shared/api/machines.ts'
import type { NetworkChange, networks, NetworkView, NicView, PacketsTarget } from '../../../src-shared/api/networks.ts'
import type { TaskStarted } from '../../../src-shared/api/tasks.ts'
import { DisposableStore, type Disposable } from '../../../src-shared/base/disposable.ts'
import { Emitter, type Event } from '../../../src-shared/base/event.ts'
import { AppError, asAppError } from '../../../src-shared/errors/app-error.ts'
import type { MachinePatch } from '../../../src-shared/model/machine.ts'
import { isEditable } from '../../../src-shared/model/machine-state.ts'
import { NO_IMPAIRMENT, type Networks, type PortSettings } from '../../../src-shared/model/network.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import type { NetworkAlert, PortCounters } from '../../../src-shared/threads/network-thread.ts'
import type { Log } from '../log/log.ts'
import type { EngineFinder } from '../machines/engines/engine-finder.ts'
import type { Machine } from '../machines/machine.ts'
import { bridgesOf, hasVmnet, unseen, type Bridge, type Bridges } from '../planner/plan-bridge.ts'
import type { TaskService } from '../tasks/task-service.ts'
import type { SharedThread } from '../threads/shared-thread.ts'
import { subnetsOfComputer } from './choose-subnet.ts'
import { LeasesFile } from './leases-file.ts'
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
import { networkViews, looseNics, routerViews, type NetworkFacts } from './network-views.ts'
import { NetworkWiring, portName } from './network-wiring.ts'
import { noNetwork } from './no-network.ts'
import { Traffic } from './traffic.ts'

/** Alerts that are remembered. */
const MAX_ALERTS = 200

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

/** As the thread calls it, and as people do. */
interface Target {
  target: { port: string } | { network: string }
  words: string
}

/** What networks need of the machines. */
export interface NetworkMachines {
  /** When everything that runs from before is known. */
  all(): Promise<Machine[]>
  active(): Machine[]
  views(): MachineView[]
  find(id: string): Promise<Machine>
  readonly onChanged: Event<MachineChange>
  update(id: string, patch: MachinePatch, signal: AbortSignal): Promise<MachineView>
}

export class NetworkService implements Disposable {
  #parts: NetworkServiceParts
  #file: NetworksFile
  #leases: LeasesFile
  #wiring: NetworkWiring
  #traffic: Traffic
  #alerts: NetworkAlert[] = []
  /** By machine: what of it networks depend on. */
  #seen = new Map<string, string>()
  /** As was told last. */
  #views = new Map<string, NetworkView>()
  #loose: NicView[] = []
  #document: Networks
  #telling = false
  #changed = new Emitter<NetworkChange>()
  #alert = new Emitter<NetworkAlert>()
  #dismissed = new Emitter<{ id: string }>()
  #store = new DisposableStore()

  readonly handlers: Handlers<typeof networks>

  static async open(parts: NetworkServiceParts): Promise<NetworkService> {
    const file = await NetworksFile.open(parts.file, (others) => makeDefault(others, subnetsOfComputer()), parts.log)
    return new NetworkService(parts, file, await LeasesFile.open(parts.leasesFile, parts.log))
  }

  private constructor(parts: NetworkServiceParts, file: NetworksFile, leases: LeasesFile) {
    const { thread, machines, log } = parts
    this.#parts = parts
    this.#file = this.#store.add(file)
    this.#document = file.current
    this.#leases = leases
    const source = {
      networks: () => file.current,
      machines: () => machines.active(),
      names: () => Object.fromEntries(machines.views().flatMap(({ id, name, config }) => (config?.nics.length ? [[id, name]] : []))),
      leases: () => leases.all(),
    }
    this.#wiring = this.#store.add(new NetworkWiring(thread, source, log))
    this.#traffic = this.#store.add(
      new Traffic(
        () => this.#counters(),
        () => this.#wiring.busy,
      ),
    )
    this.#store.add(machines.onChanged((change) => this.#onMachine(change)))
    this.#store.add(parts.engines.onFound(() => this.#tell()))
    this.#store.add(file.onChanged((now) => this.#onDocument(now)))
    this.#store.add(
      this.#wiring.onState(() => {
        this.#traffic.update()
        this.#tell()
        // Machines that were told of these networks find them again.
        if (this.#wiring.busy) void file.keep().catch((error: unknown) => log.error('networks', asAppError(error).message, { error }))
      }),
    )
    this.#store.add(
      this.#wiring.onLeases((changes) => {
        for (const { kind, lease } of changes)
          if (kind === 'put') leases.put(lease)
          else leases.remove(lease.network, lease.mac)
        this.#tell()
      }),
    )
    this.#store.add(this.#wiring.onAlert((alert) => this.#onAlert(alert)))
    for (const emitter of [this.#changed, this.#alert, this.#dismissed]) this.#store.add(emitter)
    const facts = this.#facts()
    for (const view of networkViews(facts)) this.#views.set(view.network.name, view)
    this.#loose = looseNics(facts)
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
      connect: ({ machine, nic, network }, { signal }) => this.#connect(machine, nic, network, signal),
      impair: async ({ target, impairment }) => {
        if ('network' in target)
          await this.#change((now) => withPatch(now, target.network, { impairment: impairment ?? NO_IMPAIRMENT }, computer()))
        else await this.#setPort(target.machine, target.nic, { impairment: impairment ?? NO_IMPAIRMENT })
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
        this.#tell()
      },
      counters: async () => (await this.#counters()) ?? {},
      capture: async (order) => this.#capture(order, await this.#targetOf(order.target)),
      packets: async ({ target, filter, kept }, stream) => this.#packets(await this.#targetOf(target), filter, kept, stream),
      packet: async ({ id }) => {
        const packet = await this.#wiring.ask((service) => service.packet({ id }))
        return packet && { ...packet, bytes: base64(packet.bytes) }
      },
      flow: async ({ id }) => {
        const flow = await this.#wiring.ask((service) => service.flow({ id }))
        return flow && { ...flow, parts: flow.parts.map(({ from, bytes }) => ({ from, bytes: base64(bytes) })) }
      },
      alerts: () => [...this.#alerts].reverse(),
      dismissAlert: ({ id }) => {
        this.#alerts = this.#alerts.filter((alert) => alert.id !== id)
        this.#dismissed.fire({ id })
      },
      changed: this.#changed.event,
      traffic: this.#traffic.sample,
      alert: this.#alert.event,
      alertDismissed: this.#dismissed.event,
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
    const plugged = (await this.#parts.machines.all()).filter(({ bundle }) => bundle.config?.nics.some(({ network }) => network === name))
    if (plugged.length > 0 && !unplug) {
      const names = plugged.map(({ bundle }) => `“${bundle.name}”`).join(', ')
      const text = `The network “${name}” is in use by ${names}. Plug ${plugged.length > 1 ? 'them' : 'it'} in elsewhere first, or have ${plugged.length > 1 ? 'them' : 'it'} unplugged.`
      throw new AppError('wrong-state', text, { subject: name })
    }
    for (const { id, bundle, state, session } of plugged) {
      // The hardware of one that is suspended stays: its card is in a network that is not there.
      if (!session && !isEditable(state)) continue
      const nics = bundle.config!.nics.map((nic) => (nic.network === name ? { ...nic, network: null } : nic))
      await this.#parts.machines.update(id, { nics }, signal)
    }
    await this.#change((now) => withoutNetwork(now, name))
  }

  async #connect(id: string, nicId: string, network: string | null, signal: AbortSignal): Promise<void> {
    if (network !== null && !this.has(network)) throw new AppError('not-found', noNetwork(network), { subject: network })
    const { config } = await this.#nicOf(id, nicId)
    const nics = config.nics.map((nic) => (nic.id === nicId ? { ...nic, network } : nic))
    await this.#parts.machines.update(id, { nics }, signal)
    await this.#wiring.settled()
  }

  async #setPort(machine: string, nic: string, change: Partial<Pick<PortSettings, 'impairment' | 'cut'>>): Promise<void> {
    await this.#nicOf(machine, nic)
    await this.#change((now) => withPort(now, machine, nic, change))
  }

  async #nicOf(id: string, nic: string): Promise<{ machine: Machine; config: NonNullable<Machine['bundle']['config']> }> {
    const machine = await this.#parts.machines.find(id)
    const { config, name, problem } = machine.bundle
    if (!config) throw problem ?? new AppError('corrupt', `“${name}” cannot be read.`)
    if (!config.nics.some((one) => one.id === nic))
      throw new AppError('not-found', `“${name}” has no network card “${nic}”.`, { subject: nic })
    return { machine, config }
  }

  async #targetOf(target: PacketsTarget): Promise<Target> {
    if ('alert' in target) return { target: { port: `alert/${target.alert}` }, words: 'an alert' }
    if ('network' in target) {
      this.#file.get(target.network)
      return { target, words: `“${target.network}”` }
    }
    const { machine, config } = await this.#nicOf(target.machine, target.nic)
    const nic = config.nics.find(({ id }) => id === target.nic)!
    if (nic.network === null)
      throw new AppError('wrong-state', `The network card “${nic.id}” of “${machine.bundle.name}” is plugged in nowhere.`, {
        subject: nic.id,
      })
    const bridge = this.#joined().get(portName(machine.id, nic.id))
    if (bridge) throw new AppError('unsupported', `“${nic.id}” of “${machine.bundle.name}”: ${unseen(bridge.card)}`, { subject: nic.id })
    return { target: { port: portName(machine.id, nic.id) }, words: `“${machine.bundle.name}”` }
  }

  #capture(
    { path, last, duration }: { path: string; last: number | null; duration: number | null },
    { target, words }: Target,
  ): TaskStarted {
    if ((last === null) === (duration === null))
      throw AppError.invalid([{ path: 'last', message: 'Say either how far back the capture reaches, or how long it takes.' }])
    const title = `Capturing packets of ${words}`
    return this.#parts.tasks.start({ kind: 'capture-packets', title, machine: null }, ({ signal, step }) =>
      this.#wiring.use(async (service) => {
        step(last === null ? 'Waiting for packets' : 'Writing packets')
        const { frames, bytes } = await service.capture({ target, path, last, duration }, { signal })
        return { frames, bytes }
      }),
    )
  }

  async #packets({ target }: Target, filter: string, kept: boolean, stream: ByteStream): Promise<void> {
    const { promise: opened, resolve, reject } = Promise.withResolvers<void>()
    // The thread is held for as long as somebody reads.
    void this.#wiring
      .use(async (service) => {
        const { stream: packets } = await service.packets({ target, filter, kept })
        resolve()
        const gone = stream.onClose(() => packets.close())
        if (stream.closed) packets.close()
        try {
          for (let bytes = await packets.read(); bytes; bytes = await packets.read()) await stream.write(bytes)
          stream.close()
        } catch (error) {
          if (!stream.closed) stream.close(asAppError(error, 'Listing packets'))
        } finally {
          gone.dispose()
          packets.close()
        }
      })
      .catch(reject)
    return opened
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
    this.#tell()
  }

  #onDocument(now: Networks): void {
    const before = this.#document
    this.#document = now
    for (const { name } of before.routers)
      if (!now.routers.some((router) => router.name === name)) this.#changed.fire({ kind: 'routerRemoved', name })
    const routersBefore = routerViews({ document: before })
    for (const router of routerViews({ document: now }))
      if (!routersBefore.some((one) => isDeepStrictEqual(one, router))) this.#changed.fire({ kind: 'router', router })
    if (!isDeepStrictEqual(before.map, now.map)) this.#changed.fire({ kind: 'map', map: now.map })
    this.#leases.keepOnly(new Set(now.networks.map(({ name }) => name)))
    this.#wiring.update()
    this.#tell()
  }

  #onAlert(alert: NetworkAlert): void {
    const before = this.#alerts.findIndex(({ id }) => id === alert.id)
    if (before >= 0) this.#alerts.splice(before, 1)
    this.#alerts.push(alert)
    if (this.#alerts.length > MAX_ALERTS) this.#alerts.shift()
    this.#alert.fire(alert)
    // The link of who did it is cut for good, until a person joins it again.
    const [machine, nic] = alert.port?.split('/') ?? []
    if (alert.cut && machine !== undefined && nic !== undefined)
      this.#setPort(machine, nic, { cut: true }).catch((error: unknown) =>
        this.#parts.log.error('networks', 'A link could not be cut.', { error: asAppError(error) }),
      )
  }

  /** By port: cards that QEMU joined itself. */
  #joined(): Map<string, Bridge> {
    const found = new Map<string, Bridge>()
    for (const { id, session } of this.#parts.machines.active())
      for (const { id: nic, bridge } of session?.spec?.nics ?? []) if (bridge) found.set(portName(id, nic), bridge)
    return found
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
        joined: this.#joined(),
      },
    }
  }

  /** Of what changed, once for all that changes at a time. */
  #tell(): void {
    if (this.#telling || this.#store.disposed) return
    this.#telling = true
    setImmediate(() => {
      this.#telling = false
      if (!this.#store.disposed) this.#tellNow()
    })
  }

  #tellNow(): void {
    const facts = this.#facts()
    const now = new Map(networkViews(facts).map((view) => [view.network.name, view]))
    const before = this.#views
    this.#views = now
    const loose = looseNics(facts)
    if (!isDeepStrictEqual(loose, this.#loose)) this.#changed.fire({ kind: 'loose', nics: loose })
    this.#loose = loose
    for (const name of before.keys()) if (!now.has(name)) this.#changed.fire({ kind: 'removed', name })
    for (const [name, network] of now) if (!isDeepStrictEqual(before.get(name), network)) this.#changed.fire({ kind: 'put', network })
  }
}

/** What of a machine networks depend on, as text. */
function dependsOn({ name, state, engine, config, interfaces }: MachineView): string {
  return JSON.stringify([name, state, engine, config?.nics, config?.private, interfaces])
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}
