/** The networks, kept by `networks.changed`; alerts; and, while somebody looks, what flows in them. */
import { SvelteMap } from 'svelte/reactivity'
import type { NetworkAlert, NetworkChange, NetworkView, NicView, RouterView, TrafficSample } from '../../src-shared/api/networks.ts'
import { DisposableStore, type Disposable } from '../../src-shared/base/disposable.ts'
import { asAppError, type WireError } from '../../src-shared/errors/app-error.ts'
import { DEFAULT_NETWORK } from '../../src-shared/model/network.ts'
import type { Host } from '../client/host.ts'
import { compareNames } from './names.ts'

/** Of a plug where nothing flows. */
export const STILL: TrafficSample = { outBytes: 0, inBytes: 0, outFrames: 0, inFrames: 0, lost: 0, denied: 0, dropped: 0 }

/** Figures come each second while something flows; who hears nothing for longer knows of nothing that does. */
const STALE_MS = 2500

export class Networks implements Disposable {
  #host: Host
  #store = new DisposableStore()
  #networks = new SvelteMap<string, NetworkView>()
  #routers = new SvelteMap<string, RouterView>()
  #traffic = $state.raw<Record<string, TrafficSample>>({})
  /** Who looks at the traffic. */
  #watchers = 0
  #watching: Disposable | null = null
  #stale: ReturnType<typeof setTimeout> | undefined

  loaded = $state(false)
  loadError = $state.raw<WireError | null>(null)
  /** What was wrong with the file of the networks. */
  problem = $state.raw<WireError | null>(null)
  loose = $state.raw<NicView[]>([])
  /** Where things stand on the map, by `network/<name>`, `router/<name>`, `machine/<id>`. */
  map = $state.raw<Record<string, { x: number; y: number }>>({})
  /** The newest first. */
  alerts = $state.raw<NetworkAlert[]>([])

  /** The one that is always there first. */
  readonly all = $derived(
    [...this.#networks.values()].sort(
      (a, b) =>
        Number(b.network.name === DEFAULT_NETWORK) - Number(a.network.name === DEFAULT_NETWORK) ||
        compareNames(a.network.name, b.network.name),
    ),
  )
  readonly routers = $derived([...this.#routers.values()].sort((a, b) => compareNames(a.router.name, b.router.name)))
  /** By machine and card, each once: one that is plugged in elsewhere is told of by its old place and its new one, in either order. */
  readonly nics: NicView[] = $derived(
    [...new Map([...this.loose, ...this.all.flatMap(({ nics }) => nics)].map((nic) => [`${nic.machine}/${nic.nic}`, nic])).values()].sort(
      (a, b) => compareNames(a.name, b.name) || compareNames(`${a.machine}/${a.nic}`, `${b.machine}/${b.nic}`),
    ),
  )

  constructor(host: Host) {
    this.#host = host
    this.#store.add(host.networks.changed((change) => this.apply(change)))
    this.#store.add(host.networks.alert((alert) => this.#alert(alert)))
    this.#store.add(host.networks.alertDismissed(({ id }) => (this.alerts = this.alerts.filter((alert) => alert.id !== id))))
  }

  get(name: string): NetworkView | undefined {
    return this.#networks.get(name)
  }

  router(name: string): RouterView | undefined {
    return this.#routers.get(name)
  }

  nic(machine: string, nic: string): NicView | undefined {
    return this.nics.find((one) => one.machine === machine && one.nic === nic)
  }

  /** Per second, of `machine/nic` or of a network's gateway; zeroes where nothing flows. */
  traffic(port: string): TrafficSample {
    return this.#traffic[port] ?? STILL
  }

  /** Reads everything: at the start and after a lost connection. */
  async load(): Promise<void> {
    try {
      const [list, alerts] = await Promise.all([this.#host.networks.list({}), this.#host.networks.alerts({})])
      for (const name of this.#networks.keys()) if (!list.networks.some(({ network }) => network.name === name)) this.#networks.delete(name)
      for (const view of list.networks) this.#networks.set(view.network.name, view)
      for (const name of this.#routers.keys()) if (!list.routers.some(({ router }) => router.name === name)) this.#routers.delete(name)
      for (const view of list.routers) this.#routers.set(view.router.name, view)
      this.loose = list.loose
      this.map = list.map
      this.problem = list.problem
      this.alerts = alerts
      this.loadError = null
      this.loaded = true
    } catch (error) {
      this.loadError = asAppError(error, 'Reading the networks').toWire()
    }
  }

  /** Listens to the traffic while the page can be seen. @returns stops listening */
  watchTraffic(): () => void {
    this.#watchers++
    this.#watch()
    document.addEventListener('visibilitychange', this.#watch)
    let over = false
    return () => {
      if (over) return
      over = true
      if (--this.#watchers > 0) return
      document.removeEventListener('visibilitychange', this.#watch)
      this.#watch()
    }
  }

  #watch = (): void => {
    if (this.#watchers > 0 && document.visibilityState === 'visible') this.#watching ??= this.#host.networks.traffic(this.#sampled)
    else this.#unwatch()
  }

  #sampled = (sample: Record<string, TrafficSample>): void => {
    this.#traffic = sample
    clearTimeout(this.#stale)
    this.#stale = setTimeout(() => (this.#traffic = {}), STALE_MS)
  }

  #unwatch(): void {
    this.#watching?.dispose()
    this.#watching = null
    clearTimeout(this.#stale)
    this.#traffic = {}
  }

  apply(change: NetworkChange): void {
    switch (change.kind) {
      case 'put':
        this.#networks.set(change.network.network.name, change.network)
        break
      case 'removed':
        this.#networks.delete(change.name)
        break
      case 'router':
        this.#routers.set(change.router.router.name, change.router)
        break
      case 'routerRemoved':
        this.#routers.delete(change.name)
        break
      case 'map':
        this.map = change.map
        break
      case 'loose':
        this.loose = change.nics
    }
  }

  /** A new one, or one whose count has grown. */
  #alert(alert: NetworkAlert): void {
    this.alerts = [alert, ...this.alerts.filter(({ id }) => id !== alert.id)].slice(0, 200)
  }

  dispose(): void {
    this.#unwatch()
    this.#store.dispose()
  }
}
