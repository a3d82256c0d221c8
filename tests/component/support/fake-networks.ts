/** Networks without a thread: what is asked for is noted, and shown as the host would show it. */
import { AppError } from '../../../src-shared/errors/app-error.ts'
import { Emitter } from '../../../src-shared/base/event.ts'
import { newId } from '../../../src-shared/base/ids.ts'
import { utf8 } from '../../../src-shared/base/bytes.ts'
import type { networks } from '../../../src-shared/api/index.ts'
import type {
  FlowView,
  Lease,
  NetworkAlert,
  NetworkChange,
  NetworkView,
  NicView,
  RouterView,
  TrafficSample,
} from '../../../src-shared/api/networks.ts'
import { domainOf, gatewayOf, networkSchema, NO_IMPAIRMENT, type Network } from '../../../src-shared/model/network.ts'
import type { PacketSummary } from '../../../src-shared/model/packet.ts'
import type { ByteStream } from '../../../src-shared/rpc/byte-stream.ts'
import type { Handlers } from '../../../src-shared/rpc/service.ts'
import type { z } from 'zod'

export class FakeNetworks {
  readonly documents = new Map<string, Network>()
  readonly routers = new Map<string, RouterView>()
  nics: NicView[] = []
  leases: Lease[] = []
  alerts: NetworkAlert[] = []
  map: Record<string, { x: number; y: number }> = {}
  packets: PacketSummary[] = []
  flow: FlowView | null = null
  /** What is refused, and why; stays until it is taken out. */
  readonly refusals = new Map<string, AppError>()
  /** What was asked for, in order. */
  readonly asked: [string, unknown][] = []
  readonly changed = new Emitter<NetworkChange>()
  readonly traffic = new Emitter<Record<string, TrafficSample>>()
  readonly alert = new Emitter<NetworkAlert>()
  readonly alertDismissed = new Emitter<{ id: string }>()

  /** The last list that was asked for. */
  #stream: ByteStream | null = null

  constructor() {
    this.add({ name: 'default', ipv4: '10.0.2.0/24', ipv6: 'fd00:2::/64' })
  }

  add(network: z.input<typeof networkSchema>): void {
    this.documents.set(network.name, networkSchema.parse(network))
  }

  plug(nic: Partial<NicView> & { machine: string; name: string }): void {
    const plain: Omit<NicView, 'machine' | 'name'> = {
      ...{ nic: 'nic0', mac: '52:54:00:12:34:56', network: 'default', connected: true, cut: false },
      ...{ impairment: NO_IMPAIRMENT, addresses: ['10.0.2.15'] },
    }
    this.nics.push({ ...plain, ...nic })
  }

  view(name: string): NetworkView {
    const network = this.documents.get(name)
    if (!network) throw new AppError('not-found', `There is no network “${name}”.`)
    const has = network.kind === 'nat' || network.kind === 'host-only'
    return {
      network,
      gateway: has
        ? { ipv4: network.ipv4 && gatewayOf(network.ipv4), ipv6: network.ipv6 && gatewayOf(network.ipv6), mac: '52:55:00:00:00:01' }
        : null,
      domain: domainOf(network),
      nics: this.nics.filter((nic) => nic.network === name),
      forwards: Object.fromEntries(network.forwards.map(({ id }) => [id, { state: 'listening' as const, problem: null }])),
      problem: null,
    }
  }

  readonly handlers: Handlers<typeof networks> = {
    list: () => ({
      networks: [...this.documents.keys()].map((name) => this.view(name)),
      routers: [...this.routers.values()],
      loose: this.nics.filter(({ network }) => network === null),
      map: this.map,
      problem: null,
    }),
    get: ({ name }) => this.view(name),
    create: (network) => {
      this.#ask('create', network)
      if (this.documents.has(network.name))
        throw new AppError('already-exists', 'There is one already.', {
          fields: [{ path: 'name', message: `There is a network “${network.name}” already.` }],
        })
      this.add({ ...network, ipv4: network.ipv4 ?? (network.kind === 'segment' ? null : '10.0.3.0/24'), ipv6: network.ipv6 ?? null })
      return this.#put(network.name)
    },
    update: ({ name, patch }) => {
      this.#ask('update', { name, patch })
      this.documents.set(name, networkSchema.parse({ ...this.documents.get(name), ...patch }))
      return this.#put(name)
    },
    remove: (request) => {
      this.#ask('remove', request)
      this.documents.delete(request.name)
      this.nics = this.nics.map((nic) => (nic.network === request.name ? { ...nic, network: null } : nic))
      this.changed.fire({ kind: 'removed', name: request.name })
      this.#tellLoose()
    },
    addForward: ({ name, forward }) => {
      this.#ask('addForward', { name, forward })
      const network = this.documents.get(name)!
      this.documents.set(name, { ...network, forwards: [...network.forwards, { ...forward, id: newId() }] })
      return this.#put(name)
    },
    removeForward: ({ name, id }) => {
      this.#ask('removeForward', { name, id })
      const network = this.documents.get(name)!
      this.documents.set(name, { ...network, forwards: network.forwards.filter((forward) => forward.id !== id) })
      return this.#put(name)
    },
    putRouter: (router) => {
      this.#ask('putRouter', router)
      const view = { router, problem: null }
      this.routers.set(router.name, view)
      this.changed.fire({ kind: 'router', router: view })
      return view
    },
    removeRouter: ({ name }) => {
      this.#ask('removeRouter', name)
      this.routers.delete(name)
      this.changed.fire({ kind: 'routerRemoved', name })
    },
    connect: ({ machine, nic, network }) => {
      this.#ask('connect', { machine, nic, network })
      const before = this.nics.find((one) => one.machine === machine && one.nic === nic)?.network ?? null
      this.#change(machine, nic, { network })
      if (before !== null) this.#put(before)
    },
    impair: ({ target, impairment }) => {
      this.#ask('impair', { target, impairment })
      if ('network' in target) {
        this.documents.set(target.network, { ...this.documents.get(target.network)!, impairment: impairment ?? NO_IMPAIRMENT })
        this.#put(target.network)
      } else this.#change(target.machine, target.nic, { impairment: impairment ?? NO_IMPAIRMENT })
    },
    cut: ({ machine, nic, cut }) => {
      this.#ask('cut', { machine, nic, cut })
      this.#change(machine, nic, { cut })
    },
    place: (place) => {
      this.#ask('place', place)
      this.map = { ...this.map, [place.key]: { x: place.x, y: place.y } }
      this.changed.fire({ kind: 'map', map: this.map })
    },
    unplace: (places) => {
      this.#ask('unplace', places)
      this.map = Object.fromEntries(Object.entries(this.map).filter(([key]) => !places.keys.includes(key)))
      this.changed.fire({ kind: 'map', map: this.map })
    },
    leases: () => this.leases,
    releaseLease: ({ mac }) => {
      this.leases = this.leases.filter((lease) => lease.mac !== mac)
    },
    counters: () => ({}),
    capture: (request) => {
      this.#ask('capture', request)
      return { task: newId() }
    },
    packets: (request, stream) => {
      this.#ask('packets', request)
      this.#stream = stream
      void this.#tell(this.packets)
    },
    packet: ({ id }) => {
      const found = this.packets.find((packet) => packet.id === id)
      const layers = [
        { name: 'Ethernet', offset: 0, length: 14, fields: [{ name: 'Source', value: '52:54:00:12:34:56' }] },
        { name: 'TCP', offset: 14, length: 6, fields: [{ name: 'Destination port', value: '80' }] },
      ]
      return found ? { ...found, layers, bytes: btoa(String.fromCharCode(...Array.from({ length: 20 }, (_, at) => at + 60))) } : null
    },
    flow: () => this.flow,
    alerts: () => this.alerts,
    dismissAlert: ({ id }) => {
      this.alerts = this.alerts.filter((alert) => alert.id !== id)
      this.alertDismissed.fire({ id })
    },
    changed: this.changed.event,
    traffic: this.traffic.event,
    alert: this.alert.event,
    alertDismissed: this.alertDismissed.event,
  }

  /** Packets that pass now. */
  async pass(...packets: PacketSummary[]): Promise<void> {
    this.packets.push(...packets)
    await this.#tell(packets)
  }

  /** As when the thread of the networks ends. */
  endPackets(): void {
    this.#stream?.close()
  }

  async #tell(packets: readonly PacketSummary[]): Promise<void> {
    const lines = packets.map((packet) => `${JSON.stringify(packet)}\n`).join('')
    await this.#stream?.write(utf8(lines)).catch(() => {})
  }

  #ask(name: string, what: unknown): void {
    this.asked.push([name, what])
    const refusal = this.refusals.get(name)
    if (refusal) throw refusal
  }

  #put(name: string): NetworkView {
    const network = this.view(name)
    this.changed.fire({ kind: 'put', network })
    return network
  }

  #change(machine: string, nic: string, patch: Partial<NicView>): void {
    this.nics = this.nics.map((one) => (one.machine === machine && one.nic === nic ? { ...one, ...patch } : one))
    const now = this.nics.find((one) => one.machine === machine && one.nic === nic)
    if (now?.network) this.#put(now.network)
    this.#tellLoose()
  }

  #tellLoose(): void {
    this.changed.fire({ kind: 'loose', nics: this.nics.filter(({ network }) => network === null) })
  }
}
